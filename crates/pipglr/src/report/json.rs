//! The outcome of a pipeline as JSON, for programs.

use anyhow::Context as _;
use pipglr_coordinator::{JobRecord, PipelineRecord};
use serde_json::{Value, json};

/// `{"state", "jobs": [{"name", "stage", "state", "allow_failure", "exit_code", "failure_reason", "log"}]}`.
pub(super) fn render(pipeline: &PipelineRecord) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(&report(pipeline)).context("render the report")?;
    Ok(text + "\n")
}

fn report(pipeline: &PipelineRecord) -> Value {
    let jobs: Vec<Value> = pipeline.jobs.iter().map(job).collect();
    json!({ "state": pipeline.state.to_string(), "jobs": jobs })
}

fn job(job: &JobRecord) -> Value {
    json!({
        "name": job.name,
        "stage": job.stage,
        "state": job.state.to_string(),
        "allow_failure": job.allow_failure,
        "exit_code": job.exit_code,
        "failure_reason": job.failure_reason.as_ref().map(ToString::to_string),
        "log": job.trace_path,
    })
}
