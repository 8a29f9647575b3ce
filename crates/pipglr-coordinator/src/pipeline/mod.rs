//! The state machine of one pipeline. Pure: the clock, ids and tokens come in as arguments.

mod job;
mod lower;
mod processing;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use job::{Assignment, JobRun, Outcome, Scheduling};
pub use status::JobState;
pub(crate) use status::{Mode, StatusSet};

use crate::Error;
use crate::project::{Commit, Reference};
use jiff::Timestamp;
use pipglr_ci::model::Pipeline;
use pipglr_protocol::update::FailureReason;
use pipglr_protocol::{Secret, payload::JobId};
use std::fmt;
use std::time::Duration;

/// A runner that still has a job this long after the job's timeout is taken for dead.
const SERVER_TIMEOUT_GRACE: Duration = Duration::from_mins(10);
/// A runner that said nothing for this long is taken for dead.
const NO_UPDATES_LIMIT: Duration = Duration::from_hours(1);

/// A pipeline's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId(pub u64);

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a pipeline runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) reference: Reference,
    pub(crate) commit: Commit,
}

/// All jobs of one evaluation of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct PipelineRun {
    pub(crate) id: PipelineId,
    pub(crate) source: Source,
    pub(crate) stages: Vec<String>,
    pub(crate) jobs: Vec<JobRun>,
    pub(crate) created_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

impl PipelineRun {
    /// Makes a pipeline whose first jobs are pending already.
    pub(crate) fn create(
        id: PipelineId,
        source: Source,
        pipeline: &Pipeline,
        now: Timestamp,
        identify: impl FnMut() -> (JobId, Secret),
    ) -> Result<Self, Error> {
        let jobs = lower::lower(pipeline, now, identify)?;
        let stages = pipeline.stages.clone();
        let mut run = Self {
            id,
            source,
            stages,
            jobs,
            created_at: now,
            finished_at: None,
        };
        run.process(now);
        Ok(run)
    }

    /// The composite of all jobs, and whether there are warnings.
    pub(crate) fn status(&self) -> (JobState, bool) {
        let mut set = StatusSet::default();
        for job in &self.jobs {
            set.insert(job.state, job.allow_failure);
        }
        (set.composite(Mode::Stage), set.has_warnings())
    }

    fn process(&mut self, now: Timestamp) {
        processing::process(&mut self.jobs, now);
        let over = self.status().0.is_finished();
        self.finished_at = if over { self.finished_at.or(Some(now)) } else { None };
    }

    /// Hands the job to a runner: pending until accepted, or running at once for runners without the second phase.
    pub(crate) fn assign(&mut self, index: usize, assignment: Assignment, now: Timestamp) {
        let job = &mut self.jobs[index];
        if !assignment.two_phase {
            job.run(now);
        }
        job.assignment = Some(assignment);
    }

    /// The runner accepted the job.
    pub(crate) fn accept(&mut self, index: usize, now: Timestamp) {
        self.jobs[index].run(now);
    }

    /// The runner or the coordinator ends a job that is alive.
    pub(crate) fn finish(&mut self, index: usize, outcome: Outcome, now: Timestamp) {
        self.jobs[index].finish(outcome, now);
        self.process(now);
    }

    /// Cancels one job; a runner that can is asked to stop gracefully.
    pub(crate) fn cancel_job(&mut self, index: usize, now: Timestamp) -> bool {
        let changed = self.jobs[index].cancel(now);
        self.process(now);
        changed
    }

    /// Cancels everything that is alive, manual jobs included.
    pub(crate) fn cancel_all(&mut self, now: Timestamp) {
        for job in &mut self.jobs {
            job.cancel(now);
        }
        self.process(now);
    }

    /// Starts a manual job and re-opens the jobs that were skipped because of it.
    ///
    /// Compat: GitLab app/services/ci/reset_skipped_jobs_service.rb.
    pub(crate) fn play(&mut self, index: usize, now: Timestamp) -> bool {
        if self.jobs[index].state != JobState::Manual {
            return false;
        }
        self.jobs[index].enqueue(now);
        for dependent in self.dependents(index) {
            if self.jobs[dependent].state == JobState::Skipped {
                self.jobs[dependent].reopen();
            }
        }
        self.process(now);
        true
    }

    /// Jobs that wait for `index`, directly or not.
    fn dependents(&self, index: usize) -> Vec<usize> {
        let mut found = vec![false; self.jobs.len()];
        found[index] = true;
        let mut queue = vec![index];
        let mut order = Vec::new();
        while let Some(current) = queue.pop() {
            let stage = self.jobs[current].stage_index;
            for (other, job) in self.jobs.iter().enumerate() {
                let waits = match &job.scheduling {
                    Scheduling::Stage => job.stage_index > stage,
                    Scheduling::Dag(needs) => needs.contains(&current),
                };
                if waits && !found[other] {
                    found[other] = true;
                    queue.push(other);
                    order.push(other);
                }
            }
        }
        order
    }

    /// When [`PipelineRun::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.jobs.iter().filter_map(|j| deadline(j).map(|(at, _)| at)).min()
    }

    /// Puts unaccepted jobs back into the queue and ends jobs whose runner is gone.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for job in &mut self.jobs {
            match deadline(job) {
                Some((at, Expiry::Requeue)) if at <= now => job.enqueue(now),
                Some((at, Expiry::Drop(reason))) if at <= now => {
                    let reason = FailureReason::from(reason);
                    job.finish(
                        Outcome::Failed {
                            reason,
                            exit_code: None,
                        },
                        now,
                    );
                }
                _ => {}
            }
        }
        self.process(now);
    }
}

enum Expiry {
    Requeue,
    Drop(&'static str),
}

/// The next moment at which the runner's silence has a consequence.
fn deadline(job: &JobRun) -> Option<(Timestamp, Expiry)> {
    let assignment = job.assignment.as_ref()?;
    let (timeout_reason, silence_reason) = match job.state {
        JobState::Pending => return Some((assignment.accept_by, Expiry::Requeue)),
        JobState::Running => ("server_timeout_running", "no_updates_running"),
        JobState::Canceling => ("server_timeout_canceling", "no_updates_canceling"),
        JobState::Created
        | JobState::Manual
        | JobState::Success
        | JobState::Failed
        | JobState::Canceled
        | JobState::Skipped => return None,
    };
    let silent = after(assignment.last_contact, NO_UPDATES_LIMIT);
    let late = after(
        job.times.started_at?,
        assignment.timeout.saturating_add(SERVER_TIMEOUT_GRACE),
    );
    Some(if late < silent {
        (late, Expiry::Drop(timeout_reason))
    } else {
        (silent, Expiry::Drop(silence_reason))
    })
}

/// A moment after another, at most the end of time.
pub(crate) fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}
