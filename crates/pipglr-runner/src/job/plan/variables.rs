//! All variables of a job, in the order that decides which wins.
//!
//! Compat: gitlab-runner common/build.go `GetAllVariables`.

use super::names::Directories;
use super::{AcceptedJob, AllVariables, timeout};
use crate::job::feature_flags::FeatureFlags;
use crate::job::variables::{Variable, Variables};
use pipglr_protocol::Secret;

pub(super) fn all(job: &AcceptedJob, warnings: &mut Vec<String>) -> AllVariables {
    let directories = Directories::new(job);
    let payload: Vec<Variable> = job.payload.variables.iter().map(Variable::from).collect();
    let configured: Vec<Variable> = job
        .runner
        .environment
        .iter()
        .filter_map(|entry| configured_variable(entry))
        .collect();

    let for_flags = Variables::new(configured.iter().chain(&payload).cloned().collect(), &directories.temp);
    let flags = FeatureFlags::resolve(&job.runner, &for_flags, warnings);

    let mut list: Vec<Variable> = flags.variables().collect();
    if !job.payload.image.name.is_empty() {
        list.push(Variable::internal(
            "CI_JOB_IMAGE",
            for_flags.expand(&job.payload.image.name),
        ));
    }
    list.push(Variable::internal("CI_RUNNER_SHORT_TOKEN", job.runner.token.short()));
    list.extend(configured);
    list.extend(before_payload(job, &directories));
    list.extend(payload.into_iter().filter(|v| !FeatureFlags::is_flag(&v.key)));
    list.extend(job.secrets.iter().map(Variable::from));
    list.extend(after_payload(&directories));
    AllVariables {
        variables: Variables::new(list, &directories.temp).expanded(),
        flags,
        directories,
    }
}

/// An entry `KEY=value` of `[[runners]] environment`.
fn configured_variable(entry: &str) -> Option<Variable> {
    let (key, value) = entry.split_once('=')?;
    Some(Variable::internal(key, value))
}

/// What a job may override.
fn before_payload(job: &AcceptedJob, directories: &Directories) -> Vec<Variable> {
    let mut list: Vec<Variable> = [
        ("CI_BUILDS_DIR", directories.builds.clone()),
        ("CI_PROJECT_DIR", directories.project.clone()),
        ("CI_CONCURRENT_ID", job.slot.runner.to_string()),
        ("CI_CONCURRENT_PROJECT_ID", job.slot.project.to_string()),
        ("CI_SERVER", "yes".to_owned()),
        ("CI_JOB_STATUS", "running".to_owned()),
        ("CI_JOB_TIMEOUT", timeout(&job.payload).as_secs().to_string()),
    ]
    .into_iter()
    .map(|(key, value)| Variable::internal(key, value))
    .collect();
    if let Some(pem) = &job.ca_certificates {
        list.push(Variable {
            file: true,
            value: Secret::new(pem.clone()),
            ..Variable::internal("CI_SERVER_TLS_CA_FILE", "")
        });
    }
    list
}

/// What a job may not override.
fn after_payload(directories: &Directories) -> Vec<Variable> {
    [
        ("CI_DISPOSABLE_ENVIRONMENT", "true".to_owned()),
        ("CI_RUNNER_VERSION", crate::VERSION.to_owned()),
        ("CI_RUNNER_REVISION", crate::REVISION.to_owned()),
        (
            "CI_RUNNER_EXECUTABLE_ARCH",
            format!("linux/{}", crate::go_architecture()),
        ),
        ("RUNNER_TEMP_PROJECT_DIR", directories.temp.clone()),
        ("GITLAB_ENV", format!("{}/gitlab_runner_env", directories.temp)),
    ]
    .into_iter()
    .map(|(key, value)| Variable::internal(key, value))
    .collect()
}
