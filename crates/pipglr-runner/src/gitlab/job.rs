//! Calls of one job: its trace, its state, its artifacts' addresses.

use super::client::{Call, Error, GitLab};
use bytes::Bytes;
use pipglr_protocol::info::Info;
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::{FailureReason, JobUpdate, Output, RemoteJobState, UpdateState};
use pipglr_protocol::{Secret, headers, paths, trace};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE};
use reqwest::{Method, Response};
use std::sync::Arc;
use std::time::Duration;

/// Longest time one trace or state call may take before it is tried again.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The API as one job sees it, with that job's token.
#[derive(Debug, Clone)]
pub struct JobApi {
    gitlab: GitLab,
    id: JobId,
    token: Secret,
    info: Arc<Info>,
    debug_trace: bool,
}

/// What is reported about a job.
#[derive(Debug, Clone)]
pub struct StateReport {
    pub state: UpdateState,
    pub failure_reason: Option<FailureReason>,
    pub exit_code: i32,
    pub output: Output,
}

impl StateReport {
    /// "Still running".
    #[must_use]
    pub fn running(output: Output) -> Self {
        Self {
            state: UpdateState::Running,
            failure_reason: None,
            exit_code: 0,
            output,
        }
    }
}

/// Answer to a patch of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    pub answer: PatchAnswer,
    pub remote: Option<RemoteJobState>,
    pub interval: Option<Duration>,
}

/// How a patch was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchAnswer {
    Accepted,
    /// The coordinator has this many bytes.
    Mismatch {
        offset: u64,
    },
    /// The job is over for the coordinator.
    Gone,
    NotFound,
    Failed,
}

/// Answer to a state update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    pub answer: UpdateAnswer,
    pub remote: Option<RemoteJobState>,
    pub interval: Option<Duration>,
}

/// How a state update was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateAnswer {
    Done,
    /// Accepted, not completed: ask again later (202).
    NotYet,
    /// The log does not match its checksum: send it again from the start (412).
    ResendTrace,
    /// The job is over for the coordinator.
    Gone,
    Failed,
}

impl JobApi {
    /// The API for job `id`.
    #[must_use]
    pub fn new(gitlab: GitLab, id: JobId, token: Secret, info: Arc<Info>, debug_trace: bool) -> Self {
        Self {
            gitlab,
            id,
            token,
            info,
            debug_trace,
        }
    }

    /// The job's number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Appends `chunk`, which must not be empty, to the trace at `offset`.
    pub async fn patch_trace(&self, offset: u64, chunk: Vec<u8>) -> Patch {
        let Some(range) = trace::content_range(offset, chunk.len() as u64) else {
            return Patch {
                answer: PatchAnswer::Accepted,
                remote: None,
                interval: None,
            };
        };
        let mut map = self.token_header();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        map.insert(CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits and a dash"));
        let path = format!("{}?debug_trace={}", paths::job_trace(self.id), self.debug_trace);
        match self.call(Method::PATCH, &path, map, Bytes::from(chunk)).await {
            Ok(response) => read_patch(&response),
            Err(error) => {
                tracing::warn!(job_id = self.id.0, %error, "appending to the job log failed");
                Patch {
                    answer: PatchAnswer::Failed,
                    remote: None,
                    interval: None,
                }
            }
        }
    }

    /// Reports the job's state.
    pub async fn update(&self, report: &StateReport) -> Update {
        let body = JobUpdate {
            info: (*self.info).clone(),
            token: self.token.clone(),
            state: report.state,
            failure_reason: report.failure_reason.clone(),
            checksum: report.output.checksum.clone(),
            output: report.output.clone(),
            exit_code: report.exit_code,
        };
        let body = serde_json::to_vec(&body).expect("plain data serializes");
        let mut map = self.token_header();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self
            .call(Method::PUT, &paths::job(self.id), map, Bytes::from(body))
            .await
        {
            Ok(response) => {
                let update = read_update(&response);
                if update.answer == UpdateAnswer::Failed {
                    tracing::warn!(
                        job_id = self.id.0,
                        status = response.status().as_u16(),
                        "job update failed"
                    );
                }
                update
            }
            Err(error) => {
                tracing::warn!(job_id = self.id.0, %error, "job update failed");
                let failed = if matches!(error, Error::Configuration { .. }) {
                    UpdateAnswer::Gone
                } else {
                    UpdateAnswer::Failed
                };
                Update {
                    answer: failed,
                    remote: None,
                    interval: None,
                }
            }
        }
    }

    async fn call(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Response, Error> {
        let call = Call {
            method,
            path,
            headers,
            body: Some(body),
            timeout: Some(CALL_TIMEOUT),
        };
        self.gitlab.send(call).await
    }

    fn token_header(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        if let Ok(mut value) = HeaderValue::from_str(self.token.expose()) {
            value.set_sensitive(true);
            map.insert(HeaderName::from_static(headers::JOB_TOKEN), value);
        }
        map
    }
}

fn read_patch(response: &Response) -> Patch {
    let (remote, interval) = read_common(response);
    let answer = match response.status().as_u16() {
        _ if remote == Some(RemoteJobState::Ended) => PatchAnswer::Gone,
        403 => PatchAnswer::Gone,
        202 => PatchAnswer::Accepted,
        404 => PatchAnswer::NotFound,
        416 => PatchAnswer::Mismatch {
            offset: header(response, RANGE.as_str()).map_or(0, trace::parse_range_offset),
        },
        _ => PatchAnswer::Failed,
    };
    Patch {
        answer,
        remote,
        interval,
    }
}

fn read_update(response: &Response) -> Update {
    let (remote, interval) = read_common(response);
    let answer = match response.status().as_u16() {
        // The answer to a final state names that state: it was taken.
        200 => UpdateAnswer::Done,
        _ if remote == Some(RemoteJobState::Ended) => UpdateAnswer::Gone,
        403 | 404 => UpdateAnswer::Gone,
        202 => UpdateAnswer::NotYet,
        412 => UpdateAnswer::ResendTrace,
        _ => UpdateAnswer::Failed,
    };
    Update {
        answer,
        remote,
        interval,
    }
}

fn read_common(response: &Response) -> (Option<RemoteJobState>, Option<Duration>) {
    let remote = header(response, headers::JOB_STATUS).map(RemoteJobState::parse);
    let interval = header(response, headers::TRACE_UPDATE_INTERVAL)
        .and_then(|v| v.trim().parse::<u64>().ok())
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs);
    (remote, interval)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|v| v.to_str().ok())
}
