//! `PUT jobs/:id`: state changes of a job and the reasons it can fail for.

use crate::{Secret, info::Info};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A state update sent by the runner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobUpdate {
    #[serde(default)]
    pub info: Info,
    /// The job's token.
    pub token: Secret,
    pub state: UpdateState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<FailureReason>,
    /// Older duplicate of `output.checksum`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    #[serde(default)]
    pub output: Output,
    /// Omitted when zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exit_code: i32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(code: &i32) -> bool {
    *code == 0
}

/// What the runner has of the job's log so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// `crc32:` and eight lower-case hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytesize: Option<u64>,
}

impl Output {
    /// Describes a log of `bytesize` bytes with the given CRC-32.
    #[must_use]
    pub fn of(crc32: u32, bytesize: u64) -> Self {
        Self {
            checksum: Some(format!("crc32:{crc32:08x}")),
            bytesize: Some(bytesize),
        }
    }
}

/// States a runner can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Keep-alive of a job that waits for its two-phase acknowledgement; gitlab-runner never sends it.
    Pending,
    Running,
    Success,
    Failed,
}

/// Why a job failed, in the words of GitLab's enum. Unknown words are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FailureReason {
    ScriptFailure,
    RunnerSystemFailure,
    JobExecutionTimeout,
    ImagePullFailure,
    RunnerExternalDependencyFailure,
    RunnerConfigurationError,
    RunnerInterrupted,
    JobCanceled,
    UnknownFailure,
    /// A word only the other side knows.
    Named(String),
}

impl FailureReason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ScriptFailure => "script_failure",
            Self::RunnerSystemFailure => "runner_system_failure",
            Self::JobExecutionTimeout => "job_execution_timeout",
            Self::ImagePullFailure => "image_pull_failure",
            Self::RunnerExternalDependencyFailure => "runner_external_dependency_failure",
            Self::RunnerConfigurationError => "runner_configuration_error",
            Self::RunnerInterrupted => "runner_interrupted",
            Self::JobCanceled => "job_canceled",
            Self::UnknownFailure => "unknown_failure",
            Self::Named(name) => name,
        }
    }

    /// The reason to send to a coordinator that lists `supported` reasons.
    ///
    /// Compat: gitlab-runner common/failure_reason_mapper.go.
    #[must_use]
    pub fn for_coordinator(&self, supported: &[String]) -> Self {
        use FailureReason as R;
        let always = matches!(self, R::ScriptFailure | R::RunnerSystemFailure | R::JobExecutionTimeout);
        if always || supported.iter().any(|s| s == self.as_str()) {
            return self.clone();
        }
        match self {
            R::ImagePullFailure | R::RunnerExternalDependencyFailure => R::RunnerSystemFailure,
            R::RunnerConfigurationError => R::ScriptFailure,
            _ => R::UnknownFailure,
        }
    }
}

impl From<&str> for FailureReason {
    fn from(word: &str) -> Self {
        match word {
            "script_failure" => Self::ScriptFailure,
            "runner_system_failure" => Self::RunnerSystemFailure,
            "job_execution_timeout" => Self::JobExecutionTimeout,
            "image_pull_failure" => Self::ImagePullFailure,
            "runner_external_dependency_failure" => Self::RunnerExternalDependencyFailure,
            "runner_configuration_error" => Self::RunnerConfigurationError,
            "runner_interrupted" => Self::RunnerInterrupted,
            "job_canceled" => Self::JobCanceled,
            "unknown_failure" => Self::UnknownFailure,
            other => Self::Named(other.to_owned()),
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FailureReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FailureReason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

/// The coordinator's view of a job, from the `Job-Status` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteJobState {
    /// Go on.
    Running,
    /// Stop the script, run `after_script`, report.
    Canceling,
    /// The job is over for the coordinator: stop at once.
    Ended,
}

impl RemoteJobState {
    /// Reads the header's value; anything unknown means "go on".
    #[must_use]
    pub fn parse(value: &str) -> Self {
        match value.trim() {
            "canceling" => Self::Canceling,
            "canceled" | "failed" => Self::Ended,
            _ => Self::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureReason as R;

    #[test]
    fn reasons_the_coordinator_does_not_list_are_mapped() {
        let none: Vec<String> = Vec::new();
        let named = |word: &str| R::Named(word.to_owned());
        for (name, reason, sent) in [
            ("reason script_failure", R::ScriptFailure, R::ScriptFailure),
            (
                "reason runner_system_failure",
                R::RunnerSystemFailure,
                R::RunnerSystemFailure,
            ),
            (
                "reason job_execution_timeout",
                R::JobExecutionTimeout,
                R::JobExecutionTimeout,
            ),
            ("reason image_pull_failure", R::ImagePullFailure, R::RunnerSystemFailure),
            (
                "reason runner_configuration_error",
                R::RunnerConfigurationError,
                R::ScriptFailure,
            ),
            (
                "reason runner_external_dependency_failure",
                R::RunnerExternalDependencyFailure,
                R::RunnerSystemFailure,
            ),
            ("reason job_canceled", R::JobCanceled, R::UnknownFailure),
            ("reason runner_interrupted", R::RunnerInterrupted, R::UnknownFailure),
            ("reason unknown_failure", R::UnknownFailure, R::UnknownFailure),
            ("reason nobody knows", named("of_the_future"), R::UnknownFailure),
        ] {
            assert_eq!(reason.for_coordinator(&none), sent, "{name}");
            let listed = vec!["other".to_owned(), reason.as_str().to_owned()];
            assert_eq!(reason.for_coordinator(&listed), reason, "{name}, listed");
        }
    }

    #[test]
    fn unknown_words_survive_a_round_trip() {
        let json = "\"trace_size_exceeded\"";
        let reason: R = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&reason).unwrap(), json);
    }
}
