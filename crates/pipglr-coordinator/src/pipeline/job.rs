//! One job of a running pipeline and its single transitions.

use super::status::JobState;
use super::{PipelineId, after};
use crate::record::{ArtifactRecord, JobTimes};
use crate::state::RunnerId;
use jiff::Timestamp;
use pipglr_ci::model::{AllowFailure, Job};
use pipglr_protocol::{Secret, payload::JobId, update::FailureReason};
use std::time::Duration;

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheduling {
    /// All jobs of earlier stages.
    Stage,
    /// These jobs, by index.
    Dag(Vec<usize>),
}

/// A job as the coordinator keeps it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(crate) struct JobRun {
    pub(crate) id: JobId,
    pub(crate) definition: Job,
    pub(crate) stage_index: usize,
    pub(crate) scheduling: Scheduling,
    /// Indices of the jobs whose archives this job downloads.
    pub(crate) dependencies: Vec<usize>,
    pub(crate) token: Secret,
    pub(crate) state: JobState,
    pub(crate) allow_failure: bool,
    pub(crate) exit_code: Option<i32>,
    pub(crate) failure_reason: Option<FailureReason>,
    pub(crate) assignment: Option<Assignment>,
    pub(crate) times: JobTimes,
    pub(crate) artifacts: Vec<ArtifactRecord>,
    pub(crate) trace_size: u64,
    /// From 1; a retry counts on.
    pub(crate) attempt: u32,
    /// The attempt before this one.
    pub(crate) retry_of: Option<JobId>,
    /// A later attempt has taken its place: nothing waits for it any more.
    pub(crate) retried: bool,
    /// Was not run: an earlier pipeline's result stands for it.
    pub(crate) reused: bool,
    /// A manual job that is played as soon as its turn comes.
    pub(crate) auto_play: bool,
    /// While scheduled: when it starts.
    pub(crate) start_at: Option<Timestamp>,
    /// The pipeline a bridge started.
    pub(crate) downstream: Option<PipelineId>,
    /// What its dotenv report said, for the jobs that depend on it.
    pub(crate) dotenv: Vec<(String, String)>,
    /// What a person should know about the outcome.
    pub(crate) message: Option<String>,
    /// A 412 was sent once; a second mismatch is accepted.
    pub(crate) resend_requested: bool,
}

/// The runner that has the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) runner: RunnerId,
    /// The runner announced that it accepts jobs in a second call.
    pub(crate) two_phase: bool,
    /// The runner can stop a script and still run `after_script`.
    pub(crate) cancel_gracefully: bool,
    pub(crate) timeout: Duration,
    /// While pending: when the job goes back to the queue.
    pub(crate) accept_by: Timestamp,
    pub(crate) last_contact: Timestamp,
    /// Longest time without a word of the runner.
    pub(crate) silence_limit: Duration,
}

/// How a job ended, by the runner's word or the coordinator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failed {
        reason: FailureReason,
        exit_code: Option<i32>,
    },
}

impl JobRun {
    /// Time the whole job may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.definition.timeout.unwrap_or(Duration::from_hours(1))
    }

    /// A job nothing has happened to yet.
    pub(super) fn new(definition: Job, id: JobId, token: Secret, stage_index: usize, now: Timestamp) -> Self {
        Self {
            id,
            token,
            stage_index,
            scheduling: Scheduling::Stage,
            dependencies: Vec::new(),
            state: JobState::Created,
            allow_failure: definition.allow_failure == AllowFailure::Yes,
            exit_code: None,
            failure_reason: None,
            assignment: None,
            times: JobTimes {
                created_at: now,
                ..JobTimes::default()
            },
            artifacts: Vec::new(),
            trace_size: 0,
            attempt: 1,
            retry_of: None,
            retried: false,
            reused: false,
            auto_play: false,
            start_at: None,
            downstream: None,
            dotenv: Vec::new(),
            message: None,
            resend_requested: false,
            definition,
        }
    }

    /// Whether it is a pipeline of its own.
    pub(crate) fn is_bridge(&self) -> bool {
        self.definition.trigger.is_some()
    }

    /// Whether a runner may be given this job.
    pub(crate) fn is_available(&self) -> bool {
        self.state == JobState::Pending && self.assignment.is_none() && !self.is_bridge()
    }

    /// The archive it uploaded, whether it can still be had or not.
    pub(crate) fn archive(&self) -> Option<&ArtifactRecord> {
        self.artifacts
            .iter()
            .find(|a| a.artifact_type == ArtifactRecord::ARCHIVE)
    }

    /// Whether it has its resource group.
    pub(crate) fn holds_resource(&self) -> bool {
        self.definition.resource_group.is_some()
            && !self.retried
            && matches!(self.state, JobState::Pending | JobState::Running | JobState::Canceling)
    }

    /// Whether a runner has it but did not accept it yet.
    pub(crate) fn awaits_acceptance(&self) -> bool {
        self.state == JobState::Pending && self.assignment.is_some()
    }

    /// Its turn has come: it waits for its resource group if it has one, else for a runner.
    pub(super) fn enqueue(&mut self, now: Timestamp) {
        self.start_at = None;
        if self.definition.resource_group.is_some() {
            self.state = JobState::WaitingForResource;
        } else {
            self.requeue(now);
        }
    }

    /// Waits for a runner.
    pub(super) fn requeue(&mut self, now: Timestamp) {
        self.state = JobState::Pending;
        self.assignment = None;
        self.times.queued_at = Some(now);
    }

    /// Starts later by itself.
    pub(super) fn schedule(&mut self, now: Timestamp) {
        self.state = JobState::Scheduled;
        self.start_at = Some(after(now, self.definition.start_in.unwrap_or_default()));
    }

    pub(super) fn skip(&mut self, now: Timestamp) {
        self.state = JobState::Skipped;
        self.times.finished_at = Some(now);
    }

    /// Ends a job that never ran here, with a word about it.
    pub(super) fn skip_with(&mut self, message: String, now: Timestamp) {
        self.message = Some(message);
        self.skip(now);
    }

    pub(super) fn reopen(&mut self) {
        self.state = JobState::Created;
        self.times.finished_at = None;
    }

    pub(super) fn run(&mut self, now: Timestamp) {
        self.state = JobState::Running;
        self.times.started_at = Some(now);
    }

    pub(super) fn finish(&mut self, outcome: Outcome, now: Timestamp) {
        self.times.finished_at = Some(now);
        let canceling = self.state == JobState::Canceling;
        match outcome {
            Outcome::Success => self.state = JobState::Success,
            Outcome::Failed { reason, exit_code } => {
                self.state = JobState::Failed;
                self.exit_code = exit_code;
                if let (AllowFailure::ExitCodes(codes), Some(code)) = (&self.definition.allow_failure, exit_code) {
                    self.allow_failure |= codes.contains(&code);
                }
                self.failure_reason = Some(reason);
            }
        }
        if canceling {
            self.state = JobState::Canceled;
            self.failure_reason = None;
        }
    }

    /// Cancels what is alive; says whether anything changed.
    pub(super) fn cancel(&mut self, now: Timestamp) -> bool {
        let graceful = self.assignment.as_ref().is_some_and(|a| a.cancel_gracefully);
        match self.state {
            JobState::Running if graceful => self.state = JobState::Canceling,
            JobState::Created
            | JobState::WaitingForResource
            | JobState::Manual
            | JobState::Scheduled
            | JobState::Pending
            | JobState::Running => {
                self.start_at = None;
                self.state = JobState::Canceled;
                self.times.finished_at = Some(now);
            }
            JobState::Canceling | JobState::Success | JobState::Failed | JobState::Canceled | JobState::Skipped => {
                return false;
            }
        }
        true
    }
}
