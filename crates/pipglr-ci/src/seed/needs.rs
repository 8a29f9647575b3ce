//! What jobs say of others, held against the jobs that are in the pipeline.

use crate::diagnostics::Problems;
use crate::lower::Draft;
use std::collections::HashSet;

/// Drops needs and dependencies that may be missing, and reports needs that may not.
///
/// Compat: `Seed::Build#needs_errors`.
pub(super) fn settle(problems: &mut Problems, jobs: &mut [Draft]) {
    let names: HashSet<String> = jobs.iter().map(|draft| draft.job.name.clone()).collect();
    for draft in jobs {
        let name = &draft.job.name;
        for need in draft.needs.iter_mut() {
            need.retain(|need| {
                let needed = &need.value.job;
                let there = need.value.pipeline.is_some() || names.contains(needed);
                if !there && !need.value.optional {
                    let message = format!(
                        "'{name}' job needs '{needed}' job, but '{needed}' does not exist in the pipeline. This might be \
                         because of the only, except, or rules keywords. To need a job that sometimes does not exist in \
                         the pipeline, use needs:optional."
                    );
                    let hint = format!("write it as `{{job: {needed}, optional: true}}`, or give both jobs the same rules");
                    problems.error_with_hint(need.span, message, hint);
                }
                there
            });
        }
        if let Some(dependencies) = &mut draft.dependencies {
            dependencies.retain(|dependency| names.contains(&dependency.value));
        }
    }
}
