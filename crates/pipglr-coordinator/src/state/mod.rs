//! All pipelines and runners, and the queue between them. Pure: lives behind one mutex, which is never held across
//! an `await`.

mod dependencies;
mod queue;
mod settle;

pub(crate) use queue::Patience;

use crate::Error;
use crate::events::Event;
use crate::pipeline::{JobRun, JobState, PipelineId, PipelineRun, Recipe, Source};
use jiff::Timestamp;
use pipglr_protocol::job_request::SessionInfo;
use pipglr_protocol::{Secret, payload::JobId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// A runner's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RunnerId(pub(crate) u64);

/// A registered runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runner {
    pub(crate) id: RunnerId,
    pub(crate) token: Secret,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// Whether it takes jobs without tags.
    pub(crate) run_untagged: bool,
    pub(crate) paused: bool,
    /// Seconds.
    pub(crate) maximum_timeout: Option<u64>,
    /// System IDs of its managers.
    #[serde(default)]
    pub(crate) managers: BTreeSet<String>,
}

/// The part of the state that outlives the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) next_pipeline: u64,
    pub(crate) next_job: u64,
    pub(crate) next_runner: u64,
    pub(crate) runners: Vec<Runner>,
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            next_pipeline: 1,
            next_job: 1,
            next_runner: 1,
            runners: Vec::new(),
        }
    }
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobPlace {
    pub(crate) pipeline: PipelineId,
    pub(crate) index: usize,
}

/// What is compared after a change.
#[derive(Debug, Clone, Copy)]
struct Before {
    id: JobId,
    state: JobState,
    available: bool,
}

impl Before {
    fn of(job: &JobRun) -> Self {
        Self {
            id: job.id,
            state: job.state,
            available: job.is_available(),
        }
    }
}

/// Everything the coordinator knows while it runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) saved: Saved,
    /// The numbers of the next pipeline and job that are on disk.
    pub(crate) kept: (u64, u64),
    pub(crate) pipelines: BTreeMap<PipelineId, PipelineRun>,
    places: HashMap<JobId, JobPlace>,
    /// Changes whenever a job becomes available.
    pub(crate) queue_version: u64,
    /// Where web terminals of jobs are reached, as their runners said.
    pub(crate) sessions: HashMap<JobId, SessionInfo>,
    /// Every runner takes every job, whatever its tags are.
    pub(crate) ignore_tags: bool,
    /// What happened since they were taken the last time.
    pub(crate) events: Vec<Event>,
}

impl State {
    pub(crate) fn new(saved: Saved) -> Self {
        Self {
            kept: (saved.next_pipeline, saved.next_job),
            saved,
            ..Self::default()
        }
    }

    /// Adds a pipeline. Jobs without predecessors are available when this returns; older pipelines of the ref are
    /// canceled as far as they allow it.
    pub(crate) fn create_pipeline(
        &mut self,
        id: PipelineId,
        source: Source,
        recipe: &Recipe,
        now: Timestamp,
    ) -> Result<(), Error> {
        let next_job = &mut self.saved.next_job;
        let run = PipelineRun::create(id, source, recipe, now, || identify(next_job))?;
        let parent = run.source.parent;
        if let Some(parent) = parent {
            self.events.push(Event::PipelineCreated {
                pipeline: id,
                parent: parent.job,
            });
        }
        for (index, job) in run.jobs.iter().enumerate() {
            self.places.insert(job.id, JobPlace { pipeline: id, index });
            self.events.push(Event::JobChanged {
                pipeline: id,
                job: job.id,
                state: job.state,
            });
        }
        self.events.push(Event::PipelineChanged {
            pipeline: id,
            state: run.status().0,
        });
        self.queue_version += 1;
        self.pipelines.insert(id, run);
        if let Some(parent) = parent.and_then(|parent| self.place(parent.job)) {
            self.update_job(parent, |job| job.downstream = Some(id));
        }
        self.cancel_redundant(id, now);
        self.settle(id, now);
        Ok(())
    }

    /// Numbers the next pipeline.
    pub(crate) fn reserve_pipeline(&mut self) -> PipelineId {
        let id = PipelineId(self.saved.next_pipeline);
        self.saved.next_pipeline += 1;
        id
    }

    /// Numbers the next runner.
    pub(crate) fn next_runner_id(&mut self) -> RunnerId {
        let id = RunnerId(self.saved.next_runner);
        self.saved.next_runner += 1;
        id
    }

    /// Where the job is, if it exists.
    pub(crate) fn place(&self, id: JobId) -> Option<JobPlace> {
        self.places.get(&id).copied()
    }

    /// The job at a place. A place is good while the state is locked: a job that is tried again moves.
    pub(crate) fn job(&self, place: JobPlace) -> &JobRun {
        &self.pipelines[&place.pipeline].jobs[place.index]
    }

    /// The job whose token this is.
    pub(crate) fn job_by_token(&self, token: &Secret) -> Option<JobPlace> {
        if token.is_empty() {
            return None;
        }
        let all = self.pipelines.values().rev();
        all.flat_map(|p| p.jobs.iter())
            .find(|j| same_token(&j.token, token))
            .and_then(|j| self.place(j.id))
    }

    /// Changes a pipeline, lets everything that follows from it happen, and records what became of the jobs.
    pub(crate) fn change<R>(
        &mut self,
        id: PipelineId,
        now: Timestamp,
        change: impl FnOnce(&mut PipelineRun) -> R,
    ) -> Option<R> {
        let result = self.change_alone(id, now, change)?;
        self.settle(id, now);
        Some(result)
    }

    /// Like [`State::change`], without what follows in other pipelines.
    fn change_alone<R>(
        &mut self,
        id: PipelineId,
        now: Timestamp,
        change: impl FnOnce(&mut PipelineRun) -> R,
    ) -> Option<R> {
        let run = self.pipelines.get_mut(&id)?;
        let before: Vec<Before> = run.jobs.iter().map(Before::of).collect();
        let state_before = run.status().0;
        let result = change(run);
        for index in run.take_due_retries() {
            let (job, token) = identify(&mut self.saved.next_job);
            run.retry(index, job, token, now);
        }
        self.record_changes(id, &before, state_before);
        Some(result)
    }

    /// Another attempt at a job that is over; its number, unless the job is not over.
    pub(crate) fn retry(&mut self, place: JobPlace, now: Timestamp) -> Option<JobId> {
        let (id, token) = identify(&mut self.saved.next_job);
        let done = self.change(place.pipeline, now, |run| run.retry(place.index, id, token, now));
        done.unwrap_or_default().then_some(id)
    }

    fn record_changes(&mut self, id: PipelineId, before: &[Before], state_before: JobState) {
        let run = &self.pipelines[&id];
        for (index, job) in run.jobs.iter().enumerate() {
            let known = before.get(index).filter(|b| b.id == job.id);
            if known.is_none() {
                self.places.insert(job.id, JobPlace { pipeline: id, index });
            }
            // An attempt that was repeated is at the end now; its place has the new one.
            let known = known.or_else(|| before.iter().find(|b| job.retried && b.id == job.id));
            if known.is_none()
                && let Some(old) = job.retry_of
            {
                self.events.push(Event::JobRetried {
                    pipeline: id,
                    old,
                    new: job.id,
                });
            }
            if known.is_none_or(|b| b.state != job.state) {
                self.events.push(Event::JobChanged {
                    pipeline: id,
                    job: job.id,
                    state: job.state,
                });
            }
            if job.is_available() && !known.is_some_and(|b| b.available) {
                self.queue_version += 1;
            }
        }
        let state = run.status().0;
        if state != state_before {
            self.events.push(Event::PipelineChanged { pipeline: id, state });
        }
    }

    /// Changes one job's own fields, not its state.
    pub(crate) fn update_job(&mut self, place: JobPlace, update: impl FnOnce(&mut JobRun)) {
        if let Some(run) = self.pipelines.get_mut(&place.pipeline) {
            update(&mut run.jobs[place.index]);
        }
    }

    /// Remembers that the runner is alive.
    pub(crate) fn touch(&mut self, place: JobPlace, now: Timestamp) {
        self.update_job(place, |job| {
            if let Some(assignment) = &mut job.assignment {
                assignment.last_contact = now;
            }
        });
    }

    /// The runner whose token this is.
    pub(crate) fn runner_by_token(&mut self, token: &Secret) -> Option<&mut Runner> {
        if token.is_empty() {
            return None;
        }
        self.saved.runners.iter_mut().find(|r| same_token(&r.token, token))
    }

    /// Makes a runner of every token that is not known yet; without any, one is generated.
    pub(crate) fn adopt_runner_tokens(&mut self, tokens: &[Secret]) {
        let mut wanted = tokens.to_vec();
        if wanted.is_empty() && self.saved.runners.is_empty() {
            wanted.push(new_token("glrt-"));
        }
        for token in wanted {
            if self.runner_by_token(&token).is_none() {
                let id = self.next_runner_id();
                self.saved.runners.push(Runner {
                    id,
                    token,
                    description: format!("runner {}", id.0),
                    tags: Vec::new(),
                    run_untagged: true,
                    paused: false,
                    maximum_timeout: None,
                    managers: BTreeSet::new(),
                });
            }
        }
    }

    /// When [`State::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.pipelines.values().filter_map(PipelineRun::next_deadline).min()
    }

    /// Applies all deadlines that passed.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let due = self
            .pipelines
            .values()
            .filter(|p| p.next_deadline().is_some_and(|at| at <= now));
        let due: Vec<PipelineId> = due.map(|p| p.id).collect();
        for id in due {
            self.change(id, now, |p| p.expire(now));
        }
    }
}

/// The next job's number and a token for it.
fn identify(next_job: &mut u64) -> (JobId, Secret) {
    let id = JobId(*next_job);
    *next_job += 1;
    (id, new_token("glcbt-"))
}

/// A fresh token with 122 random bits.
pub(crate) fn new_token(prefix: &str) -> Secret {
    Secret::new(format!("{prefix}{}", Uuid::new_v4().simple()))
}

/// Compares without telling by its duration where tokens differ.
pub(crate) fn same_token(a: &Secret, b: &Secret) -> bool {
    let (a, b) = (a.expose().as_bytes(), b.expose().as_bytes());
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
