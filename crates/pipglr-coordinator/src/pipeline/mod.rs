//! The state machine of one pipeline. Pure: the clock, ids and tokens come in as arguments.

mod auto_cancel;
mod expiry;
mod job;
mod lower;
mod processing;
mod retry;
mod selection;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use job::{Assignment, JobRun, Outcome, Scheduling};
pub(crate) use selection::{Earlier, select};
pub use status::JobState;
pub(crate) use status::{Mode, StatusSet};

use crate::Error;
use crate::creation::PipelineKind;
use crate::given::Given;
use crate::project::{Commit, Reference};
use jiff::Timestamp;
use pipglr_ci::model::{AutoCancel, Pipeline};
use pipglr_protocol::{Secret, payload::JobId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A pipeline's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipelineId(pub u64);

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a pipeline runs on, and because of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) reference: Reference,
    /// The commit the variables tell of.
    pub(crate) commit: Commit,
    /// What jobs check out: the commit, or a snapshot of the working tree on top of it.
    pub(crate) checkout: String,
    pub(crate) kind: PipelineKind,
    /// The merge base of a merge request, or the commit somebody named to compare to.
    pub(crate) base: Option<String>,
    /// What `changes` is compared to; without it every `changes` is true.
    pub(crate) changes_since: Option<String>,
    /// The bridge that started it.
    pub(crate) parent: Option<Parent>,
    /// Variables of this run: given by hand or by the parent.
    pub(crate) variables: Vec<Given>,
    /// How many pipelines are above this one.
    pub(crate) depth: usize,
}

/// The bridge job a child pipeline was started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) pipeline: PipelineId,
    pub(crate) job: JobId,
}

/// What a pipeline is made of besides its source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recipe {
    pub(crate) pipeline: Pipeline,
    /// Jobs that are not run because an earlier result stands for them, by name.
    pub(crate) earlier: BTreeMap<String, Earlier>,
    /// Manual jobs to play as soon as their turn comes.
    pub(crate) play: Vec<String>,
    /// What the evaluation warned of, rendered.
    pub(crate) warnings: String,
}

/// All jobs of one evaluation of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct PipelineRun {
    pub(crate) id: PipelineId,
    pub(crate) source: Source,
    pub(crate) name: Option<String>,
    pub(crate) auto_cancel: AutoCancel,
    pub(crate) warnings: String,
    pub(crate) stages: Vec<String>,
    /// In file order; attempts that were repeated come after all others.
    pub(crate) jobs: Vec<JobRun>,
    pub(crate) created_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    /// The state after the last change.
    state: JobState,
    /// Failed jobs that are tried again, before anything else goes on.
    due_retries: Vec<usize>,
}

impl PipelineRun {
    /// Makes a pipeline whose first jobs are pending already.
    pub(crate) fn create(
        id: PipelineId,
        source: Source,
        recipe: &Recipe,
        now: Timestamp,
        identify: impl FnMut() -> (JobId, Secret),
    ) -> Result<Self, Error> {
        let jobs = lower::lower(recipe, now, identify)?;
        let pipeline = &recipe.pipeline;
        let mut run = Self {
            id,
            source,
            name: pipeline.name.clone(),
            auto_cancel: pipeline.auto_cancel,
            warnings: recipe.warnings.clone(),
            stages: pipeline.stages.clone(),
            jobs,
            created_at: now,
            finished_at: None,
            state: JobState::Created,
            due_retries: Vec::new(),
        };
        run.process(now);
        Ok(run)
    }

    /// Jobs that count: of a job that was repeated the last attempt.
    pub(crate) fn current_jobs(&self) -> impl Iterator<Item = &JobRun> {
        self.jobs.iter().filter(|job| !job.retried)
    }

    /// The composite of all jobs, as it follows on the state before, and whether there are warnings.
    pub(crate) fn status(&self) -> (JobState, bool) {
        let mut set = StatusSet::default();
        for job in self.current_jobs() {
            set.insert(job.state, job.allow_failure);
        }
        (set.composite(Mode::Stage).following(self.state), set.has_warnings())
    }

    /// What later runs may use of the jobs that ran.
    pub(crate) fn results(&self) -> BTreeMap<String, Earlier> {
        let ran = self.current_jobs().filter(|job| job.times.started_at.is_some());
        let ended = ran.filter(|job| job.state.is_finished());
        ended
            .map(|job| {
                let allowed = job.state == JobState::Failed && job.allow_failure;
                let result = Earlier {
                    succeeded: job.state == JobState::Success || allowed,
                    artifacts: job.artifacts.clone(),
                    dotenv: job.dotenv.clone(),
                };
                (job.definition.name.clone(), result)
            })
            .collect()
    }

    fn process(&mut self, now: Timestamp) {
        processing::process(&mut self.jobs, now);
        self.remember();
        self.finished_at = if self.state.is_finished() {
            self.finished_at.or(Some(now))
        } else {
            None
        };
    }

    /// Keeps the state for the next one to follow on.
    fn remember(&mut self) {
        self.state = self.status().0;
    }

    /// Hands the job to a runner: pending until accepted, or running at once for runners without the second phase.
    pub(crate) fn assign(&mut self, index: usize, assignment: Assignment, now: Timestamp) {
        let job = &mut self.jobs[index];
        if !assignment.two_phase {
            job.run(now);
        }
        job.assignment = Some(assignment);
        self.remember();
    }

    /// The runner accepted the job, or a bridge makes its pipeline.
    pub(crate) fn accept(&mut self, index: usize, now: Timestamp) {
        self.jobs[index].run(now);
        self.remember();
    }

    /// The job has its resource group now.
    pub(crate) fn grant(&mut self, index: usize, now: Timestamp) {
        self.jobs[index].requeue(now);
        self.remember();
    }

    /// The runner or the coordinator ends a job that is alive. One that is to be tried again waits in
    /// [`PipelineRun::take_due_retries`], and nothing goes on before.
    pub(crate) fn finish(&mut self, index: usize, outcome: Outcome, now: Timestamp) {
        self.jobs[index].finish(outcome, now);
        if self.wants_retry(index) {
            self.due_retries.push(index);
            return;
        }
        self.cancel_after_failure(index, now);
        self.process(now);
    }

    /// Ends a job that cannot be run here, without a failure.
    pub(crate) fn pass_over(&mut self, index: usize, message: String, now: Timestamp) {
        self.jobs[index].skip_with(message, now);
        self.process(now);
    }

    /// A bridge whose pipeline was canceled is canceled.
    pub(crate) fn end_as_canceled(&mut self, index: usize, now: Timestamp) {
        self.jobs[index].cancel(now);
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

    /// Starts a manual or delayed job now and re-opens the jobs that were skipped because of it.
    ///
    /// Compat: GitLab app/services/ci/reset_skipped_jobs_service.rb.
    pub(crate) fn play(&mut self, index: usize, now: Timestamp) -> bool {
        if !matches!(self.jobs[index].state, JobState::Manual | JobState::Scheduled) {
            return false;
        }
        self.jobs[index].enqueue(now);
        self.reopen_dependents(index);
        self.process(now);
        true
    }

    /// Takes a delayed job's time away: it waits to be played.
    pub(crate) fn unschedule(&mut self, index: usize, now: Timestamp) -> bool {
        let job = &mut self.jobs[index];
        if job.state != JobState::Scheduled {
            return false;
        }
        job.state = JobState::Manual;
        job.start_at = None;
        self.process(now);
        true
    }

    fn reopen_dependents(&mut self, index: usize) {
        for dependent in self.dependents(index) {
            if self.jobs[dependent].state == JobState::Skipped {
                self.jobs[dependent].reopen();
            }
        }
    }

    /// Jobs that wait for `index`, directly or not.
    fn dependents(&self, index: usize) -> Vec<usize> {
        let mut found = vec![false; self.jobs.len()];
        found[index] = true;
        let mut queue = vec![index];
        let mut order = Vec::new();
        while let Some(current) = queue.pop() {
            for (other, is_found) in found.iter_mut().enumerate() {
                if !self.jobs[other].retried && !*is_found && self.waits_for(other, current) {
                    *is_found = true;
                    queue.push(other);
                    order.push(other);
                }
            }
        }
        order
    }

    /// Whether `index` cannot begin before `other` is over.
    pub(crate) fn waits_for(&self, index: usize, other: usize) -> bool {
        match &self.jobs[index].scheduling {
            Scheduling::Stage => self.jobs[index].stage_index > self.jobs[other].stage_index,
            Scheduling::Dag(needs) => needs.contains(&other),
        }
    }
}

/// A moment after another, at most the end of time.
pub(crate) fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}
