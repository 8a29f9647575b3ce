//! `PATCH jobs/:id/trace`: the next bytes of a job's log.

use super::auth::{authenticate_running_job, job_token};
use super::reply::{Refusal, job_headers};
use crate::Coordinator;
use crate::pipeline::{JobState, Outcome};
use crate::store::Appended;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use pipglr_protocol::trace::parse_content_range_start;
use pipglr_protocol::{Secret, payload::JobId, update::FailureReason};
use serde::Deserialize;
use std::sync::PoisonError;

#[derive(Debug, Deserialize)]
pub(super) struct TraceQuery {
    token: Option<Secret>,
}

/// Appends the body if it starts where the trace ends.
pub(super) async fn append(
    State(coordinator): State<Coordinator>,
    Path(id): Path<u64>,
    Query(query): Query<TraceQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let id = JobId(id);
    let token = job_token(&headers, query.token.as_ref());
    let state = coordinator.change(|state| {
        let place = authenticate_running_job(state, id, token.as_ref())?;
        state.touch(place, Timestamp::now());
        Ok(state.job(place).state)
    })?;
    let range = headers.get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
    let range = range.ok_or(Refusal::BadRequest("400 Missing header Content-Range"))?;
    let start = parse_content_range_start(range).ok_or(Refusal::BadRequest("400 Invalid header Content-Range"))?;
    match store(&coordinator, id, start, body).await? {
        Appended::Stored(size) => {
            coordinator.announce_trace(id, size);
            Ok(answer(&coordinator, StatusCode::ACCEPTED, state, size))
        }
        Appended::Mismatch(size) => Ok(answer(&coordinator, StatusCode::RANGE_NOT_SATISFIABLE, state, size)),
        Appended::TooLarge => Err(drop_job(&coordinator, id)),
    }
}

async fn store(coordinator: &Coordinator, id: JobId, start: u64, body: Bytes) -> Result<Appended, Refusal> {
    let limit = coordinator.options().trace_limit;
    let coordinator = coordinator.clone();
    // Not cancelled when the runner hangs up: what is stored must be counted.
    let appended = tokio::task::spawn_blocking(move || {
        let trace = coordinator.trace(id)?;
        let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.append(start, &body, limit)
    });
    appended
        .await
        .map_err(|e| Refusal::internal(&e))?
        .map_err(|e| Refusal::internal(&e))
}

fn answer(coordinator: &Coordinator, status: StatusCode, state: JobState, size: u64) -> Response {
    let range = format!("0-{size}");
    let mut headers = job_headers(state, coordinator.options().trace_interval_seconds());
    match HeaderValue::from_str(&range) {
        Ok(value) => {
            headers.insert(header::RANGE, value);
        }
        Err(error) => return Refusal::internal(&error).into_response(),
    }
    (status, headers, range).into_response()
}

/// The job wrote more than it may.
fn drop_job(coordinator: &Coordinator, id: JobId) -> Refusal {
    let reason = FailureReason::Named("trace_size_exceeded".to_owned());
    let outcome = Outcome::Failed {
        reason,
        exit_code: None,
    };
    coordinator.change(|state| {
        let now = Timestamp::now();
        let Some(place) = state.place(id) else {
            return Refusal::NotFound;
        };
        state.change(place.pipeline, now, |pipeline| {
            if pipeline.jobs[place.index].state.is_processing() {
                pipeline.finish(place.index, outcome, now);
            }
        });
        // A job that is tried again has moved.
        let place = state.place(id).unwrap_or(place);
        Refusal::NotProcessing(state.job(place).state)
    })
}
