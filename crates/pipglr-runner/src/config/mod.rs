//! config.toml, the file people know from gitlab-runner.
//!
//! [`parse_config`] is pure; [`load_config`] reads a file and names it in its error. [`keys`] is the table of all keys;
//! [`mod@check`] compares a file with it, so that nothing is dropped in silence. [`mod@file`] appends and removes
//! `[[runners]]` without touching the rest.

mod cache;
pub mod check;
mod disk;
mod duration;
pub mod file;
pub mod keys;
mod labels;
mod model;
mod reload;
mod session_server;
mod size;
mod system_id;
mod tokens;

pub use cache::{AzureConfig, CacheConfig, GcsConfig, S3Config};
pub use check::{Finding, Place, Severity, UsedKey};
pub use disk::DiskConfig;
pub(crate) use duration::parse as parse_go_duration;
use model::expanded;
pub use model::{Config, CustomBuildDirConfig, DockerConfig, PodmanConfig, RunnerConfig, ServiceConfig};
pub use reload::{ConfigSource, RELOAD_INTERVAL, ReloadCounts};
pub use session_server::SessionServerConfig;
pub(crate) use size::parse as parse_size;
pub use system_id::{SystemIdError, known_system_id, load_or_create_system_id, temporary_system_id};
pub use tokens::{NewToken, TokenStore, TokenStoreError};

use check::Walk;
use serde::Deserialize as _;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The text is no TOML, or values are wrong.
    #[error("{}", each(name, findings))]
    Invalid { name: String, findings: Vec<Finding> },
}

/// One line for each finding.
fn each(name: &str, findings: &[Finding]) -> String {
    let lines = findings.iter().map(|f| format!("{name}:{}: {}", f.place, f.message));
    lines.collect::<Vec<_>>().join("\n")
}

/// A configuration and what is to be said about it.
#[derive(Debug)]
pub struct Parsed {
    pub config: Config,
    /// No errors.
    pub findings: Vec<Finding>,
}

/// Everything there is to say about a file.
#[derive(Debug)]
pub struct Checked {
    /// `None` if there is an error.
    pub config: Option<Config>,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// Keys of the file, in its order.
    pub used: Vec<UsedKey>,
}

/// Reads and parses `path`.
///
/// # Errors
/// [`ConfigError`], naming the file.
pub fn load_config(path: &Path) -> Result<Parsed, ConfigError> {
    parse_config(&read(path)?, &path.display().to_string())
}

/// Reads `path` as text.
///
/// # Errors
/// [`ConfigError::Unreadable`].
pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Parses the text of a config.toml; `name` is used in errors.
///
/// # Errors
/// [`ConfigError::Invalid`] with lines and columns.
pub fn parse_config(text: &str, name: &str) -> Result<Parsed, ConfigError> {
    let checked = check_config(text);
    match checked.config {
        Some(config) => Ok(Parsed {
            config,
            findings: checked.findings,
        }),
        None => Err(ConfigError::Invalid {
            name: name.to_owned(),
            findings: checked
                .findings
                .into_iter()
                .filter(|f| f.severity == Severity::Error)
                .collect(),
        }),
    }
}

/// Checks the text of a config.toml against the table of keys.
#[must_use]
pub fn check_config(text: &str) -> Checked {
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            return Checked {
                config: None,
                findings: vec![finding_of(text, &error)],
                used: Vec::new(),
            };
        }
    };
    let span = document.span();
    let mut walk = Walk::new(text);
    let table = walk.table("", document.into_inner());
    let (mut findings, mut used, places) = (walk.findings, walk.used, walk.runners);
    let mut config = match Config::deserialize(toml::de::Deserializer::from(Spanned::new(span, table))) {
        Ok(config) => Some(config),
        Err(error) => {
            findings.push(finding_of(text, &error));
            None
        }
    };
    if let Some(config) = &mut config {
        complete(config, &places, &mut findings);
    }
    if findings.iter().any(|f| f.severity == Severity::Error) {
        config = None;
    }
    findings.sort_by_key(|f| f.place);
    used.sort_by_key(|u| u.place);
    Checked { config, findings, used }
}

fn finding_of(text: &str, error: &toml::de::Error) -> Finding {
    Finding {
        severity: Severity::Error,
        place: Place::of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', ", "),
    }
}

/// Fills in what entries inherit, and checks what concerns more than one key.
fn complete(config: &mut Config, places: &[Place], findings: &mut Vec<Finding>) {
    for (index, runner) in config.runners.iter_mut().enumerate() {
        let place = places.get(index).copied().unwrap_or(Place { line: 1, column: 1 });
        let mut say = |severity, message| {
            findings.push(Finding {
                severity,
                place,
                message,
            });
        };
        runner.expand_environment();
        for (name, value) in &config.labels {
            runner.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if let Some(wrong) = labels::wrong(&runner.labels) {
            say(Severity::Error, wrong);
        }
        if runner.token.is_empty() {
            say(
                Severity::Warning,
                "this runner has no `token` and is skipped: add one with `register`".to_owned(),
            );
        }
        if runner.url.is_empty() {
            say(
                Severity::Warning,
                "this runner has no `url`, the address of its GitLab instance, and is skipped".to_owned(),
            );
        }
        if !matches!(runner.executor.as_str(), "docker" | "podman" | "") {
            say(
                Severity::Warning,
                format!(
                    "executor {:?} is not available: jobs of this runner run in containers of podman",
                    runner.executor
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests;
