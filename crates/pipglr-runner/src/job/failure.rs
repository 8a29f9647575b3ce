//! Why a job failed, in the words of each audience: the job's author, the coordinator, the operator.

use crate::trace::sender::FinalState;
use pipglr_protocol::update::{FailureReason, UpdateState};
use std::time::Duration;

/// A job's end that is not success.
#[derive(Debug, thiserror::Error)]
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
    StageTimeout { what: &'static str, limit: Duration },
    /// Canceled by a user.
    #[error("canceled")]
    Canceled,
    /// The runner was told to stop.
    #[error("aborted: {0}")]
    Interrupted(&'static str),
    /// An image could not be had; carries its classification.
    #[error("failed to pull image {image:?} with specified policies [{policies}]: {message}")]
    Pull {
        image: String,
        policies: String,
        message: String,
        reason: FailureReason,
    },
    /// The job asks for something this runner's configuration forbids or cannot do.
    #[error("{0}")]
    Configuration(String),
    /// Somebody removed a container of the job while it worked.
    #[error("container {id:?} was removed by somebody else")]
    ContainerGone { id: String },
    /// Our side broke.
    #[error("{0:#}")]
    System(#[from] anyhow::Error),
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
            Self::Pull { reason, .. } => reason.clone(),
            Self::Configuration(_) => FailureReason::RunnerConfigurationError,
            Self::ContainerGone { .. } | Self::System(_) => FailureReason::RunnerSystemFailure,
        }
    }

    pub(super) fn stage_timeout(what: &'static str) -> Self {
        let limit = Duration::ZERO;
        Self::StageTimeout { what, limit }
    }

    /// Whether containers of the job may still be busy: it was stopped from outside, or nobody knows.
    pub(super) fn leaves_containers_at_work(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::StageTimeout { .. }
            | Self::Canceled
            | Self::Interrupted(_)
            | Self::ContainerGone { .. }
            | Self::System(_) => true,
            Self::ExitCode(_) | Self::ScriptTimeout | Self::Pull { .. } | Self::Configuration(_) => false,
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

/// A failed pull, classified by what the engine said.
///
/// Compat: gitlab-runner common/classify_image_pull_failure.go, with podman's own words added.
#[must_use]
pub fn classify_pull(message: &str) -> FailureReason {
    const DEPENDENCY: [&str; 10] = [
        "dial tcp",
        "connection refused",
        "no such host",
        "i/o timeout",
        "tls handshake",
        "client.timeout exceeded",
        "request canceled",
        "connection reset",
        "network is unreachable",
        "no route to host",
    ];
    const CONFIGURATION: [&str; 12] = [
        "not found",
        "manifest unknown",
        "pull access denied",
        "access to the resource is denied",
        "no basic auth credentials",
        "repository does not exist or may require",
        "unauthorized",
        "authentication required",
        "invalid reference format",
        "image not known",
        "name unknown",
        "short-name",
    ];
    let message = message.to_lowercase();
    if DEPENDENCY.iter().any(|p| message.contains(p)) {
        FailureReason::RunnerExternalDependencyFailure
    } else if CONFIGURATION.iter().any(|p| message.contains(p)) {
        FailureReason::RunnerConfigurationError
    } else {
        FailureReason::ImagePullFailure
    }
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
    use super::{FailureReason as R, JobError, classify_pull, final_state, go_duration};
    use pipglr_protocol::update::UpdateState;
    use std::time::Duration;

    #[test]
    fn ends_are_reported_with_reason_and_code() {
        let cases = [
            (JobError::ExitCode(3), R::ScriptFailure, 3, "Job failed: exit code 3"),
            (
                JobError::Timeout(Duration::from_secs(3600)),
                R::JobExecutionTimeout,
                0,
                "Job failed: execution took longer than 1h0m0s seconds",
            ),
            (JobError::Canceled, R::UnknownFailure, 0, "Job failed: canceled"),
            (
                JobError::Configuration("x".into()),
                R::ScriptFailure,
                0,
                "Job failed: x",
            ),
            (
                JobError::System(anyhow::anyhow!("b").context("a")),
                R::RunnerSystemFailure,
                0,
                "Job failed (system failure): a: b",
            ),
        ];
        for (error, reason, code, line) in cases {
            assert_eq!(error.last_line(), line);
            let state = final_state(&Err(error), &[]);
            assert_eq!(
                (state.state, state.failure_reason, state.exit_code),
                (UpdateState::Failed, Some(reason), code)
            );
        }
    }

    #[test]
    fn pull_failures_are_classified() {
        for (message, reason) in [
            (
                "pinging container registry h: Get \"https://h/v2/\": dial tcp 1.2.3.4:443: connect: refused",
                R::RunnerExternalDependencyFailure,
            ),
            (
                "reading manifest 9 in h/x: manifest unknown",
                R::RunnerConfigurationError,
            ),
            ("unauthorized: authentication required", R::RunnerConfigurationError),
            ("write /var/tmp/x: no space left on device", R::ImagePullFailure),
        ] {
            assert_eq!(classify_pull(message), reason, "{message}");
        }
    }

    #[test]
    fn durations_print_like_go() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (3725, "1h2m5s")] {
            assert_eq!(go_duration(Duration::from_secs(seconds)), text);
        }
    }
}
