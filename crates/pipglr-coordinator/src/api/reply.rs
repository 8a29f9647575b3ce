//! Answers other than success. Details go to the log; the wire gets GitLab's short texts.

use crate::pipeline::JobState;
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pipglr_protocol::headers;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::error::Error;

/// Why a call is not served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadRequest(&'static str),
    /// Unknown token.
    Forbidden,
    /// The token is right, but no runner may work on the job in this state.
    NotProcessing(JobState),
    NotFound,
    /// Somebody else has the job.
    Conflict(JobState),
    TooLarge,
    /// Switched off here.
    NotImplemented,
    /// Our fault; logged already.
    Internal,
}

impl Refusal {
    /// Logs a failure of our own and hides it from the runner.
    pub(super) fn internal(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = text, "a call of the runner API failed");
        Self::Internal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message, state) = match self {
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message, None),
            Self::Forbidden => (StatusCode::FORBIDDEN, "403 Forbidden", None),
            Self::NotProcessing(state) => (
                StatusCode::FORBIDDEN,
                "403 Forbidden - Job is not processing on runner",
                Some(state),
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "404 Not Found", None),
            Self::Conflict(state) => (StatusCode::CONFLICT, "409 Conflict", Some(state)),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "413 Request Entity Too Large", None),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "501 Not Implemented", None),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error", None),
        };
        let mut response = (status, Json(json!({ "message": message }))).into_response();
        if let Some(state) = state {
            insert_job_status(response.headers_mut(), state);
        }
        response
    }
}

/// Tells the runner what became of the job.
pub(super) fn insert_job_status(headers: &mut HeaderMap, state: JobState) {
    headers.insert(headers::JOB_STATUS, HeaderValue::from_static(state.as_str()));
}

/// The headers of every answer about a job that goes on: its state and the wished interval.
pub(super) fn job_headers(state: JobState, interval_seconds: u64) -> HeaderMap {
    let mut map = HeaderMap::new();
    insert_job_status(&mut map, state);
    map.insert(headers::TRACE_UPDATE_INTERVAL, HeaderValue::from(interval_seconds));
    map
}

/// Reads a JSON body, whatever its content type says.
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        tracing::debug!(%error, "a body of the runner API could not be read");
        Refusal::BadRequest("400 Bad Request")
    })
}
