//! Names that GitLab expands when it makes the jobs.

use crate::diagnostics::Problems;
use crate::lower::Draft;
use crate::model::{CacheKey, TriggerTarget};
use crate::variables::{Undefined, Variables};

/// Compat: `Environment::NAME`.
const MAX_ENVIRONMENT_NAME: usize = 255;

/// Expands what is GitLab's to expand; the runner does the rest.
pub(super) fn expand_names(problems: &mut Problems, draft: &mut Draft, variables: &Variables<'_>) {
    let job = &mut draft.job;
    // Compat: `ExpandVariables.expand`: a reference to nothing vanishes, and a group without name is none.
    job.resource_group = job
        .resource_group
        .as_ref()
        .map(|name| variables.expand(name, Undefined::Blank))
        .filter(|name| !name.trim().is_empty());
    if let Some(environment) = &mut job.environment {
        environment.name = variables.expand(&environment.name, Undefined::Blank);
        // What comes from dotenv reports is not known before the job has run.
        for text in [&mut environment.url, &mut environment.auto_stop_in]
            .into_iter()
            .flatten()
        {
            *text = variables.expand(text, Undefined::Kept);
        }
        if let Some(problem) = environment_name_problem(&environment.name) {
            let message = "This job could not be executed because it would create an environment with an invalid \
                           parameter.";
            let hint = format!("the name `{}` {problem}", variables.mask(&environment.name));
            problems.warning(draft.name_span, format!("{}: {message}", job.name), hint);
        }
    }
    for cache in &mut job.caches {
        if let CacheKey::Files { files, .. } = &mut cache.key {
            for file in files {
                *file = variables.expand(file, Undefined::Kept);
            }
        }
    }
    if let Some(trigger) = &mut job.trigger
        && let TriggerTarget::Project { path, branch } = &mut trigger.target
    {
        *path = variables.expand(path, Undefined::Blank);
        if let Some(branch) = branch {
            *branch = variables.expand(branch, Undefined::Blank);
        }
    }
}

/// What is wrong with the name of an environment once it is expanded.
fn environment_name_problem(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    if name.trim().is_empty() {
        Some("is empty once its variables are expanded")
    } else if name.chars().count() > MAX_ENVIRONMENT_NAME {
        Some("is longer than 255 characters")
    } else if name.starts_with('/') || name.ends_with('/') {
        Some("starts or ends with a slash")
    } else if !name.chars().all(allowed) {
        Some("has other characters than letters, digits, spaces and `-_/.${}`")
    } else {
        None
    }
}
