//! How the sources are fetched.
//!
//! Compat: gitlab-runner shells/abstract.go, common/build_settings.go, helpers/url.

use super::settings::{attempts, switch};
use super::{AcceptedJob, AllVariables};
use crate::container_side::helper::{GitTls, SourcesPlan, Strategy, UrlRule};
use crate::job::JobError;
use crate::job::variables::Variables;
use pipglr_protocol::Secret;
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

/// The plan for git. `None` if there is nothing to do: the builds volume of strategy `none` and `empty` is new anyway.
pub(super) fn lower(
    job: &AcceptedJob,
    all: &AllVariables,
    strategy: Strategy,
    warnings: &mut Vec<String>,
) -> Result<Option<SourcesPlan>, JobError> {
    if matches!(strategy, Strategy::None | Strategy::Empty) {
        return Ok(None);
    }
    let git = &job.payload.git_info;
    let variables = &all.variables;
    refuse_unsupported(variables)?;
    let (remote_url, url_rules) = urls(job);
    let hook = |name: &str| {
        job.payload
            .hooks
            .iter()
            .find(|h| h.name == name)
            .map(|h| h.script.join("\n"))
    };
    let configured = |script: &str| (!script.is_empty()).then(|| script.to_owned());
    Ok(Some(SourcesPlan {
        strategy,
        project_dir: all.directories.project.clone(),
        temp_dir: all.directories.temp.clone(),
        remote_url,
        url_rules,
        tls: tls(job, variables),
        refspecs: git.refspecs.clone(),
        depth: git.depth,
        sha: git.sha.clone(),
        reference: git.reference.clone(),
        object_format: git.repo_object_format.clone(),
        checkout: switch(variables, "GIT_CHECKOUT", true, warnings),
        clean_flags: flags(variables, "GIT_CLEAN_FLAGS", &["-ffdx"]),
        fetch_flags: flags(variables, "GIT_FETCH_EXTRA_FLAGS", &["--prune", "--quiet"]).unwrap_or_default(),
        skip_lfs: switch(variables, "GIT_LFS_SKIP_SMUDGE", false, warnings),
        user_agent: format!("{} {} linux/{}", crate::NAME, crate::VERSION, crate::go_architecture()),
        attempts: attempts(variables, "GET_SOURCES_ATTEMPTS", warnings),
        pre_scripts: configured(&job.runner.pre_get_sources_script)
            .into_iter()
            .chain(hook("pre_get_sources_script"))
            .collect(),
        post_scripts: hook("post_get_sources_script")
            .into_iter()
            .chain(configured(&job.runner.post_get_sources_script))
            .collect(),
    }))
}

fn refuse_unsupported(variables: &Variables) -> Result<(), JobError> {
    let set = |key: &str| variables.get(key).filter(|v| !v.is_empty());
    if set("GIT_SUBMODULE_STRATEGY").is_some_and(|s| s != "none") {
        return Err(JobError::Configuration(
            "this version of pipglr does not support GIT_SUBMODULE_STRATEGY".to_owned(),
        ));
    }
    if set("GIT_CLONE_PATH").is_some() {
        return Err(JobError::Configuration(
            "this version of pipglr does not support GIT_CLONE_PATH".to_owned(),
        ));
    }
    Ok(())
}

/// git trusts the configured certificates for the host it clones from.
fn tls(job: &AcceptedJob, variables: &Variables) -> Option<GitTls> {
    job.ca_certificates.as_ref()?;
    let mut url = reqwest::Url::parse(job.payload.git_info.repo_url.expose()).ok()?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_path("");
    let base_url = url.as_str().trim_end_matches('/').to_owned();
    Some(GitTls {
        base_url,
        ca_file: variables.get("CI_SERVER_TLS_CA_FILE")?,
    })
}

/// The remote without credentials, and the rules that add them.
fn urls(job: &AcceptedJob) -> (String, Vec<UrlRule>) {
    let repo = job.payload.git_info.repo_url.expose();
    let source = clone_url(job, repo).unwrap_or_else(|| repo.to_owned());
    let mut rules: Vec<UrlRule> = Vec::new();
    let remote = match with_and_without_credentials(&source) {
        Some((plain, with)) => {
            push(&mut rules, &plain, &with);
            plain
        }
        None => source.clone(),
    };
    // Other projects on the same host can be fetched with the job's token, too.
    for base in [source.as_str(), repo] {
        if let Some((plain, with)) = host_rule(base) {
            push(&mut rules, &plain, &with);
        }
    }
    (remote, rules)
}

/// The rule for everything on the host of `url`, if `url` carries a password.
///
/// Both sides end with a slash: git compares prefixes, and `https://gitlab.example` begins `https://gitlab.example.evil`,
/// too, which would be sent the job's token.
fn host_rule(url: &str) -> Option<(String, String)> {
    let mut url = reqwest::Url::parse(url).ok()?;
    url.set_path("/");
    with_and_without_credentials(url.as_str())
}

fn push(rules: &mut Vec<UrlRule>, plain: &str, with: &str) {
    let rule = UrlRule {
        plain: plain.to_owned(),
        with_credentials: Secret::new(with),
    };
    if !rules.contains(&rule) {
        rules.push(rule);
    }
}

/// `clone_url` of config.toml in place of the scheme and host GitLab names.
fn clone_url(job: &AcceptedJob, repo: &str) -> Option<String> {
    let mut url = reqwest::Url::parse(&job.runner.clone_url).ok()?;
    let path = reqwest::Url::parse(repo).ok()?.path().to_owned();
    url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    if matches!(url.scheme(), "http" | "https") {
        url.set_username("gitlab-ci-token").ok()?;
        url.set_password(Some(job.payload.token.expose())).ok()?;
    }
    Some(url.to_string())
}

/// Splits a URL that carries a password; `None` if it has none.
fn with_and_without_credentials(url: &str) -> Option<(String, String)> {
    let mut plain = reqwest::Url::parse(url).ok()?;
    plain.password()?;
    plain.set_username("").ok()?;
    plain.set_password(None).ok()?;
    Some((plain.to_string(), url.to_owned()))
}

/// A list of flags; `none` means no flags at all.
fn flags(variables: &Variables, key: &str, default: &[&str]) -> Option<Vec<String>> {
    let words: Vec<String> = variables
        .get(key)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    match words.as_slice() {
        [] => Some(default.iter().map(|f| (*f).to_owned()).collect()),
        [only] if only == "none" => None,
        _ => Some(words),
    }
}

#[cfg(test)]
mod tests {
    use super::host_rule;

    #[test]
    fn a_host_whose_name_begins_alike_gets_no_token() {
        for (url, expected) in [
            (
                "https://gitlab-ci-token:secret@gitlab.example/group/project.git",
                Some((
                    "https://gitlab.example/",
                    "https://gitlab-ci-token:secret@gitlab.example/",
                )),
            ),
            ("https://gitlab.example/group/project.git", None),
            ("ssh://git@gitlab.example/group/project.git", None),
        ] {
            let found = host_rule(url);
            assert_eq!(found.as_ref().map(|(p, w)| (p.as_str(), w.as_str())), expected, "{url}");
        }
    }
}
