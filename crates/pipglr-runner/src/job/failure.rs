//! Why a job failed, in the words of each audience: the job's author, the coordinator, the operator.

use crate::trace::sender::FinalState;
use pipglr_protocol::update::{FailureReason, UpdateState};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// A job's end that is not success.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobError {
    /// A script or a helper phase ended with this code.
    #[error("exit code {0}")]
    ExitCode(i32),
    /// The job's own time was up.
    #[error("execution took longer than {} seconds", go_duration(*.0))]
    Timeout(Duration),
    /// `RUNNER_SCRIPT_TIMEOUT` was up.
    #[error("script timeout: context deadline exceeded")]
    ScriptTimeout,
    /// `prepare_timeout` or `get_sources_timeout` of config.toml was up.
    #[error("{what} timeout: exceeded timeout of {}", go_duration(*.limit))]
    StageTimeout { what: Cow<'static, str>, limit: Duration },
    /// Canceled by a user.
    #[error("canceled")]
    Canceled,
    /// The runner was told to stop.
    #[error("aborted: {0}")]
    Interrupted(Cow<'static, str>),
    /// An image could not be had; carries its classification.
    #[error("failed to pull image {image:?} with specified policies [{policies}]: {message}")]
    Pull {
        image: String,
        policies: String,
        message: String,
        reason: FailureReason,
    },
    /// A secret could not be had; carries its classification.
    #[error("resolving secrets: {message}")]
    Secrets { message: String, reason: FailureReason },
    /// The job asks for something this runner's configuration forbids or cannot do.
    #[error("{0}")]
    Configuration(String),
    /// Somebody removed a container of the job while it worked.
    #[error("container {id:?} was removed by somebody else")]
    ContainerGone { id: String },
    /// A container ended before it had its plan; nothing was done.
    #[error("{0}")]
    NothingRan(String),
    /// Our side broke.
    #[error("{0:#}")]
    System(
        #[from]
        #[serde(with = "words")]
        anyhow::Error,
    ),
}

impl JobError {
    /// The reason as this runner means it, before the coordinator's list is consulted.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::ExitCode(_) => FailureReason::ScriptFailure,
            Self::Timeout(_) | Self::ScriptTimeout | Self::StageTimeout { .. } => FailureReason::JobExecutionTimeout,
            Self::Canceled => FailureReason::JobCanceled,
            Self::Interrupted(_) => FailureReason::RunnerInterrupted,
            Self::Pull { reason, .. } | Self::Secrets { reason, .. } => reason.clone(),
            Self::Configuration(_) => FailureReason::RunnerConfigurationError,
            Self::ContainerGone { .. } | Self::NothingRan(_) | Self::System(_) => FailureReason::RunnerSystemFailure,
        }
    }

    pub(super) fn stage_timeout(what: &'static str) -> Self {
        Self::StageTimeout {
            what: Cow::Borrowed(what),
            limit: Duration::ZERO,
        }
    }

    /// Whether containers of the job may still be busy: it was stopped from outside, or nobody knows.
    pub(super) fn leaves_containers_at_work(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::StageTimeout { .. }
            | Self::Canceled
            | Self::Interrupted(_)
            | Self::ContainerGone { .. }
            | Self::NothingRan(_)
            // Sources and services are on their way meanwhile.
            | Self::Pull { .. }
            | Self::System(_) => true,
            Self::ExitCode(_)
            | Self::ScriptTimeout
            | Self::Secrets { .. }
            | Self::Configuration(_) => false,
        }
    }

    /// The last line of the job's log.
    #[must_use]
    pub fn last_line(&self) -> String {
        let system = if self.reason() == FailureReason::RunnerSystemFailure {
            " (system failure)"
        } else {
            ""
        };
        format!("Job failed{system}: {self}")
    }
}

/// An error as the words it is told in: all of it that survives the runner.
mod words {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(error: &anyhow::Error, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{error:#}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<anyhow::Error, D::Error> {
        String::deserialize(deserializer).map(anyhow::Error::msg)
    }
}

/// The state to report for an end, given the reasons the coordinator knows.
#[must_use]
pub fn final_state(end: &Result<(), JobError>, known_reasons: &[String]) -> FinalState {
    match end {
        Ok(()) => FinalState {
            state: UpdateState::Success,
            failure_reason: None,
            exit_code: 0,
        },
        Err(error) => FinalState {
            state: UpdateState::Failed,
            failure_reason: Some(error.reason().for_coordinator(known_reasons)),
            exit_code: if let JobError::ExitCode(code) = error { *code } else { 0 },
        },
    }
}

/// What a failed pull says, in lower case, and whose fault that is. The first that fits counts.
///
/// Compat: gitlab-runner common/classify_image_pull_failure.go, with podman's own words added.
const PULL_FAILURES: [(&str, FailureReason); 26] = [
    ("dial tcp", FailureReason::RunnerExternalDependencyFailure),
    ("connection refused", FailureReason::RunnerExternalDependencyFailure),
    ("no such host", FailureReason::RunnerExternalDependencyFailure),
    ("i/o timeout", FailureReason::RunnerExternalDependencyFailure),
    ("tls handshake", FailureReason::RunnerExternalDependencyFailure),
    (
        "client.timeout exceeded",
        FailureReason::RunnerExternalDependencyFailure,
    ),
    ("request canceled", FailureReason::RunnerExternalDependencyFailure),
    ("connection reset", FailureReason::RunnerExternalDependencyFailure),
    ("network is unreachable", FailureReason::RunnerExternalDependencyFailure),
    ("no route to host", FailureReason::RunnerExternalDependencyFailure),
    ("unexpected eof", FailureReason::RunnerExternalDependencyFailure),
    ("not found", FailureReason::RunnerConfigurationError),
    ("manifest unknown", FailureReason::RunnerConfigurationError),
    ("pull access denied", FailureReason::RunnerConfigurationError),
    (
        "access to the resource is denied",
        FailureReason::RunnerConfigurationError,
    ),
    ("no basic auth credentials", FailureReason::RunnerConfigurationError),
    (
        "repository does not exist or may require",
        FailureReason::RunnerConfigurationError,
    ),
    ("unauthorized", FailureReason::RunnerConfigurationError),
    ("authentication required", FailureReason::RunnerConfigurationError),
    ("invalid reference format", FailureReason::RunnerConfigurationError),
    ("image not known", FailureReason::RunnerConfigurationError),
    ("name unknown", FailureReason::RunnerConfigurationError),
    ("short-name", FailureReason::RunnerConfigurationError),
    ("invalid username/password", FailureReason::RunnerConfigurationError),
    ("no image found in", FailureReason::RunnerConfigurationError),
    ("is blocked in", FailureReason::RunnerConfigurationError),
];

/// A failed pull, classified by what the engine said.
#[must_use]
pub fn classify_pull(message: &str) -> FailureReason {
    let message = message.to_lowercase();
    PULL_FAILURES
        .into_iter()
        .find(|(words, _)| message.contains(words))
        .map_or(FailureReason::ImagePullFailure, |(_, reason)| reason)
}

/// What registries say to whoever pulls too often, in lower case.
const RATE_LIMITS: [&str; 4] = ["toomanyrequests", "too many requests", "status: 429", "pull rate limit"];

/// Whether a pull failed only because there were too many: later it may go.
#[must_use]
pub fn is_rate_limit(message: &str) -> bool {
    let message = message.to_lowercase();
    RATE_LIMITS.iter().any(|words| message.contains(words))
}

/// `1h0m0s`, as Go prints durations of whole seconds.
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{FailureReason as R, JobError, classify_pull, final_state, go_duration, is_rate_limit};
    use pipglr_protocol::update::UpdateState;
    use std::time::Duration;

    /// Name, the end, reason as we mean it, what a coordinator without a list hears, exit code, last line.
    type End = (&'static str, JobError, R, R, i32, &'static str);

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn ends() -> Vec<End> {
        let pull = |reason: R| JobError::Pull {
            image: "a:1".to_owned(),
            policies: "always".to_owned(),
            message: "no".to_owned(),
            reason,
        };
        let secrets = |reason: R| JobError::Secrets {
            message: "no".to_owned(),
            reason,
        };
        let hour = Duration::from_secs(3600);
        let (limit, pulled) = (
            hour,
            "Job failed: failed to pull image \"a:1\" with specified policies [always]: no",
        );
        let external = R::RunnerExternalDependencyFailure;
        let (config, system, late) = (
            R::RunnerConfigurationError,
            R::RunnerSystemFailure,
            R::JobExecutionTimeout,
        );
        let stage = |what: &'static str| JobError::StageTimeout {
            what: what.into(),
            limit,
        };
        vec![
            (
                "end by exit code",
                JobError::ExitCode(3),
                R::ScriptFailure,
                R::ScriptFailure,
                3,
                "Job failed: exit code 3",
            ),
            (
                "end by job time-out",
                JobError::Timeout(hour),
                late.clone(),
                late.clone(),
                0,
                "Job failed: execution took longer than 1h0m0s seconds",
            ),
            (
                "end by RUNNER_SCRIPT_TIMEOUT",
                JobError::ScriptTimeout,
                late.clone(),
                late.clone(),
                0,
                "Job failed: script timeout: context deadline exceeded",
            ),
            (
                "end by prepare_timeout",
                stage("prepare"),
                late.clone(),
                late.clone(),
                0,
                "Job failed: prepare timeout: exceeded timeout of 1h0m0s",
            ),
            (
                "end by get_sources_timeout",
                stage("get sources"),
                late.clone(),
                late,
                0,
                "Job failed: get sources timeout: exceeded timeout of 1h0m0s",
            ),
            (
                "end by cancel",
                JobError::Canceled,
                R::JobCanceled,
                R::UnknownFailure,
                0,
                "Job failed: canceled",
            ),
            (
                "end by signal",
                JobError::Interrupted("terminated".into()),
                R::RunnerInterrupted,
                R::UnknownFailure,
                0,
                "Job failed: aborted: terminated",
            ),
            (
                "end by pull",
                pull(R::ImagePullFailure),
                R::ImagePullFailure,
                system.clone(),
                0,
                pulled,
            ),
            (
                "end by missing image",
                pull(config.clone()),
                config.clone(),
                R::ScriptFailure,
                0,
                pulled,
            ),
            (
                "end by registry",
                pull(external.clone()),
                external.clone(),
                system.clone(),
                0,
                pulled,
            ),
            (
                "end by wrong secrets",
                secrets(config.clone()),
                config.clone(),
                R::ScriptFailure,
                0,
                "Job failed: resolving secrets: no",
            ),
            (
                "end by keeper of secrets",
                secrets(external.clone()),
                external,
                system.clone(),
                0,
                "Job failed: resolving secrets: no",
            ),
            (
                "end by configuration",
                JobError::Configuration("x".into()),
                config,
                R::ScriptFailure,
                0,
                "Job failed: x",
            ),
            (
                "end by removed container",
                JobError::ContainerGone { id: "c".into() },
                system.clone(),
                system.clone(),
                0,
                "Job failed (system failure): container \"c\" was removed by somebody else",
            ),
            (
                "end by us",
                JobError::System(anyhow::anyhow!("b").context("a")),
                system.clone(),
                system,
                0,
                "Job failed (system failure): a: b",
            ),
        ]
    }

    #[test]
    fn ends_are_reported_with_reason_and_code() {
        for (name, error, meant, sent, code, line) in ends() {
            assert_eq!(error.reason(), meant, "{name}");
            assert_eq!(error.last_line(), line, "{name}");
            let state = final_state(&Err(error), &[]);
            assert_eq!(
                (state.state, state.failure_reason, state.exit_code),
                (UpdateState::Failed, Some(sent), code),
                "{name}"
            );
        }
        let fine = final_state(&Ok(()), &[]);
        assert_eq!(
            (fine.state, fine.failure_reason, fine.exit_code),
            (UpdateState::Success, None, 0)
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn pull_failures_are_classified() {
        let (away, wrong, other) = (
            R::RunnerExternalDependencyFailure,
            R::RunnerConfigurationError,
            R::ImagePullFailure,
        );
        for (message, reason) in [
            ("Get \"https://h/v2/\": dial tcp 1.2.3.4:443: connect: timed out", &away),
            ("pinging container registry h: connect: connection refused", &away),
            ("lookup registry.example on 10.0.2.3:53: no such host", &away),
            ("Get \"https://h/v2/\": read tcp 10.0.2.15: i/o timeout", &away),
            ("net/http: TLS handshake timeout", &away),
            (
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                &away,
            ),
            ("net/http: request canceled while waiting for connection", &away),
            ("read: connection reset by peer", &away),
            ("connect: network is unreachable", &away),
            ("connect: no route to host", &away),
            ("copying blob sha256:1: happened during read: unexpected EOF", &away),
            ("toomanyrequests: You have reached your pull rate limit", &other),
            ("DIAL TCP: manifest unknown", &away),
            ("Error response from daemon: manifest for h/x:1 not found", &wrong),
            ("reading manifest 9 in h/x: manifest unknown", &wrong),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                &wrong,
            ),
            ("denied: requested access to the resource is denied", &wrong),
            ("no basic auth credentials", &wrong),
            ("repository does not exist or may require authentication", &wrong),
            ("unauthorized: access token expired", &wrong),
            ("errors: authentication required", &wrong),
            ("parsing reference \"X:\": invalid reference format", &wrong),
            ("localhost/x: image not known", &wrong),
            ("name unknown: repository name not known to registry", &wrong),
            ("short-name \"x\" did not resolve to an alias", &wrong),
            (
                "unable to retrieve auth token: invalid username/password: denied",
                &wrong,
            ),
            (
                "registry evil.example is blocked in /etc/containers/registries.conf",
                &wrong,
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                &other,
            ),
            ("no image found in manifest list for architecture riscv64", &wrong),
            // What docker's daemon says; an engine behind a proxy may say the same.
            (
                "Get \"https://r.test/v2/\": dial tcp: lookup r.test: no such host",
                &away,
            ),
            (
                "write tcp 10.0.0.1:5000->1.2.3.4:443: write: connection reset by peer",
                &away,
            ),
            ("Get \"https://r.test/v2/\": tls handshake timeout", &away),
            ("Head \"https://r.test/v2/\": context deadline exceeded", &other),
            (
                "manifest for x:none not found: manifest unknown: manifest unknown",
                &wrong,
            ),
            ("pull access denied for x", &wrong),
            ("Get \"https://r.test/v2/\": no basic auth credentials", &wrong),
            (
                "Error response from daemon: unauthorized: authentication required",
                &wrong,
            ),
            ("Get \"https://r.test/v2/\": 401 unauthorized", &wrong),
            ("something else", &other),
            ("write /var/tmp/x: no space left on device", &other),
            ("", &other),
        ] {
            assert_eq!(&classify_pull(message), reason, "{message}");
        }
    }

    #[test]
    fn rate_limits_are_known_by_their_words() {
        for (message, limited) in [
            (
                "reading manifest latest in docker.io/library/alpine: toomanyrequests: You have reached your pull rate limit.",
                true,
            ),
            ("received unexpected HTTP status: 429 Too Many Requests", true),
            ("unexpected status: 429", true),
            ("reading blob sha256:4290: manifest unknown", false),
            ("", false),
        ] {
            assert_eq!(is_rate_limit(message), limited, "{message}");
        }
    }

    #[test]
    fn durations_print_like_go() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (3725, "1h2m5s")] {
            assert_eq!(go_duration(Duration::from_secs(seconds)), text);
        }
    }
}
