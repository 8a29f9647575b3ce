//! Everything the caller decides. The crate reads no environment and no arguments.

use crate::Error;
use pipglr_protocol::{Secret, payload::Credential};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Behaviour of one coordinator. Start from [`ServeOptions::new`] and overwrite fields.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The git working tree to serve. It is never written to.
    pub repo: PathBuf,
    /// Traces, artifacts, the repository's mirror and counters live here; created if missing.
    pub data_dir: PathBuf,
    /// How jobs reach this coordinator, for example `http://10.0.2.2:8080`; need not be the listening address.
    pub external_url: String,
    /// `namespace/project`; by default `local/` and the directory's name.
    pub project_path: Option<String>,
    /// Path of the configuration inside the repository.
    pub config_path: String,
    /// Authentication tokens of runners; one is generated when there is none.
    pub runner_tokens: Vec<Secret>,
    /// Token for `POST runners`; generated when absent.
    pub registration_token: Option<Secret>,
    /// What runners are told to wait between two trace updates; rounded up to whole seconds.
    pub trace_update_interval: Duration,
    /// How long a request for a job is held while there is none.
    pub long_poll_hold: Duration,
    /// How long a runner may take to accept a job it was handed.
    pub acknowledgement_ttl: Duration,
    /// Bytes of one trace; a job that sends more is dropped.
    pub trace_limit: u64,
    /// Bytes of one artifact file.
    pub artifact_limit: u64,
    /// Commits to fetch when the job sets no `GIT_DEPTH`; 0 is the whole history.
    pub git_depth: u64,
    /// Lent to every job for image pulls.
    pub registry_credentials: Vec<Credential>,
}

impl ServeOptions {
    /// Options with GitLab's defaults.
    #[must_use]
    pub fn new(repo: impl Into<PathBuf>, data_dir: impl Into<PathBuf>, external_url: impl Into<String>) -> Self {
        Self {
            repo: repo.into(),
            data_dir: data_dir.into(),
            external_url: external_url.into(),
            project_path: None,
            config_path: ".gitlab-ci.yml".to_owned(),
            runner_tokens: Vec::new(),
            registration_token: None,
            trace_update_interval: Duration::from_secs(1),
            long_poll_hold: Duration::from_secs(50),
            acknowledgement_ttl: Duration::from_mins(2),
            trace_limit: 100 << 20,
            artifact_limit: 5 << 30,
            git_depth: 20,
            registry_credentials: Vec::new(),
        }
    }

    /// Value of the trace interval header; a runner ignores zero.
    pub(crate) fn trace_interval_seconds(&self) -> u64 {
        let interval = self.trace_update_interval;
        (interval.as_secs() + u64::from(interval.subsec_nanos() > 0)).max(1)
    }

    /// The project's path: the given one if it is valid, else one made from the directory's name.
    pub(crate) fn resolve_project_path(&self, top_level: &Path) -> Result<String, Error> {
        let Some(path) = &self.project_path else {
            let name = top_level
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            return Ok(format!("local/{}", path_segment(&name)));
        };
        if path.split('/').count() >= 2 && path.split('/').all(|s| !s.is_empty() && path_segment(s) == s) {
            return Ok(path.clone());
        }
        Err(Error::InvalidOption {
            option: "project path",
            problem: format!("{path:?} is not namespace/project"),
        })
    }
}

/// Makes a directory's name acceptable as a part of a project's path.
fn path_segment(name: &str) -> String {
    let replaced: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = replaced.trim_start_matches(['-', '.']).trim_end_matches('.');
    let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
    if trimmed.is_empty() {
        "project".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// The parts of the external URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalUrl {
    /// Without a slash at the end.
    pub(crate) base: String,
    /// `http` or `https`.
    pub(crate) protocol: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host, with the port unless it is the protocol's own.
    pub(crate) fqdn: String,
}

impl ExternalUrl {
    /// Takes the URL apart. Neither credentials nor a path are accepted: the API is served at the root.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidOption {
            option: "external URL",
            problem: format!("{url:?} is not http[s]://host[:port]"),
        };
        let base = url.trim_end_matches('/');
        let (protocol, authority) = base.split_once("://").ok_or_else(invalid)?;
        let default_port = match protocol {
            "http" => 80,
            "https" => 443,
            _ => return Err(invalid()),
        };
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(invalid());
        }
        // The colon of a port comes after the bracket of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| invalid())?),
            _ => (authority, default_port),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        let fqdn = if port == default_port {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        Ok(Self {
            base: base.to_owned(),
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            port,
            fqdn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ExternalUrl, ServeOptions};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn external_urls_are_taken_apart() {
        for (url, expected) in [
            ("http://10.0.2.2:8080", Some(("10.0.2.2", 8080, "10.0.2.2:8080"))),
            ("https://ci.test/", Some(("ci.test", 443, "ci.test"))),
            ("http://[::1]:81", Some(("[::1]", 81, "[::1]:81"))),
            ("http://[::1]", Some(("[::1]", 80, "[::1]"))),
            ("http://h/sub", None),
            ("http://u@h", None),
            ("ftp://h", None),
            ("http://:80", None),
            ("h:80", None),
        ] {
            let parsed = ExternalUrl::parse(url).ok();
            let parts = parsed.as_ref().map(|u| (u.host.as_str(), u.port, u.fqdn.as_str()));
            assert_eq!(parts, expected, "{url}");
        }
    }

    #[test]
    fn project_path_comes_from_the_directory_unless_given() {
        let mut options = ServeOptions::new("/r", "/d", "http://h");
        for (directory, path) in [
            ("/home/me/sample", "local/sample"),
            ("/x/My App", "local/My-App"),
            ("/x/app.git", "local/app"),
            ("/x/.hidden", "local/hidden"),
            ("/", "local/project"),
        ] {
            assert_eq!(options.resolve_project_path(Path::new(directory)).unwrap(), path);
        }
        for (given, ok) in [
            ("g/app", true),
            ("a/b/c", true),
            ("app", false),
            ("a//b", false),
            ("a/../b", false),
        ] {
            options.project_path = Some(given.to_owned());
            assert_eq!(options.resolve_project_path(Path::new("/x")).is_ok(), ok, "{given}");
        }
    }

    #[test]
    fn trace_interval_is_never_zero() {
        let mut options = ServeOptions::new("/r", "/d", "http://h");
        for (millis, seconds) in [(0, 1), (200, 1), (1000, 1), (1500, 2)] {
            options.trace_update_interval = Duration::from_millis(millis);
            assert_eq!(options.trace_interval_seconds(), seconds);
        }
    }
}
