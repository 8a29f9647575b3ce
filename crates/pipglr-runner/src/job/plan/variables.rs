//! All variables of a job, in the order that decides which wins.
//!
//! Compat: gitlab-runner common/build.go `GetAllVariables`.

use super::names::Directories;
use super::{AcceptedJob, AllVariables, timeout, unique_name};
use crate::container_side::helper::{Strategy, external_file};
use crate::job::feature_flags::FeatureFlags;
use crate::job::variables::{Variable, Variables};
use pipglr_protocol::Secret;

pub(super) fn all(job: &AcceptedJob, warnings: &mut Vec<String>) -> AllVariables {
    let mut directories = Directories::new(job);
    let payload: Vec<Variable> = job.payload.variables.iter().map(Variable::from).collect();
    let configured: Vec<Variable> = job
        .runner
        .environment
        .iter()
        .filter_map(|entry| configured_variable(entry))
        .collect();

    let for_flags = Variables::new(configured.iter().chain(&payload).cloned().collect(), &directories.temp);
    let flags = FeatureFlags::resolve(&job.runner, &for_flags, warnings);

    let mut start: Vec<Variable> = flags.variables().collect();
    if !job.payload.image.name.is_empty() {
        start.push(Variable::internal(
            "CI_JOB_IMAGE",
            for_flags.expand(&job.payload.image.name),
        ));
    }
    start.push(Variable::internal("CI_RUNNER_SHORT_TOKEN", job.runner.token.short()));
    start.extend(configured);
    let with = |directories: &Directories| {
        let mut list = start.clone();
        list.extend(before_payload(job, directories));
        list.extend(payload.iter().filter(|v| !FeatureFlags::is_flag(&v.key)).cloned());
        list.extend(job.secrets.iter().map(Variable::from));
        list.extend(after_payload(directories, &flags));
        if flags.is_on("FF_NETWORK_PER_BUILD") && job.runner.docker.network_mode.is_empty() {
            list.push(Variable::internal("CI_BUILD_NETWORK_NAME", unique_name(job)));
        }
        Variables::new(list, &directories.temp).expanded()
    };
    // Where the project goes may be said by variables, and variables say where it went.
    let mut variables = with(&directories);
    let mut misplaced = None;
    match chosen_directories(job, &variables, &directories) {
        Ok(Some(chosen)) => {
            variables = with(&chosen);
            directories = chosen;
        }
        Ok(None) => {}
        Err(reason) => misplaced = Some(reason),
    }
    AllVariables {
        variables,
        flags,
        directories,
        misplaced,
    }
}

/// The directories if variables ask for others than usual.
///
/// Compat: gitlab-runner common/build.go `getCustomBuildDir`, `ProjectUniqueDir`.
fn chosen_directories(
    job: &AcceptedJob,
    variables: &Variables,
    usual: &Directories,
) -> Result<Option<Directories>, String> {
    match variables.get("GIT_CLONE_PATH").filter(|path| !path.is_empty()) {
        Some(_) if job.runner.custom_build_dir.enabled == Some(false) => {
            Err("setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature".to_owned())
        }
        Some(path) => usual
            .at(&path)
            .map(Some)
            .ok_or_else(|| format!("the GIT_CLONE_PATH={path:?} has to be within {:?}", usual.builds)),
        None => {
            let empty = super::sources::strategy(&job.payload, variables, &mut Vec::new()) == Strategy::Empty;
            Ok(empty.then(|| usual.suffixed("-empty")))
        }
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
    let file = |key: &str, pem: Secret| Variable {
        file: true,
        value: pem,
        ..Variable::internal(key, "")
    };
    if let Some(pem) = &job.ca_certificates {
        list.push(file("CI_SERVER_TLS_CA_FILE", Secret::new(pem.clone())));
    }
    if let Some(identity) = &job.client_identity {
        let certificate = Secret::new(identity.certificate.clone());
        list.push(file("CI_SERVER_TLS_CERT_FILE", certificate));
        list.push(file("CI_SERVER_TLS_KEY_FILE", identity.key.clone()));
    }
    list
}

/// What a job may not override.
fn after_payload(directories: &Directories, flags: &FeatureFlags) -> Vec<Variable> {
    let mut list = vec![
        ("CI_DISPOSABLE_ENVIRONMENT", "true".to_owned()),
        ("CI_RUNNER_VERSION", crate::VERSION.to_owned()),
        ("CI_RUNNER_REVISION", crate::REVISION.to_owned()),
        (
            "CI_RUNNER_EXECUTABLE_ARCH",
            format!("linux/{}", crate::go_architecture()),
        ),
        ("RUNNER_TEMP_PROJECT_DIR", directories.temp.clone()),
        ("GITLAB_ENV", format!("{}/gitlab_runner_env", directories.temp)),
    ];
    if flags.is_on("FF_GIT_URLS_WITHOUT_TOKENS") {
        // Every git of the job finds the credential helper, also outside its repository. Compat: gitlab-runner points
        // GIT_CONFIG_GLOBAL at a file for this, which takes the user's own configuration away.
        let file = external_file(&directories.temp).display().to_string();
        list.extend([
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            ("GIT_CONFIG_KEY_0", "include.path".to_owned()),
            ("GIT_CONFIG_VALUE_0", file),
        ]);
    }
    list.into_iter()
        .map(|(key, value)| Variable::internal(key, value))
        .collect()
}
