//! What a page is about, as plain data.

use super::words;
use jiff::Timestamp;
use pipglr_coordinator::{ArtifactRecord, JobRecord, JobState, JobTimes, PipelineRecord};
use pipglr_protocol::update::FailureReason;
use std::path::PathBuf;
use std::time::Duration;

/// A pipeline that was run. It knows no variable, hence no secret.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) project: String,
    /// `workflow:name`; empty if it has none.
    pub(super) name: String,
    /// `CI_PIPELINE_SOURCE`.
    pub(super) source: &'static str,
    /// What the evaluation of the configuration warned of, with the places; empty if nothing.
    pub(super) warnings: String,
    pub(super) ref_name: String,
    pub(super) sha: String,
    pub(super) state: JobState,
    /// Whether a job failed that is allowed to.
    pub(super) has_warnings: bool,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    /// In file order, attempts that were repeated and those of child pipelines after them.
    pub(super) jobs: Vec<Job>,
}

/// One attempt of a job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    /// Which child pipeline it is of; empty for the pipeline itself.
    pub(super) pipeline: String,
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
    /// Other facts, in words.
    pub(super) notes: Vec<String>,
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
    /// The first of `pipelines`; the others are its children and theirs.
    pub(super) fn of(project: &str, pipelines: &[PipelineRecord]) -> Option<Self> {
        let (pipeline, children) = pipelines.split_first()?;
        let attempts = |of: &PipelineRecord, label: &str| -> Vec<Job> {
            let last = of.jobs.iter().map(|record| job(record, label, false));
            let earlier = of.retried.iter().map(|record| job(record, label, true));
            last.chain(earlier).collect()
        };
        let mut jobs = attempts(pipeline, "");
        for child in children {
            let label = child.name.clone().unwrap_or_else(|| format!("pipeline {}", child.id));
            jobs.append(&mut attempts(child, &label));
        }
        let warnings: Vec<&str> = pipelines
            .iter()
            .map(|p| p.config_warnings.trim_end())
            .filter(|w| !w.is_empty())
            .collect();
        Some(Self {
            project: project.to_owned(),
            name: pipeline.name.clone().unwrap_or_default(),
            source: pipeline.source,
            warnings: warnings.join("\n"),
            ref_name: pipeline.ref_name.clone(),
            sha: pipeline.sha.clone(),
            state: pipeline.state,
            has_warnings: pipeline.has_warnings,
            created_at: pipeline.created_at,
            finished_at: pipeline.finished_at,
            jobs,
        })
    }
}

fn job(record: &JobRecord, pipeline: &str, is_retried: bool) -> Job {
    Job {
        id: record.id.0,
        pipeline: pipeline.to_owned(),
        name: record.name.clone(),
        stage: record.stage.clone(),
        state: record.state,
        allow_failure: record.allow_failure,
        exit_code: record.exit_code,
        reason: record.failure_reason.clone(),
        message: record.message.clone(),
        timeout: record.timeout,
        attempt: record.attempt,
        is_retried,
        needs: record.needs.as_ref().map(|needs| needs.iter().map(|id| id.0).collect()),
        released_by: record.released_by.map(|id| id.0),
        notes: notes(record),
        times: record.times,
        log: record.trace_path.clone(),
        log_size: record.trace_size,
        artifacts: record.artifacts.clone(),
    }
}

fn notes(record: &JobRecord) -> Vec<String> {
    let mut notes = Vec::new();
    if record.reused {
        notes.push("did not run again: the result of an earlier run stands for it".to_owned());
    }
    notes.extend(
        record
            .resource_group
            .as_ref()
            .map(|name| format!("resource group {name}")),
    );
    notes.extend(record.environment.as_ref().map(|environment| match &environment.url {
        Some(url) => format!("environment {}, {url}", environment.name),
        None => format!("environment {}", environment.name),
    }));
    notes.extend(record.downstream.map(|id| format!("started pipeline {id}")));
    notes.extend(record.starts_at.map(|at| format!("starts at {}", words::moment(at))));
    notes
}
