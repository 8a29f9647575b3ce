//! Read-only copies of pipelines and jobs for callers. They hold no secret.

use crate::pipeline::{JobRun, JobState, PipelineId, PipelineRun};
use crate::store::Store;
use jiff::Timestamp;
use pipglr_protocol::{payload::JobId, update::FailureReason};
use std::path::PathBuf;
use std::time::Duration;

/// A pipeline and its jobs in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRecord {
    pub id: PipelineId,
    /// Branch, tag, or eight digits of a detached commit.
    pub ref_name: String,
    pub sha: String,
    pub state: JobState,
    /// Whether a job failed that is allowed to.
    pub has_warnings: bool,
    pub created_at: Timestamp,
    /// Set while no job can run any more.
    pub finished_at: Option<Timestamp>,
    pub stages: Vec<String>,
    pub jobs: Vec<JobRecord>,
}

impl PipelineRecord {
    pub(crate) fn of(run: &PipelineRun, store: &Store) -> Self {
        let (state, has_warnings) = run.status();
        Self {
            id: run.id,
            ref_name: run.source.reference.name.clone(),
            sha: run.source.commit.sha.clone(),
            state,
            has_warnings,
            created_at: run.created_at,
            finished_at: run.finished_at,
            stages: run.stages.clone(),
            jobs: run.jobs.iter().map(|j| JobRecord::of(run.id, j, store)).collect(),
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    pub id: JobId,
    pub pipeline: PipelineId,
    pub name: String,
    pub stage: String,
    pub state: JobState,
    /// Whether its failure does not count; with `allow_failure:exit_codes` known only after the job.
    pub allow_failure: bool,
    pub exit_code: Option<i32>,
    pub failure_reason: Option<FailureReason>,
    pub timeout: Duration,
    /// The file exists once the runner sent something.
    pub trace_path: PathBuf,
    /// Bytes.
    pub trace_size: u64,
    pub artifacts: Vec<ArtifactRecord>,
    pub times: JobTimes,
}

impl JobRecord {
    pub(crate) fn of(pipeline: PipelineId, job: &JobRun, store: &Store) -> Self {
        Self {
            id: job.id,
            pipeline,
            name: job.definition.name.clone(),
            stage: job.definition.stage.clone(),
            state: job.state,
            allow_failure: job.allow_failure,
            exit_code: job.exit_code,
            failure_reason: job.failure_reason.clone(),
            timeout: job.timeout(),
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
