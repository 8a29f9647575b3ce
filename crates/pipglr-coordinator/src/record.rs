//! Read-only copies of pipelines and jobs for callers. They hold no secret.

use crate::pipeline::{JobState, PipelineId, PipelineRun, Scheduling};
use crate::slug::environment_slug;
use crate::state::State;
use crate::store::Store;
use crate::variables::expand_text;
use jiff::Timestamp;
use pipglr_ci::model::{Environment, EnvironmentAction, When};
use pipglr_protocol::{payload::JobId, update::FailureReason};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A pipeline and its jobs in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRecord {
    pub id: PipelineId,
    /// `workflow:name`.
    pub name: Option<String>,
    /// Branch, tag, or eight digits of a detached commit.
    pub ref_name: String,
    /// The commit the pipeline is for.
    pub sha: String,
    /// What jobs check out: the commit, or a snapshot of the working tree.
    pub checkout: String,
    /// `CI_PIPELINE_SOURCE`.
    pub source: &'static str,
    /// The bridge that started it, of another pipeline.
    pub parent: Option<JobId>,
    /// Pipelines its bridges started.
    pub children: Vec<PipelineId>,
    pub state: JobState,
    /// Whether a job failed that is allowed to.
    pub has_warnings: bool,
    /// Nothing can go on by itself, though not all is over: something waits to be played.
    pub blocked: bool,
    /// What the evaluation warned of, as text with the places; empty if nothing.
    pub config_warnings: String,
    pub created_at: Timestamp,
    /// Set while no job can run any more.
    pub finished_at: Option<Timestamp>,
    pub stages: Vec<String>,
    /// The last attempt of each job.
    pub jobs: Vec<JobRecord>,
    /// Attempts that were repeated, oldest first.
    pub retried: Vec<JobRecord>,
}

impl PipelineRecord {
    pub(crate) fn of(run: &PipelineRun, state: &State, store: &Store) -> Self {
        let (composite, has_warnings) = run.status();
        let source = &run.source;
        let jobs = |retried| {
            let indices = (0..run.jobs.len()).filter(move |&index| run.jobs[index].retried == retried);
            indices.map(|index| JobRecord::of(run, index, store)).collect()
        };
        Self {
            id: run.id,
            name: run.name.clone(),
            ref_name: source.reference.name.clone(),
            sha: source.commit.sha.clone(),
            checkout: source.checkout.clone(),
            source: source.kind.as_str(),
            parent: source.parent.map(|parent| parent.job),
            children: state.children(run.id),
            state: composite,
            has_warnings,
            blocked: !composite.is_finished() && state.is_at_rest(run.id),
            config_warnings: run.warnings.clone(),
            created_at: run.created_at,
            finished_at: run.finished_at,
            stages: run.stages.clone(),
            jobs: jobs(false),
            retried: jobs(true),
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    pub id: JobId,
    pub pipeline: PipelineId,
    pub name: String,
    /// The name all instances of a parallel job share.
    pub group: Option<String>,
    pub stage: String,
    pub when: When,
    pub state: JobState,
    /// What it waits for: `None` for all jobs of earlier stages, `Some` for these.
    pub needs: Option<Vec<JobId>>,
    /// The job that ended last of those it waited for, hence let it go on.
    pub released_by: Option<JobId>,
    /// From 1.
    pub attempt: u32,
    /// The attempt before this one.
    pub retry_of: Option<JobId>,
    /// Did not run: an earlier run's result stands for it.
    pub reused: bool,
    /// While scheduled: when it starts.
    pub starts_at: Option<Timestamp>,
    /// What a person is asked before a manual job is started.
    pub manual_confirmation: Option<String>,
    pub resource_group: Option<String>,
    pub environment: Option<EnvironmentRecord>,
    /// The pipeline a bridge started.
    pub downstream: Option<PipelineId>,
    /// Whether it is a bridge: a pipeline of its own.
    pub is_bridge: bool,
    /// What a person should know about the outcome, beside the reason.
    pub message: Option<String>,
    /// Whether its failure does not count; with `allow_failure:exit_codes` known only after the job.
    pub allow_failure: bool,
    pub exit_code: Option<i32>,
    pub failure_reason: Option<FailureReason>,
    pub timeout: Duration,
    /// The regular expression that finds the coverage in the log: see [`pipglr_ci::coverage::Coverage`].
    pub coverage: Option<String>,
    /// The file exists once the runner sent something.
    pub trace_path: PathBuf,
    /// Bytes.
    pub trace_size: u64,
    pub artifacts: Vec<ArtifactRecord>,
    pub times: JobTimes,
}

impl JobRecord {
    pub(crate) fn of(run: &PipelineRun, index: usize, store: &Store) -> Self {
        let job = &run.jobs[index];
        let definition = &job.definition;
        let needs = match &job.scheduling {
            Scheduling::Stage => None,
            Scheduling::Dag(needs) => Some(needs.iter().map(|&i| run.jobs[i].id).collect()),
        };
        Self {
            id: job.id,
            pipeline: run.id,
            name: definition.name.clone(),
            group: definition.group.clone(),
            stage: definition.stage.clone(),
            when: definition.when,
            state: job.state,
            needs,
            released_by: released_by(run, index),
            attempt: job.attempt,
            retry_of: job.retry_of,
            reused: job.reused,
            starts_at: job.start_at,
            manual_confirmation: definition.manual_confirmation.clone(),
            resource_group: definition.resource_group.clone(),
            environment: definition
                .environment
                .as_ref()
                .map(|environment| EnvironmentRecord::of(environment, &job.dotenv)),
            downstream: job.downstream,
            is_bridge: job.is_bridge(),
            message: job.message.clone(),
            allow_failure: job.allow_failure,
            exit_code: job.exit_code,
            failure_reason: job.failure_reason.clone(),
            timeout: job.timeout(),
            coverage: definition.coverage.clone(),
            trace_path: store.trace_path(job.id),
            trace_size: job.trace_size,
            artifacts: job.artifacts.clone(),
            times: job.times,
        }
    }

    /// Path of the job's archive, if it uploaded one.
    #[must_use]
    pub fn artifacts_path(&self) -> Option<&PathBuf> {
        self.artifacts
            .iter()
            .find(|a| a.artifact_type == ArtifactRecord::ARCHIVE)
            .map(|a| &a.path)
    }
}

/// Of those a job waited for, the one that ended last.
fn released_by(run: &PipelineRun, index: usize) -> Option<JobId> {
    run.jobs[index].times.queued_at?;
    let waited_for = (0..run.jobs.len()).filter(|&other| !run.jobs[other].retried && run.waits_for(index, other));
    let ended = waited_for.filter_map(|other| Some((run.jobs[other].times.finished_at?, run.jobs[other].id)));
    ended.max().map(|(_, id)| id)
}

/// What a job deploys to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRecord {
    pub name: String,
    /// `CI_ENVIRONMENT_SLUG`.
    pub slug: String,
    /// With the variables the job reported.
    pub url: Option<String>,
    pub action: EnvironmentAction,
    pub tier: String,
    /// The job that stops it.
    pub on_stop: Option<String>,
}

impl EnvironmentRecord {
    fn of(environment: &Environment, dotenv: &[(String, String)]) -> Self {
        let reported = |name: &str| {
            dotenv
                .iter()
                .rfind(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        Self {
            name: environment.name.clone(),
            slug: environment_slug(&environment.name),
            url: environment.url.as_deref().map(|url| expand_text(url, reported)),
            action: environment.action,
            tier: environment.tier.clone(),
            on_stop: environment.on_stop.clone(),
        }
    }
}

/// When things happened to a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobTimes {
    pub created_at: Timestamp,
    /// Last time it became pending.
    pub queued_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// An uploaded artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// `archive`, or a report's type.
    pub artifact_type: String,
    /// `zip`, `gzip`, `raw`, …
    pub format: String,
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// Of the stored bytes.
    pub sha256: [u8; 32],
    pub path: PathBuf,
    pub expires_at: Option<Timestamp>,
}

impl ArtifactRecord {
    /// The type of the archive made from `artifacts:paths`.
    pub const ARCHIVE: &str = "archive";

    /// Whether it can still be downloaded.
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}
