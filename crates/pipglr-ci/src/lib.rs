//! `.gitlab-ci.yml` to a pipeline and diagnostics. Pure: no I/O.
//!
//! [`evaluate`] parses the text as GitLab's parser does (`yaml`), reads each keyword (`keywords`), lays defaults under
//! the jobs (`lower`) and checks the job graph (`checks`). Nothing stops at the first problem, and a keyword that is
//! not supported yet is an error, never passed over.
//!
//! Not here: variables of the project and of the run, `include`, `rules`; expansion of variables; running anything.

mod checks;
mod diagnostics;
mod keywords;
mod lower;
pub mod model;
mod yaml;

pub use diagnostics::{Diagnostic, Severity, Span, render};

use diagnostics::Problems;
use model::Pipeline;

/// A configuration file: what to call it and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Only for messages; never opened.
    pub path: String,
    pub text: String,
}

/// What a file evaluates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// `None` exactly when there is an error among the diagnostics.
    pub pipeline: Option<Pipeline>,
    /// In the order of their places; those about the file as a whole come last.
    pub diagnostics: Vec<Diagnostic>,
}

/// Evaluates a `.gitlab-ci.yml`. Never panics, whatever the text.
pub fn evaluate(source: &SourceFile) -> Evaluation {
    let mut problems = Problems::new(source);
    let pipeline = evaluate_into(source, &mut problems);
    let pipeline = pipeline.filter(|_| !problems.has_errors());
    Evaluation {
        pipeline,
        diagnostics: problems.finish(),
    }
}

fn evaluate_into(source: &SourceFile, problems: &mut Problems<'_>) -> Option<Pipeline> {
    if source.text.trim_start_matches('\u{feff}').trim().is_empty() {
        problems.file_error("Please provide content of .gitlab-ci.yml");
        return None;
    }
    let documents = yaml::compose(problems)?;
    let root = lower::content(problems, &documents)?;
    let lowered = lower::lower(problems, root);
    checks::check(problems, &lowered);
    Some(lowered.into_pipeline())
}
