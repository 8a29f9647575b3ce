//! How the sources are fetched.
//!
//! Compat: gitlab-runner shells/abstract.go, common/build_settings.go.

use super::git_urls::{self, Choices, Remote};
use super::settings::{attempts, flags, number, switch, words};
use super::{AcceptedJob, AllVariables};
use crate::container_side::helper::{CleanUpPlan, GitAccess, GitTls, SourcesPlan, Strategy, SubmodulesPlan};
use crate::job::JobError;
use crate::job::script::{ScriptParts, render_script};
use crate::job::variables::Variables;
use pipglr_protocol::payload::JobPayload;

/// `GIT_STRATEGY`, or what the coordinator prefers.
pub(super) fn strategy(payload: &JobPayload, variables: &Variables, warnings: &mut Vec<String>) -> Strategy {
    let default = if payload.allow_git_fetch {
        Strategy::Fetch
    } else {
        Strategy::Clone
    };
    match variables.get("GIT_STRATEGY").unwrap_or_default().as_str() {
        "" => default,
        "fetch" => Strategy::Fetch,
        "clone" => Strategy::Clone,
        "none" => Strategy::None,
        "empty" => Strategy::Empty,
        other => {
            let name = if payload.allow_git_fetch { "fetch" } else { "clone" };
            warnings.push(format!(
                "GIT_STRATEGY: expected clone, fetch, none or empty, got {other:?}, using default value: {name}"
            ));
            default
        }
    }
}

/// The plan for git.
pub(super) fn lower(
    job: &AcceptedJob,
    all: &AllVariables,
    strategy: Strategy,
    warnings: &mut Vec<String>,
) -> Result<SourcesPlan, JobError> {
    let git = &job.payload.git_info;
    let variables = &all.variables;
    let uses_git = strategy.uses_git();
    let without_tokens = all.flags.is_on("FF_GIT_URLS_WITHOUT_TOKENS");
    let choices = Choices {
        force_https: switch(variables, "GIT_SUBMODULE_FORCE_HTTPS", false, warnings),
        without_tokens,
    };
    let remote = git_urls::remote(job, variables, choices);
    let native = strategy == Strategy::Clone && all.flags.is_on("FF_USE_GIT_NATIVE_CLONE");
    Ok(SourcesPlan {
        strategy,
        project_dir: all.directories.project.clone(),
        temp_dir: all.directories.temp.clone(),
        access: access(job, all, &remote),
        proactive_auth: proactive_auth(all, &remote),
        remote_url: remote.url,
        refspecs: git.refspecs.clone(),
        depth: git.depth,
        sha: git.sha.clone(),
        reference: git.reference.clone(),
        object_format: git.repo_object_format.clone(),
        checkout: uses_git && switch(variables, "GIT_CHECKOUT", true, warnings),
        clean_flags: flags(variables, "GIT_CLEAN_FLAGS", &["-ffdx"]),
        clean_config: job.runner.clean_git_config.unwrap_or(true),
        trust_directory: job.runner.safe_directory_checkout.unwrap_or(true),
        fetch_flags: flags(variables, "GIT_FETCH_EXTRA_FLAGS", &["--prune", "--quiet"]).unwrap_or_default(),
        native_clone: native.then(|| words(variables, "GIT_CLONE_EXTRA_FLAGS")),
        skip_lfs: switch(variables, "GIT_LFS_SKIP_SMUDGE", false, warnings),
        submodules: if uses_git {
            submodules(git.depth, variables, warnings)?
        } else {
            None
        },
        user_agent: format!("{} {} linux/{}", crate::NAME, crate::VERSION, crate::go_architecture()),
        attempts: attempts(variables, "GET_SOURCES_ATTEMPTS", warnings),
        pre_scripts: hooks(job, all, Hook::Pre),
        post_scripts: hooks(job, all, Hook::Post),
    })
}

/// The end of the project directory, if `FF_ENABLE_JOB_CLEANUP` wants one.
pub(super) fn clean_up(all: &AllVariables, strategy: Strategy) -> Option<CleanUpPlan> {
    let submodules = all.variables.get("GIT_SUBMODULE_STRATEGY").unwrap_or_default();
    all.flags.is_on("FF_ENABLE_JOB_CLEANUP").then(|| CleanUpPlan {
        strategy,
        project_dir: all.directories.project.clone(),
        clean_flags: flags(&all.variables, "GIT_CLEAN_FLAGS", &["-ffdx"]),
        submodules: matches!(submodules.as_str(), "normal" | "recursive"),
        recursive: submodules == "recursive",
    })
}

/// `GIT_SUBMODULE_STRATEGY` and what goes with it.
fn submodules(
    depth: u64,
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<Option<SubmodulesPlan>, JobError> {
    let recursive = match variables.get("GIT_SUBMODULE_STRATEGY").unwrap_or_default().as_str() {
        "" | "none" => return Ok(None),
        "normal" => false,
        "recursive" => true,
        other => {
            return Err(JobError::Configuration(format!(
                "unknown GIT_SUBMODULE_STRATEGY {other:?}: use none, normal or recursive"
            )));
        }
    };
    let paths = words(variables, "GIT_SUBMODULE_PATHS");
    if paths.iter().any(|p| p == ":(exclude)") {
        return Err(JobError::Configuration(
            "GIT_SUBMODULE_PATHS: `:(exclude)` must be followed by a path, without a space between them".to_owned(),
        ));
    }
    Ok(Some(SubmodulesPlan {
        recursive,
        paths,
        depth: number(variables, "GIT_SUBMODULE_DEPTH", depth, warnings),
        update_flags: words(variables, "GIT_SUBMODULE_UPDATE_FLAGS"),
        foreach_clean_flags: flags(variables, "GIT_CLEAN_FLAGS", &["-ffdx"]),
    }))
}

/// What git's configuration outside the repository holds.
fn access(job: &AcceptedJob, all: &AllVariables, remote: &Remote) -> GitAccess {
    let variables = &all.variables;
    let without_tokens = all.flags.is_on("FF_GIT_URLS_WITHOUT_TOKENS");
    let file = |there: bool, key: &str| there.then(|| variables.get(key)).flatten();
    let tls = GitTls {
        ca_file: file(job.ca_certificates.is_some(), "CI_SERVER_TLS_CA_FILE"),
        cert_file: file(job.client_identity.is_some(), "CI_SERVER_TLS_CERT_FILE"),
        key_file: file(job.client_identity.is_some(), "CI_SERVER_TLS_KEY_FILE"),
    };
    GitAccess {
        hosts: remote.hosts.clone(),
        url_rules: remote.rules.clone(),
        credential_helper: without_tokens,
        tls,
        bundle_uris: all.flags.is_on("FF_USE_GIT_BUNDLE_URIS"),
        correlation_id: if all.flags.is_on("FF_USE_GITALY_CORRELATION_ID") {
            job.correlation_id.clone()
        } else {
            String::new()
        },
    }
}

/// `http.<host>.proactiveAuth`: credentials are sent without being asked for.
fn proactive_auth(all: &AllVariables, remote: &Remote) -> Option<String> {
    let host = remote.hosts.first()?;
    all.flags
        .is_on("FF_USE_GIT_PROACTIVE_AUTH")
        .then(|| format!("http.{host}.proactiveAuth=basic"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Pre,
    Post,
}

/// Scripts around fetching, the operator's outermost.
fn hooks(job: &AcceptedJob, all: &AllVariables, which: Hook) -> Vec<String> {
    let (name, configured, directory) = match which {
        Hook::Pre => ("pre_get_sources_script", &job.runner.pre_get_sources_script, "/"),
        Hook::Post => (
            "post_get_sources_script",
            &job.runner.post_get_sources_script,
            all.directories.project.as_str(),
        ),
    };
    let of_payload = job.payload.hooks.iter().find(|h| h.name == name);
    let of_payload = of_payload.map_or_else(Vec::new, |h| h.script.clone());
    let of_operator = Some(configured).filter(|s| !s.is_empty()).cloned();
    let mut scripts = [of_operator.into_iter().collect(), of_payload];
    if which == Hook::Post {
        scripts.reverse();
    }
    let render = |commands: Vec<String>| {
        render_script(&ScriptParts {
            directory,
            notice: None,
            commands: &[(name, commands)],
            sections: job.payload.features.trace_sections && all.flags.is_on("FF_SCRIPT_SECTIONS"),
            trace_commands: false,
            check_each_exit_code: all.flags.is_on("FF_ENABLE_BASH_EXIT_CODE_CHECK"),
        })
    };
    scripts.into_iter().filter(|s| !s.is_empty()).map(render).collect()
}
