//! `PUT jobs/:id`: the runner accepts a job, keeps it alive, or ends it.

use super::auth::{authenticate_job, job_token};
use super::reply::{Refusal, job_headers, parse_json};
use crate::Coordinator;
use crate::payload::FAILURE_REASONS;
use crate::pipeline::{JobState, Outcome};
use crate::state::{JobPlace, State as Coordination};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::{FailureReason, JobUpdate, Output, UpdateState};
use std::sync::PoisonError;

/// Answers as GitLab's `UpdateBuildStateService` does.
pub(super) async fn update_job(
    State(coordinator): State<Coordinator>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let id = JobId(id);
    let update: JobUpdate = parse_json(&body)?;
    let token = job_token(&headers, Some(&update.token));
    let ends = matches!(update.state, UpdateState::Success | UpdateState::Failed);
    if ends && !trace_is_complete(&coordinator, id, token.as_ref(), &update).await? {
        return Ok(answer(&coordinator, StatusCode::PRECONDITION_FAILED, JobState::Running));
    }
    let ttl = coordinator.options().acknowledgement_ttl;
    let state = coordinator.change(|state| {
        let now = Timestamp::now();
        let place = authenticate_job(state, id, token.as_ref())?;
        state.touch(place, now);
        match update.state {
            UpdateState::Pending => renew(state, place, crate::pipeline::after(now, ttl))?,
            UpdateState::Running => accept(state, place, now)?,
            UpdateState::Success => end(state, place, Outcome::Success, now)?,
            UpdateState::Failed => end(state, place, failure(&update), now)?,
        }
        let place = state.place(id).unwrap_or(place);
        Ok(state.job(place).state)
    })?;
    Ok(answer(&coordinator, StatusCode::OK, state))
}

fn answer(coordinator: &Coordinator, status: StatusCode, state: JobState) -> Response {
    let headers = job_headers(state, coordinator.options().trace_interval_seconds());
    (status, headers, status.as_str().to_owned()).into_response()
}

/// `state=pending`: only while the job waits for acceptance.
fn renew(state: &mut Coordination, place: JobPlace, accept_by: Timestamp) -> Result<(), Refusal> {
    let job = state.job(place);
    let two_phase = job.assignment.as_ref().is_some_and(|a| a.two_phase);
    if job.state == JobState::Pending && !job.awaits_acceptance() || job.state != JobState::Pending && two_phase {
        return Err(Refusal::Conflict(job.state));
    }
    if job.state != JobState::Pending {
        return Err(Refusal::BadRequest("400 Bad Request"));
    }
    state.update_job(place, |job| {
        if let Some(assignment) = &mut job.assignment {
            assignment.accept_by = accept_by;
        }
    });
    Ok(())
}

/// `state=running`: accepts the job, or says that it goes on.
fn accept(state: &mut Coordination, place: JobPlace, now: Timestamp) -> Result<(), Refusal> {
    let job = state.job(place);
    if job.state != JobState::Pending {
        return Ok(());
    }
    if !job.awaits_acceptance() {
        return Err(Refusal::Conflict(job.state));
    }
    tracing::info!(job_id = job.id.0, "job accepted");
    state.change(place.pipeline, now, |pipeline| pipeline.accept(place.index, now));
    Ok(())
}

fn end(state: &mut Coordination, place: JobPlace, outcome: Outcome, now: Timestamp) -> Result<(), Refusal> {
    let job = state.job(place);
    // A runner may give a job back as failed before it accepted it, but it cannot have done it.
    let gives_back = job.awaits_acceptance() && outcome != Outcome::Success;
    if !job.state.is_processing() && !gives_back {
        return Err(Refusal::Conflict(job.state));
    }
    let id = job.id.0;
    state.change(place.pipeline, now, |pipeline| {
        pipeline.finish(place.index, outcome, now);
    });
    // A job that is tried again has moved.
    let place = state.place(JobId(id)).unwrap_or(place);
    tracing::info!(job_id = id, status = state.job(place).state.as_str(), "job finished");
    Ok(())
}

fn failure(update: &JobUpdate) -> Outcome {
    let known = |reason: &&FailureReason| FAILURE_REASONS.contains(&reason.as_str());
    let reason = update
        .failure_reason
        .as_ref()
        .filter(known)
        .cloned()
        .unwrap_or(FailureReason::UnknownFailure);
    Outcome::Failed {
        reason,
        exit_code: (update.exit_code != 0).then_some(update.exit_code),
    }
}

/// Compares the stored trace with the runner's description. At the first mismatch the trace is emptied, so that the
/// runner can send all of it again; the second time the job counts more than its log.
async fn trace_is_complete(
    coordinator: &Coordinator,
    id: JobId,
    token: Option<&pipglr_protocol::Secret>,
    update: &JobUpdate,
) -> Result<bool, Refusal> {
    let asked_before = {
        let state = coordinator.lock();
        let place = authenticate_job(&state, id, token)?;
        let job = state.job(place);
        if !job.state.is_processing() {
            return Ok(true);
        }
        job.resend_requested
    };
    let described = Output {
        checksum: update.output.checksum.clone().or_else(|| update.checksum.clone()),
        ..update.output.clone()
    };
    let shared = coordinator.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let trace = shared.trace(id)?;
        let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
        let matches = trace.matches(&described);
        if !matches && !asked_before {
            trace.reset()?;
        }
        std::io::Result::Ok(matches)
    });
    let matches = checked
        .await
        .map_err(|e| Refusal::internal(&e))?
        .map_err(|e| Refusal::internal(&e))?;
    if matches {
        return Ok(true);
    }
    tracing::warn!(
        job_id = id.0,
        attempt = if asked_before { 2 } else { 1 },
        "trace differs from the runner's"
    );
    if asked_before {
        return Ok(true);
    }
    coordinator.change(|state| {
        if let Some(place) = state.place(id) {
            state.update_job(place, |job| job.resend_requested = true);
        }
    });
    coordinator.announce_trace(id, 0);
    Ok(false)
}
