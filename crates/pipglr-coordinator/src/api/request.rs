//! `POST jobs/request`: hands out a job, or holds the call until there is one.

use super::reply::{Refusal, parse_json};
use crate::Coordinator;
use crate::payload::{self, PayloadContext};
use crate::state::Patience;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use pipglr_protocol::headers;
use pipglr_protocol::job_request::JobRequest;
use pipglr_protocol::payload::JobPayload;
use tokio::time::Instant;

/// Answers 201 with a job, or 204. A runner that echoes `X-GitLab-Last-Update` can wait, so its call is held.
pub(super) async fn request_job(State(coordinator): State<Coordinator>, body: Bytes) -> Result<Response, Refusal> {
    let request: JobRequest = parse_json(&body)?;
    let holds = request.last_update.as_ref().is_some_and(|value| !value.is_empty());
    let deadline = Instant::now() + coordinator.options().long_poll_hold;
    let mut queue = coordinator.watch_queue();
    loop {
        // Marked as seen before looking, so that a job that arrives in between wakes us.
        queue.mark_unchanged();
        // Taken before looking as well: at worst the runner's next call is answered early.
        let last_update = coordinator.last_update();
        if let Some(payload) = take_job(&coordinator, &request)? {
            return Ok((StatusCode::CREATED, Json(payload)).into_response());
        }
        let woken = holds
            && tokio::select! {
                changed = queue.changed() => changed.is_ok(),
                () = tokio::time::sleep_until(deadline) => false,
                () = coordinator.stop().cancelled() => false,
            };
        if !woken {
            return Ok(no_job(&last_update));
        }
    }
}

fn no_job(last_update: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    match HeaderValue::from_str(last_update) {
        Ok(value) => {
            response.headers_mut().insert(headers::LAST_UPDATE, value);
        }
        Err(error) => tracing::debug!(%error, "no long poll for the next request"),
    }
    response
}

/// Assigns the oldest job that fits, and makes its payload.
fn take_job(coordinator: &Coordinator, request: &JobRequest) -> Result<Option<JobPayload>, Refusal> {
    let now = Timestamp::now();
    // Looking is cheap and the usual case; only a job changes anything.
    let (options, features) = (coordinator.options(), &request.info.features);
    let patience = Patience {
        to_accept: options.acknowledgement_ttl,
        with_silence: options.silence_limit,
    };
    coordinator.change(|state| {
        let runner = state.runner_by_token(&request.token).ok_or(Refusal::Forbidden)?;
        runner.managers.extend(request.system_id.clone());
        let runner = runner.clone();
        let Some(place) = state.assign(runner.id, features, patience, now) else {
            return Ok(None);
        };
        if let Some(session) = &request.session {
            let id = state.job(place).id;
            state.sessions.insert(id, session.clone());
        }
        let pipeline = &state.pipelines[&place.pipeline];
        let job = &pipeline.jobs[place.index];
        tracing::info!(job_id = job.id.0, runner = runner.id.0, "job handed out");
        // `assign` checked that they are there.
        let producers = state.producers(place).unwrap_or_default();
        Ok(Some(payload::build(&PayloadContext {
            producers: &producers,
            settings: &coordinator.settings(),
            signer: coordinator.signer(),
            options: coordinator.options(),
            url: coordinator.url(),
            project: coordinator.project(),
            pipeline,
            job,
            runner: &runner,
            now,
        })))
    })
}
