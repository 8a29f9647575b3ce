//! Everything the caller decides. The crate reads no environment and no arguments.

use crate::Error;
use pipglr_protocol::{Secret, payload::Credential};
use std::collections::BTreeMap;
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
    /// `namespace/project`; by default that of the remote if one is looked at, else `local/` and the directory's name.
    pub project_path: Option<String>,
    /// What jobs are told of their instance, project and marker.
    pub identity: Identity,
    /// Whether the pipeline's ref counts as protected.
    pub protected_ref: bool,
    /// Every runner gets every job, whatever its tags are. Otherwise it gets those whose tags it has.
    pub ignore_tags: bool,
    /// Where included files and variables come from besides the repository.
    pub sources: Sources,
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
    /// A runner that says nothing about a running job for this long is taken for dead, and the job fails.
    ///
    /// Compat: GitLab app/services/ci/stuck_builds/drop_running_service.rb.
    pub silence_limit: Duration,
    /// Bytes of one trace; a job that sends more is dropped.
    pub trace_limit: u64,
    /// Bytes of one artifact file.
    pub artifact_limit: u64,
    /// Commits to fetch when the job sets no `GIT_DEPTH`; 0 is the whole history.
    pub git_depth: u64,
    /// Lent to every job for image pulls.
    pub registry_credentials: Vec<Credential>,
}

/// As which project on which instance the repository shows itself to jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// The coordinator's own address; nothing of the repository's remotes is looked at.
    #[default]
    Coordinator,
    /// Server and project path of this remote, and `PIPGLR_LOCAL=true`. Without such a remote as `Coordinator`.
    Remote(String),
}

/// Where an evaluation may look. Nothing is fetched that is not asked for by the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Forbids every use of the network.
    pub offline: bool,
    /// Directories that stand for projects, by `namespace/project`: git working trees or bare repositories.
    pub projects: BTreeMap<String, PathBuf>,
    /// A directory with GitLab's templates, laid out as its `lib/gitlab/ci/templates`.
    pub templates: Option<PathBuf>,
    /// Files with variables of the project, in the order they count: later ones win.
    pub variable_files: Vec<VariableFile>,
}

/// A file with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableFile {
    pub path: PathBuf,
    pub format: VariableFormat,
}

/// How a file with variables is laid out. A file that is not there is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableFormat {
    /// `project`, `group` and `instance`, each with names and values: docs/variables.md.
    Pipglr,
    /// `.gitlab-ci-local-variables.yml`: names and values.
    LocalProject,
    /// `.gitlab-ci-local/variables.yml` in the home directory: `global`, `group` and `project`.
    LocalHome,
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
            identity: Identity::Coordinator,
            protected_ref: false,
            ignore_tags: true,
            sources: Sources::default(),
            config_path: ".gitlab-ci.yml".to_owned(),
            runner_tokens: Vec::new(),
            registration_token: None,
            trace_update_interval: Duration::from_secs(1),
            long_poll_hold: Duration::from_secs(50),
            acknowledgement_ttl: Duration::from_mins(2),
            silence_limit: Duration::from_hours(1),
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

    /// The project's path: the given one if it is valid, else the remote's, else one made from the directory's name.
    pub(crate) fn resolve_project_path(&self, top_level: &Path, of_remote: Option<&str>) -> Result<String, Error> {
        let Some(path) = self.project_path.as_deref().or(of_remote) else {
            let name = top_level
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            return Ok(format!("local/{}", path_segment(&name)));
        };
        if path.split('/').count() >= 2 && path.split('/').all(|s| !s.is_empty() && path_segment(s) == s) {
            return Ok(path.to_owned());
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

#[cfg(test)]
mod tests {
    use super::ServeOptions;
    use std::path::Path;
    use std::time::Duration;

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
            assert_eq!(options.resolve_project_path(Path::new(directory), None).unwrap(), path);
        }
        for (given, ok) in [
            ("g/app", true),
            ("a/b/c", true),
            ("app", false),
            ("a//b", false),
            ("a/../b", false),
        ] {
            options.project_path = Some(given.to_owned());
            assert_eq!(
                options.resolve_project_path(Path::new("/x"), None).is_ok(),
                ok,
                "{given}"
            );
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
