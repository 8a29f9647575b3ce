//! config.toml, the file people know from gitlab-runner.
//!
//! [`parse_config`] is pure; [`load_config`] reads a file and names it in its error. Keys this version does not act on
//! are reported by name, never dropped in silence. [`mod@file`] appends and removes `[[runners]]` without touching the rest.

mod duration;
pub mod file;
mod model;
mod system_id;

pub(crate) use duration::parse as parse_go_duration;
pub use model::{Config, DockerConfig, PodmanConfig, RunnerConfig};
pub use system_id::{SystemIdError, load_or_create_system_id, temporary_system_id};

use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The text is no TOML, or a value has the wrong type.
    #[error("{location}: {message}")]
    Invalid { location: String, message: String },
}

/// A configuration and what is to be said about it.
#[derive(Debug)]
pub struct Parsed {
    pub config: Config,
    /// One sentence each, for the operator.
    pub warnings: Vec<String>,
}

/// Reads and parses `path`.
///
/// # Errors
/// [`ConfigError`], naming the file.
pub fn load_config(path: &Path) -> Result<Parsed, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse_config(&text, &path.display().to_string())
}

/// Parses the text of a config.toml; `name` is used in errors.
///
/// # Errors
/// [`ConfigError::Invalid`] with line and column.
pub fn parse_config(text: &str, name: &str) -> Result<Parsed, ConfigError> {
    let invalid = |error: &toml::de::Error| {
        let (line, column) = error.span().map_or((1, 1), |span| line_and_column(text, span.start));
        ConfigError::Invalid {
            location: format!("{name}:{line}:{column}"),
            message: error.message().to_owned(),
        }
    };
    let mut config: Config = toml::from_str(text).map_err(|e| invalid(&e))?;
    let table: toml::Table = toml::from_str(text).map_err(|e| invalid(&e))?;
    let mut warnings = unknown_keys(&table);
    if config.concurrent < 1 {
        return Err(ConfigError::Invalid {
            location: name.to_owned(),
            message: "`concurrent` must be at least 1".to_owned(),
        });
    }
    for (index, runner) in config.runners.iter_mut().enumerate() {
        runner.expand_environment();
        let label = if runner.name.is_empty() {
            format!("[[runners]] number {}", index + 1)
        } else {
            format!("runner {:?}", runner.name)
        };
        if runner.token.is_empty() {
            warnings.push(format!("{label} has no token and is skipped"));
        }
        if !matches!(runner.executor.as_str(), "docker" | "podman" | "") {
            warnings.push(format!(
                "{label}: executor {:?} is not available, jobs run in containers of podman",
                runner.executor
            ));
        }
    }
    Ok(Parsed { config, warnings })
}

/// Keys that are present but have no effect, as dotted paths.
fn unknown_keys(table: &toml::Table) -> Vec<String> {
    let mut unknown = Vec::new();
    collect_unknown(table, &model::GLOBAL_KEYS, "", &mut unknown);
    let runners = table
        .get("runners")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    for runner in runners.filter_map(toml::Value::as_table) {
        collect_unknown(runner, &model::RUNNER_KEYS, "runners.", &mut unknown);
        for (section, keys) in [("docker", &model::DOCKER_KEYS[..]), ("podman", &model::PODMAN_KEYS[..])] {
            if let Some(inner) = runner.get(section).and_then(toml::Value::as_table) {
                collect_unknown(inner, keys, &format!("runners.{section}."), &mut unknown);
            }
        }
    }
    unknown.sort();
    unknown.dedup();
    unknown
        .into_iter()
        .map(|key| format!("`{key}` has no effect in this version"))
        .collect()
}

fn collect_unknown(table: &toml::Table, known: &[&str], prefix: &str, unknown: &mut Vec<String>) {
    // Values that say "nothing" (as `register` writes them) need no warning.
    let says_something = |value: &toml::Value| match value {
        toml::Value::Boolean(on) => *on,
        toml::Value::Integer(n) => *n != 0,
        toml::Value::String(text) => !text.is_empty(),
        toml::Value::Array(items) => !items.is_empty(),
        toml::Value::Table(inner) => inner.values().any(|v| !matches!(v, toml::Value::Integer(0))),
        toml::Value::Float(_) | toml::Value::Datetime(_) => true,
    };
    let keys = table
        .iter()
        .filter(|(key, value)| !known.contains(&key.as_str()) && says_something(value));
    unknown.extend(keys.map(|(key, _)| format!("{prefix}{key}")));
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, parse_config};
    use std::time::Duration;

    #[test]
    fn a_registered_file_is_read() {
        let text = r#"
concurrent = 4
check_interval = 0
shutdown_timeout = 0
[session_server]
  session_timeout = 1800
[[runners]]
  name = "podman-1"
  url = "https://gitlab.example.com/"
  id = 12345
  token = "glrt-XXXX"
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "docker"
  environment = ["A=b=c", "FF_TIMESTAMPS=false"]
  [runners.cache]
    MaxUploadedArchiveSize = 0
  [runners.docker]
    image = "alpine:3.20"
    privileged = false
    volumes = ["/cache"]
    pull_policy = "if-not-present"
    shm_size = 0
"#;
        let parsed = parse_config(text, "config.toml").unwrap();
        assert_eq!(parsed.warnings, Vec::<String>::new());
        let config = parsed.config;
        assert_eq!(
            (config.concurrent, config.check_interval()),
            (4, Duration::from_secs(3))
        );
        let runner = &config.runners[0];
        assert_eq!(
            (runner.name.as_str(), runner.id, runner.token.expose()),
            ("podman-1", 12345, "glrt-XXXX")
        );
        assert_eq!(runner.docker.pull_policy, ["if-not-present"]);
        assert_eq!(runner.environment, ["A=b=c", "FF_TIMESTAMPS=false"]);
    }

    #[test]
    fn keys_without_effect_are_named() {
        let text = "concurrent = 1\nsentry_dsn = \"x\"\n[[runners]]\ntoken = \"t\"\nwhatever = 1\n[runners.docker]\nlinks = [\"a:b\"]\nvolumes_from = []\n";
        let warnings = parse_config(text, "c").unwrap().warnings;
        assert_eq!(
            warnings,
            [
                "`runners.docker.links` has no effect in this version",
                "`runners.whatever` has no effect in this version",
                "`sentry_dsn` has no effect in this version"
            ]
        );
    }

    #[test]
    fn errors_say_where() {
        for (text, location, part) in [
            ("concurrent = \"x\"", "c.toml:1:14", "invalid type"),
            (
                "concurrent = 1\n[[runners]]\n  limit = [\n",
                "c.toml:3:12",
                "unclosed array",
            ),
            ("concurrent = 0", "c.toml", "at least 1"),
        ] {
            match parse_config(text, "c.toml") {
                Err(ConfigError::Invalid { location: at, message }) => {
                    assert_eq!(at, location, "{text}");
                    assert!(message.contains(part), "{message}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_empty_file_has_the_defaults() {
        let config = parse_config("", "c").unwrap().config;
        assert_eq!((config.concurrent, config.runners.len()), (1, 0));
    }
}
