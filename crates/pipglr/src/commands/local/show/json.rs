//! Events as lines of JSON. Their shapes are in docs/local.md.

use super::super::board::{Board, Row};
use super::super::logs::Logs;
use crate::error::CliError;
use crate::job_log::shown;
use crate::output;
use pipglr_coordinator::{JobState, PipelineRecord};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

pub(super) fn begins(pipeline: &PipelineRecord, board: &Board) -> Result<(), CliError> {
    let jobs: Vec<Value> = board
        .rows
        .iter()
        .map(|row| json!({ "id": row.id.0, "name": row.name, "stage": row.stage, "state": row.state.to_string() }))
        .collect();
    event(
        "pipeline",
        json!({
            "id": pipeline.id.0,
            "ref": pipeline.ref_name,
            "sha": pipeline.sha,
            "stages": board.stages,
            "jobs": jobs,
        }),
    )
}

pub(super) fn state(row: &Row, now: Duration) -> Result<(), CliError> {
    event("job", job(row, now))
}

pub(super) fn line(row: &Row, line: &str) -> Result<(), CliError> {
    event(
        "log",
        json!({ "id": row.id.0, "name": row.name, "line": shown(line, false) }),
    )
}

/// The pipeline has come to its end.
pub(in super::super) fn ends(
    state: JobState,
    exit_code: u8,
    logs: &Logs,
    board: &Board,
    now: Duration,
) -> Result<(), CliError> {
    let jobs: Vec<Value> = board
        .rows
        .iter()
        .map(|row| {
            let mut value = job(row, now);
            value["log"] = logs.path(row.id).map(|path| path.display().to_string()).into();
            value["coverage"] = logs
                .coverage(row.id)
                .and_then(|percent| percent.parse::<f64>().ok())
                .into();
            value
        })
        .collect();
    event(
        "end",
        json!({ "state": state.to_string(), "exit_code": exit_code, "jobs": jobs }),
    )
}

fn job(row: &Row, now: Duration) -> Value {
    json!({
        "id": row.id.0,
        "name": row.name,
        "stage": row.stage,
        "state": row.state.to_string(),
        "allow_failure": row.allow_failure,
        "exit_code": row.exit_code,
        "failure_reason": row.reason,
        "seconds": row.elapsed(now).map(|time| (time.as_secs_f64() * 1000.0).round() / 1000.0),
    })
}

fn event(kind: &str, mut value: Value) -> Result<(), CliError> {
    value["event"] = kind.into();
    value["time"] = pipglr_runner::rfc3339(SystemTime::now()).into();
    output::line(value)
}
