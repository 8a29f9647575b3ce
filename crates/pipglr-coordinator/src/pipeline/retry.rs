//! Another attempt at a job: by itself after a failure, or because somebody asked for it.

use super::job::JobRun;
use super::status::JobState;
use super::{JobId, PipelineRun};
use jiff::Timestamp;
use pipglr_ci::model::AllowFailure;
use pipglr_protocol::Secret;
use pipglr_protocol::update::FailureReason;

/// Failures another attempt cannot mend.
///
/// Compat: GitLab lib/gitlab/ci/build/auto_retry.rb `RETRY_OVERRIDES`.
const NEVER: [&str; 5] = [
    "ci_quota_exceeded",
    "no_matching_runner",
    "missing_dependency_failure",
    "forward_deployment_failure",
    "environment_creation_failure",
];
/// Tried again although the job does not ask for it.
const SCHEDULER_FAILURE: &str = "scheduler_failure";
const SCHEDULER_RETRIES: u32 = 2;

/// Words of `retry:when` that stand for several reasons.
const ALIASES: [(&str, &[&str]); 2] = [
    (
        "stuck_or_timeout_failure",
        &[
            "stuck_pending_with_matching_runners",
            "stuck_pending_no_matching_runners",
            "no_updates_running",
            "no_updates_canceling",
        ],
    ),
    (
        "job_execution_timeout",
        &["server_timeout_running", "server_timeout_canceling"],
    ),
];

impl PipelineRun {
    /// Whether the failed job is to be tried again by itself.
    pub(super) fn wants_retry(&self, index: usize) -> bool {
        let job = &self.jobs[index];
        if job.state != JobState::Failed || job.retried || job.is_bridge() {
            return false;
        }
        let reason = job.failure_reason.as_ref().map_or("", FailureReason::as_str);
        let retries = job.attempt - 1;
        if NEVER.contains(&reason) {
            return false;
        }
        if reason == SCHEDULER_FAILURE && retries < SCHEDULER_RETRIES {
            return true;
        }
        let retry = &job.definition.retry;
        let everything = retry.when.is_empty() && retry.exit_codes.is_empty();
        let by_reason = retry.when.iter().any(|word| stands_for(word, reason));
        let by_code = job.exit_code.is_some_and(|code| retry.exit_codes.contains(&code));
        retries < retry.max && (everything || by_reason || by_code)
    }

    /// Failed jobs that a new attempt has to be made of.
    pub(crate) fn take_due_retries(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.due_retries)
    }

    /// Puts a new attempt in the place of a job that is over; the old one stays, at the end. Jobs that were skipped
    /// because of it are open again. `false` if the job is not over.
    ///
    /// Compat: GitLab app/services/ci/retry_job_service.rb.
    pub(crate) fn retry(&mut self, index: usize, id: JobId, token: Secret, now: Timestamp) -> bool {
        let old = &self.jobs[index];
        let over = matches!(old.state, JobState::Success | JobState::Failed | JobState::Canceled);
        if !over || old.retried {
            return false;
        }
        let fresh = JobRun {
            scheduling: old.scheduling.clone(),
            dependencies: old.dependencies.clone(),
            attempt: old.attempt + 1,
            retry_of: Some(old.id),
            auto_play: true,
            allow_failure: old.definition.allow_failure == AllowFailure::Yes,
            ..JobRun::new(old.definition.clone(), id, token, old.stage_index, now)
        };
        let mut old = std::mem::replace(&mut self.jobs[index], fresh);
        old.retried = true;
        self.jobs.push(old);
        self.jobs[index].enqueue(now);
        self.reopen_dependents(index);
        self.process(now);
        true
    }
}

fn stands_for(word: &str, reason: &str) -> bool {
    let aliased = ALIASES
        .iter()
        .any(|(alias, reasons)| *alias == word && reasons.contains(&reason));
    word == "always" || word == reason || aliased
}
