//! What a page is about, as plain data.

use jiff::Timestamp;
use pipglr_coordinator::{ArtifactRecord, JobRecord, JobState, JobTimes, PipelineRecord};
use pipglr_protocol::update::FailureReason;
use std::path::PathBuf;
use std::time::Duration;

/// A pipeline that was run. It knows no variable, hence no secret.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) project: String,
    pub(super) ref_name: String,
    pub(super) sha: String,
    pub(super) state: JobState,
    /// Whether a job failed that is allowed to.
    pub(super) has_warnings: bool,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    /// In file order.
    pub(super) jobs: Vec<Job>,
}

/// One attempt of a job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) stage: String,
    pub(super) state: JobState,
    pub(super) allow_failure: bool,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<FailureReason>,
    /// What else a person should know about the outcome.
    pub(super) message: Option<String>,
    pub(super) timeout: Duration,
    /// From 1.
    pub(super) attempt: u32,
    /// Whether another attempt followed.
    pub(super) is_retried: bool,
    /// What it waits for: `None` for all jobs of earlier stages.
    pub(super) needs: Option<Vec<u64>>,
    /// Of those it waited for, the one that ended last.
    pub(super) released_by: Option<u64>,
    pub(super) times: JobTimes,
    pub(super) log: PathBuf,
    /// Bytes.
    pub(super) log_size: u64,
    pub(super) artifacts: Vec<ArtifactRecord>,
}

impl Job {
    /// Whether it ended badly, and that counts.
    pub(super) fn is_failure(&self) -> bool {
        self.state == JobState::Failed && !self.allow_failure && !self.is_retried
    }

    /// Failures first, then those that are allowed to, then attempts that were repeated, then the rest.
    pub(super) fn rank(&self) -> u8 {
        match (self.state, self.is_retried) {
            (JobState::Failed, false) => u8::from(self.allow_failure),
            (JobState::Failed, true) => 2,
            (JobState::Canceled, _) => 3,
            _ => 4,
        }
    }
}

impl Run {
    pub(super) fn of(project: &str, pipeline: &PipelineRecord) -> Self {
        Self {
            project: project.to_owned(),
            ref_name: pipeline.ref_name.clone(),
            sha: pipeline.sha.clone(),
            state: pipeline.state,
            has_warnings: pipeline.has_warnings,
            created_at: pipeline.created_at,
            finished_at: pipeline.finished_at,
            jobs: pipeline.jobs.iter().map(job).collect(),
        }
    }
}

fn job(record: &JobRecord) -> Job {
    Job {
        id: record.id.0,
        name: record.name.clone(),
        stage: record.stage.clone(),
        state: record.state,
        allow_failure: record.allow_failure,
        exit_code: record.exit_code,
        reason: record.failure_reason.clone(),
        message: None,
        timeout: record.timeout,
        attempt: 1,
        is_retried: false,
        needs: None,
        released_by: None,
        times: record.times,
        log: record.trace_path.clone(),
        log_size: record.trace_size,
        artifacts: record.artifacts.clone(),
    }
}
