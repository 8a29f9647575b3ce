//! Where git fetches from, and the rules that add the job's credentials on the way. Pure.
//!
//! Compat: gitlab-runner helpers/url/gitauth.go. Unlike there, the rule for a whole host ends in a slash: without it
//! `https://gitlab.example` is also the beginning of `https://gitlab.example.evil`, and the token would go there.

use super::AcceptedJob;
use crate::container_side::helper::UrlRule;
use crate::job::variables::Variables;
use pipglr_protocol::Secret;
use reqwest::Url;

/// The user name that goes with a job's token.
const TOKEN_USER: &str = "gitlab-ci-token";

/// How git reaches the repository and others of the same instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// Without credentials: this is what the repository's configuration holds.
    pub(super) url: String,
    pub(super) rules: Vec<UrlRule>,
    /// `scheme://host[:port]` of the repository and of the instance, if they are spoken to over HTTP.
    pub(super) hosts: Vec<String>,
}

/// What a job can choose about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices {
    /// `GIT_SUBMODULE_FORCE_HTTPS`: SSH addresses of the instance are fetched over HTTP.
    pub(super) force_https: bool,
    /// `FF_GIT_URLS_WITHOUT_TOKENS`: a credential helper answers instead of rules.
    pub(super) without_tokens: bool,
}

/// Works out the remote of a job.
pub(super) fn remote(job: &AcceptedJob, variables: &Variables, choices: Choices) -> Remote {
    let repo_url = job.payload.git_info.repo_url.expose();
    let repo = Url::parse(repo_url).ok();
    let source = clone_url(job, variables).or_else(|| repo.clone());
    let instance = instance(job);
    let mut rules = Rules {
        list: Vec::new(),
        without_tokens: choices.without_tokens,
    };
    if let Some(source) = &source {
        rules.add(source, &plain(source));
    }
    if let Some(instance) = &instance {
        let with_token = with_credentials(instance, job);
        rules.add(&with_token, &plain(instance));
        if choices.force_https {
            let target = if choices.without_tokens {
                plain(instance)
            } else {
                with_token
            };
            for ssh in ssh_forms(variables) {
                rules.push(target.as_str(), &ssh);
            }
        }
    }
    if let Some(base) = repo.as_ref().and_then(base) {
        rules.add(&base, &plain(&base));
    }
    let mut hosts = Vec::new();
    for host in source.iter().chain(&instance).filter_map(host) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Remote {
        url: source.map_or_else(|| repo_url.to_owned(), |url| plain(&url).into()),
        rules: rules.list,
        hosts,
    }
}

struct Rules {
    list: Vec<UrlRule>,
    without_tokens: bool,
}

impl Rules {
    /// A rule that adds credentials, if there are any and they are wanted in addresses.
    fn add(&mut self, with: &Url, plain: &Url) {
        if with.password().is_some() && !self.without_tokens {
            self.push(with.as_str(), plain.as_str());
        }
    }

    fn push(&mut self, with: &str, plain: &str) {
        let rule = UrlRule {
            plain: plain.to_owned(),
            with_credentials: Secret::new(with),
        };
        if !self.list.contains(&rule) {
            self.list.push(rule);
        }
    }
}

/// An address as it may be shown; empty if it is none.
pub(super) fn without_credentials(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| plain(&url).into())
}

/// `clone_url` of config.toml with the project's path in place of the address GitLab names.
fn clone_url(job: &AcceptedJob, variables: &Variables) -> Option<Url> {
    let mut url = Url::parse(&job.runner.clone_url).ok()?;
    let project = match variables.get("CI_PROJECT_PATH").filter(|p| !p.is_empty()) {
        Some(path) => format!("/{path}.git"),
        None => Url::parse(job.payload.git_info.repo_url.expose())
            .ok()?
            .path()
            .to_owned(),
    };
    url.set_path(&format!("{}{project}", url.path().trim_end_matches('/')));
    if is_http(&url) {
        return Some(with_credentials(&url, job));
    }
    if url.scheme() == "ssh" && url.username().is_empty() {
        url.set_username("git").ok()?;
    }
    Some(url)
}

/// The base of everything on the instance: `clone_url`, or the runner's `url`. Ends in a slash.
fn instance(job: &AcceptedJob) -> Option<Url> {
    let configured = Url::parse(&job.runner.clone_url).ok().filter(is_http);
    let mut url = configured.or_else(|| Url::parse(&job.runner.url).ok().filter(is_http))?;
    url.set_path(&format!("{}/", url.path().trim_end_matches('/')));
    Some(plain(&url))
}

/// The server of a URL with its credentials. Ends in a slash.
fn base(url: &Url) -> Option<Url> {
    is_http(url).then(|| {
        let mut base = url.clone();
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        base
    })
}

/// `scheme://host[:port]`, which is how git's `http.<url>` and `credential.<url>` sections name a server.
fn host(url: &Url) -> Option<String> {
    base(url).map(|base| plain(&base).as_str().trim_end_matches('/').to_owned())
}

/// How SSH addresses of the instance begin.
fn ssh_forms(variables: &Variables) -> Vec<String> {
    let set = |key: &str| variables.get(key).filter(|v| !v.is_empty());
    let Some(host) = set("CI_SERVER_SHELL_SSH_HOST").or_else(|| set("CI_SERVER_HOST")) else {
        return Vec::new();
    };
    match set("CI_SERVER_SHELL_SSH_PORT").filter(|port| port != "22") {
        Some(port) => vec![format!("ssh://git@{host}:{port}/")],
        None => vec![format!("git@{host}:"), format!("ssh://git@{host}/")],
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn with_credentials(url: &Url, job: &AcceptedJob) -> Url {
    let mut url = url.clone();
    // Fails only for URLs without a host, which http and https always have.
    let _ = url
        .set_username(TOKEN_USER)
        .and_then(|()| url.set_password(Some(job.payload.token.expose())));
    url
}

fn plain(url: &Url) -> Url {
    let mut plain = url.clone();
    if is_http(url) {
        // As above.
        let _ = plain.set_username("").and_then(|()| plain.set_password(None));
    }
    plain
}
