//! What there may be instead of a pipeline when nothing is wrong with the file.

use serde::Serialize;
use std::fmt;

/// Why a file without errors makes no pipeline this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoPipeline {
    /// No rule of `workflow` matches, or one that says `never`.
    FilteredByWorkflow,
    /// No job is left, or only such in `.pre` and `.post`.
    NoJobs,
}

/// GitLab's words.
impl fmt::Display for NoPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoPipeline::FilteredByWorkflow => "Pipeline filtered out by workflow rules.",
            NoPipeline::NoJobs => {
                "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being \
                 added to the pipeline."
            }
        })
    }
}
