//! All pipelines and runners, and the queue between them. Pure: lives behind one mutex, which is never held across
//! an `await`.

use crate::Error;
use crate::events::Event;
use crate::payload::reports::format as report_format;
use crate::pipeline::{Assignment, JobRun, JobState, Outcome, PipelineId, PipelineRun, Source, after};
use crate::record::ArtifactRecord;
use jiff::Timestamp;
use pipglr_ci::model::{AllowFailure, Pipeline};
use pipglr_protocol::info::Features;
use pipglr_protocol::job_request::SessionInfo;
use pipglr_protocol::{Secret, payload::JobId, update::FailureReason};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
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
    /// Whether it takes jobs without tags, which all jobs are.
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

/// Everything the coordinator knows while it runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) saved: Saved,
    pub(crate) pipelines: BTreeMap<PipelineId, PipelineRun>,
    places: HashMap<JobId, JobPlace>,
    /// Changes whenever a job becomes available.
    pub(crate) queue_version: u64,
    /// Where web terminals of jobs are reached, as their runners said.
    pub(crate) sessions: HashMap<JobId, SessionInfo>,
    /// What happened since they were taken the last time.
    pub(crate) events: Vec<Event>,
}

impl State {
    pub(crate) fn new(saved: Saved) -> Self {
        Self {
            saved,
            ..Self::default()
        }
    }

    /// Adds a pipeline. Jobs without predecessors are available when this returns.
    pub(crate) fn create_pipeline(
        &mut self,
        id: PipelineId,
        source: Source,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> Result<(), Error> {
        let next_job = &mut self.saved.next_job;
        let identify = || {
            let id = JobId(*next_job);
            *next_job += 1;
            (id, new_token("glcbt-"))
        };
        let run = PipelineRun::create(id, source, pipeline, now, identify)?;
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

    /// The job at a place. Pipelines are never removed, so a place stays valid.
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

    /// Changes a pipeline and records what became of its jobs.
    pub(crate) fn change<R>(&mut self, id: PipelineId, change: impl FnOnce(&mut PipelineRun) -> R) -> Option<R> {
        let run = self.pipelines.get_mut(&id)?;
        let before: Vec<(JobState, bool)> = run.jobs.iter().map(|j| (j.state, j.is_available())).collect();
        let state_before = run.status().0;
        let result = change(run);
        for (job, (state, available)) in run.jobs.iter().zip(before) {
            if job.state != state {
                self.events.push(Event::JobChanged {
                    pipeline: id,
                    job: job.id,
                    state: job.state,
                });
            }
            if job.is_available() && !available {
                self.queue_version += 1;
            }
        }
        let state = run.status().0;
        if state != state_before {
            self.events.push(Event::PipelineChanged { pipeline: id, state });
        }
        Some(result)
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

    /// Hands the oldest available job to the runner. Jobs that cannot run on it, or not at all, are dropped on the way.
    pub(crate) fn assign(
        &mut self,
        runner: RunnerId,
        features: &Features,
        acknowledgement_ttl: Duration,
        now: Timestamp,
    ) -> Option<JobPlace> {
        let runner = self.saved.runners.iter().find(|r| r.id == runner)?.clone();
        if runner.paused || !runner.run_untagged {
            return None;
        }
        while let Some(place) = self.oldest_available() {
            if let Some(reason) = self.obstacle(place, features, now) {
                let outcome = Outcome::Failed {
                    reason: FailureReason::from(reason),
                    exit_code: None,
                };
                self.change(place.pipeline, |p| p.finish(place.index, outcome, now));
                continue;
            }
            let job_timeout = self.job(place).timeout();
            let assignment = Assignment {
                runner: runner.id,
                two_phase: features.two_phase_job_commit,
                cancel_gracefully: features.cancel_gracefully,
                timeout: runner
                    .maximum_timeout
                    .map_or(job_timeout, |s| job_timeout.min(Duration::from_secs(s))),
                accept_by: after(now, acknowledgement_ttl),
                last_contact: now,
            };
            self.change(place.pipeline, |p| {
                // A runner that lost the job must not be taken for the one that has it now.
                p.jobs[place.index].token = new_token("glcbt-");
                p.assign(place.index, assignment, now);
            });
            return Some(place);
        }
        None
    }

    fn oldest_available(&self) -> Option<JobPlace> {
        let jobs = self
            .pipelines
            .values()
            .flat_map(|p| p.jobs.iter().enumerate().map(move |(i, j)| (p.id, i, j)));
        let oldest = jobs.filter(|(_, _, j)| j.is_available()).min_by_key(|(_, _, j)| j.id)?;
        Some(JobPlace {
            pipeline: oldest.0,
            index: oldest.1,
        })
    }

    /// Why the job cannot be handed to a runner with these features.
    ///
    /// Compat: GitLab app/services/ci/register_job_service.rb.
    fn obstacle(&self, place: JobPlace, features: &Features, now: Timestamp) -> Option<&'static str> {
        let run = &self.pipelines[&place.pipeline];
        let job = &run.jobs[place.index];
        let mut archives = job
            .dependencies
            .iter()
            .flat_map(|&i| &run.jobs[i].artifacts)
            .filter(|a| a.artifact_type == ArtifactRecord::ARCHIVE);
        if archives.any(|a| !a.is_available(now)) {
            return Some("missing_dependency_failure");
        }
        let excludes = job.definition.artifacts.as_ref().is_some_and(|a| !a.exclude.is_empty());
        let reports = job.definition.artifacts.iter().flat_map(|a| &a.reports);
        let formats: Vec<&str> = reports.map(|r| report_format(&r.kind)).collect();
        let several = !formats.is_empty() && !features.upload_multiple_artifacts;
        let raw = formats.contains(&"raw") && !features.upload_raw_artifacts;
        let codes = matches!(job.definition.allow_failure, AllowFailure::ExitCodes(_));
        let unsupported =
            (excludes && !features.artifacts_exclude) || (codes && !features.return_exit_code) || several || raw;
        unsupported.then_some("runner_unsupported")
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
            self.change(id, |p| p.expire(now));
        }
    }
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
