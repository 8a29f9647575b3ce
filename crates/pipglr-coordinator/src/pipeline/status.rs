//! States of jobs, and the one state that stands for many.

use std::fmt;

/// State of a job; a pipeline's state is one of these as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for other jobs.
    Created,
    /// Another job has its resource group.
    WaitingForResource,
    /// Waits for somebody to play it.
    Manual,
    /// Waits for its time, `start_in`.
    Scheduled,
    /// Waits for a runner, or for the runner to accept it.
    Pending,
    Running,
    /// The runner was asked to stop and may still run `after_script`.
    Canceling,
    Success,
    Failed,
    Canceled,
    Skipped,
}

impl JobState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::WaitingForResource => "waiting_for_resource",
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled | Self::Skipped)
    }

    /// The state of a pipeline whose jobs are together in this one: what began once is running, not pending again.
    ///
    /// Compat: GitLab app/models/ci/pipeline.rb, event `enqueue`.
    pub(super) fn following(self, before: Self) -> Self {
        match (self, before) {
            (Self::Pending, Self::Running | Self::Success | Self::Failed | Self::Canceled) => Self::Running,
            (Self::Pending, Self::Canceling) => Self::Canceling,
            _ => self,
        }
    }

    /// Whether a runner works on it.
    #[must_use]
    pub fn is_processing(self) -> bool {
        matches!(self, Self::Running | Self::Canceling)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How predecessors are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All jobs of earlier stages, or all jobs of a pipeline.
    Stage,
    /// The jobs named in `needs`.
    Dag,
}

/// The set of states found among some jobs; adding and asking take constant time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StatusSet(u16);

const CREATED: u16 = 1;
const MANUAL: u16 = 1 << 1;
const PENDING: u16 = 1 << 2;
const RUNNING: u16 = 1 << 3;
const CANCELING: u16 = 1 << 4;
const SUCCESS: u16 = 1 << 5;
const FAILED: u16 = 1 << 6;
const CANCELED: u16 = 1 << 7;
const SKIPPED: u16 = 1 << 8;
/// Failed or canceled, and allowed to.
const WARNING: u16 = 1 << 9;
/// Manual, not played, and optional.
const IGNORED: u16 = 1 << 10;
const WAITING: u16 = 1 << 11;
const SCHEDULED: u16 = 1 << 12;

impl StatusSet {
    /// Adds one job.
    pub(crate) fn insert(&mut self, state: JobState, allow_failure: bool) {
        self.0 |= match (state, allow_failure) {
            (JobState::Manual, true) => IGNORED,
            (JobState::Failed | JobState::Canceled, true) => WARNING,
            (JobState::Manual, false) => MANUAL,
            (JobState::Failed, false) => FAILED,
            (JobState::Canceled, false) => CANCELED,
            (JobState::Created, _) => CREATED,
            (JobState::WaitingForResource, _) => WAITING,
            (JobState::Scheduled, _) => SCHEDULED,
            (JobState::Pending, _) => PENDING,
            (JobState::Running, _) => RUNNING,
            (JobState::Canceling, _) => CANCELING,
            (JobState::Success, _) => SUCCESS,
            (JobState::Skipped, _) => SKIPPED,
        };
    }

    /// Whether a job failed that is allowed to.
    pub(crate) fn has_warnings(self) -> bool {
        self.any(WARNING)
    }

    fn any(self, mask: u16) -> bool {
        self.0 & mask != 0
    }

    fn only(self, mask: u16) -> bool {
        self.0 & !mask == 0
    }

    /// The state that stands for the whole set; nothing at all counts as success.
    ///
    /// Compat: GitLab lib/gitlab/ci/status/composite.rb, first hit wins.
    pub(crate) fn composite(self, mode: Mode) -> JobState {
        let harmless = WARNING | IGNORED;
        if self.0 == 0 {
            JobState::Success
        } else if mode == Mode::Dag && self.any(SKIPPED | IGNORED) {
            JobState::Skipped
        } else if mode == Mode::Dag && !self.only(SUCCESS | FAILED | CANCELED | SKIPPED | WARNING) {
            JobState::Pending
        } else if self.only(SKIPPED | IGNORED) {
            JobState::Skipped
        } else if self.only(SUCCESS | SKIPPED | harmless) {
            JobState::Success
        } else if self.only(CREATED | harmless) {
            JobState::Created
        } else if self.any(CANCELING) {
            JobState::Canceling
        } else if self.only(CANCELED | SUCCESS | SKIPPED | harmless) {
            JobState::Canceled
        } else if self.only(PENDING | CREATED | SKIPPED | harmless) {
            JobState::Pending
        } else if self.any(RUNNING | PENDING) {
            JobState::Running
        } else if self.any(WAITING) {
            JobState::WaitingForResource
        } else if self.any(MANUAL) {
            JobState::Manual
        } else if self.any(SCHEDULED) {
            JobState::Scheduled
        } else if self.any(CREATED) {
            JobState::Running
        } else {
            JobState::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JobState as S, Mode, StatusSet};

    #[track_caller]
    fn check(jobs: &[(S, bool)], stage: S, dag: S) {
        let mut set = StatusSet::default();
        for (state, allow_failure) in jobs {
            set.insert(*state, *allow_failure);
        }
        assert_eq!(
            (set.composite(Mode::Stage), set.composite(Mode::Dag)),
            (stage, dag),
            "{jobs:?}"
        );
    }

    #[test]
    fn finished_jobs_make_a_finished_state() {
        for (jobs, stage, dag) in [
            (&[][..], S::Success, S::Success),
            (&[(S::Success, false)], S::Success, S::Success),
            (&[(S::Success, false), (S::Skipped, false)], S::Success, S::Skipped),
            (&[(S::Skipped, false)], S::Skipped, S::Skipped),
            (&[(S::Manual, true)], S::Skipped, S::Skipped),
            (&[(S::Success, false), (S::Manual, true)], S::Success, S::Skipped),
            (&[(S::Failed, true)], S::Success, S::Success),
            (&[(S::Canceled, true), (S::Success, false)], S::Success, S::Success),
            (&[(S::Failed, false), (S::Success, false)], S::Failed, S::Failed),
            (&[(S::Failed, false), (S::Skipped, false)], S::Failed, S::Skipped),
            (&[(S::Canceled, false), (S::Success, false)], S::Canceled, S::Canceled),
            (&[(S::Canceled, false), (S::Failed, false)], S::Failed, S::Failed),
        ] {
            check(jobs, stage, dag);
        }
    }

    #[test]
    fn living_jobs_make_a_living_state() {
        for (jobs, stage) in [
            (&[(S::Canceling, false), (S::Running, false)][..], S::Canceling),
            (&[(S::Created, false)], S::Created),
            (&[(S::Created, false), (S::Success, false)], S::Running),
            (&[(S::Created, false), (S::Failed, false)], S::Running),
            (&[(S::Pending, false), (S::Created, false)], S::Pending),
            (&[(S::Pending, false), (S::Success, false)], S::Running),
            (&[(S::Running, false), (S::Failed, false)], S::Running),
            (
                &[(S::Manual, false), (S::Success, false), (S::Created, false)],
                S::Manual,
            ),
            (&[(S::Manual, false), (S::Failed, false)], S::Manual),
            (&[(S::Scheduled, false)], S::Scheduled),
            (&[(S::Scheduled, true), (S::Failed, false)], S::Scheduled),
            (&[(S::Scheduled, false), (S::Manual, false)], S::Manual),
            (
                &[(S::WaitingForResource, false), (S::Scheduled, false)],
                S::WaitingForResource,
            ),
            (&[(S::WaitingForResource, false), (S::Pending, false)], S::Running),
            (
                &[(S::Success, false), (S::Scheduled, false), (S::Created, false)],
                S::Scheduled,
            ),
        ] {
            check(jobs, stage, S::Pending);
        }
    }
}
