//! Time limits below the job's own.
//!
//! Compat: gitlab-runner common/build.go `getStageTimeoutContexts`. A limit longer than the job's is the job's, where
//! gitlab-runner falls back to the default.

use super::{AcceptedJob, AllVariables, timeout};
use crate::job::{JobError, go_duration};
use std::time::Duration;

/// Time `after_script` has unless `RUNNER_AFTER_SCRIPT_TIMEOUT` says otherwise.
const AFTER_SCRIPT: Duration = Duration::from_secs(300);

/// Limits of single phases. `None` is the job's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `prepare_timeout` of config.toml.
    pub prepare: Option<Duration>,
    /// `get_sources_timeout` of config.toml.
    pub get_sources: Option<Duration>,
    /// `RUNNER_SCRIPT_TIMEOUT`.
    pub script: Option<Duration>,
    /// `RUNNER_AFTER_SCRIPT_TIMEOUT`.
    pub after_script: Duration,
}

impl Timeouts {
    pub(super) fn new(job: &AcceptedJob, all: &AllVariables, warnings: &mut Vec<String>) -> Self {
        let whole = timeout(&job.payload);
        let mut configured = |key: &str, value: Option<Duration>| {
            let limit = value.filter(|limit| !limit.is_zero())?;
            if limit > whole {
                warnings.push(too_long(key, &go_duration(limit), whole));
                return None;
            }
            Some(limit)
        };
        let prepare = configured("prepare_timeout", job.runner.prepare_timeout);
        let get_sources = configured("get_sources_timeout", job.runner.get_sources_timeout);
        let mut asked = |key: &str| of_variable(key, &all.variables.get(key).unwrap_or_default(), whole, warnings);
        Self {
            prepare,
            get_sources,
            script: asked("RUNNER_SCRIPT_TIMEOUT"),
            after_script: asked("RUNNER_AFTER_SCRIPT_TIMEOUT").unwrap_or(AFTER_SCRIPT),
        }
    }

    /// The error of a phase whose time was up.
    pub(crate) fn exceeded(what: impl Into<std::borrow::Cow<'static, str>>, limit: Option<Duration>) -> JobError {
        let limit = limit.unwrap_or_default();
        let what = what.into();
        JobError::StageTimeout { what, limit }
    }
}

/// The limit a variable asks for; `None` where the default holds.
fn of_variable(key: &str, text: &str, whole: Duration, warnings: &mut Vec<String>) -> Option<Duration> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() {
        return None;
    }
    let Some(limit) = crate::config::parse_go_duration(digits) else {
        warnings.push(format!("Ignoring malformed {key} timeout: {text}"));
        return None;
    };
    if limit.is_zero() {
        return None;
    }
    if negative {
        warnings.push(format!("Ignoring relative {key} timeout: {text}"));
        return None;
    }
    if limit > whole {
        warnings.push(too_long(key, text, whole));
        return Some(whole);
    }
    Some(limit)
}

fn too_long(key: &str, asked: &str, whole: Duration) -> String {
    format!(
        "{key} timeout: {asked} is longer than the job may take, {} is the limit",
        go_duration(whole)
    )
}

/// Whole seconds, never none: what asks for less than a second gets one.
pub(super) fn seconds(limit: Duration) -> u64 {
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::{of_variable, seconds};
    use std::time::Duration;

    #[test]
    fn limits_are_read_from_variables() {
        let malformed = "Ignoring malformed V timeout: ";
        let relative = "Ignoring relative V timeout: ";
        let long = "V timeout: 2h is longer than the job may take, 1h0m0s is the limit";
        for (name, text, expected, warning) in [
            ("absent", "", None, String::new()),
            ("blank", " ", None, String::new()),
            ("zero is the default", "0", None, String::new()),
            ("zero seconds", "0s", None, String::new()),
            ("minutes", "10m", Some(600), String::new()),
            ("mixed", "1m30s", Some(90), String::new()),
            ("with a plus", "+5s", Some(5), String::new()),
            ("less than a second", "10ms", Some(1), String::new()),
            ("as long as the job", "1h", Some(3600), String::new()),
            ("longer than the job", "2h", Some(3600), long.to_owned()),
            ("no unit", "5", None, format!("{malformed}5")),
            ("words", "5 minutes", None, format!("{malformed}5 minutes")),
            ("a dash and words", "-soon", None, format!("{malformed}-soon")),
            ("negative", "-10m", None, format!("{relative}-10m")),
        ] {
            let mut warnings = Vec::new();
            let limit = of_variable("V", text, Duration::from_secs(3600), &mut warnings);
            assert_eq!(limit.map(seconds), expected, "{name}");
            assert_eq!(warnings.concat(), warning, "{name}");
        }
    }
}
