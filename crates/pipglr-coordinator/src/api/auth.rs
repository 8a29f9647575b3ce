//! Who is calling: job tokens.

use super::reply::Refusal;
use crate::pipeline::JobState;
use crate::state::{JobPlace, State, same_token};
use axum::http::HeaderMap;
use pipglr_protocol::{Secret, headers, payload::JobId};

/// The token of the `JOB-TOKEN` header, else the one given as parameter.
pub(super) fn job_token(headers: &HeaderMap, parameter: Option<&Secret>) -> Option<Secret> {
    let header = headers.get(headers::JOB_TOKEN).and_then(|v| v.to_str().ok());
    header
        .map(Secret::new)
        .or_else(|| parameter.cloned())
        .filter(|t| !t.is_empty())
}

/// Finds the job and checks its token. A job that is over is refused together with its state, so that the runner
/// stops; one that waits for acceptance passes.
///
/// Compat: GitLab lib/api/ci/helpers/runner.rb: 403, not 404, for unknown jobs.
pub(super) fn authenticate_job(state: &State, id: JobId, token: Option<&Secret>) -> Result<JobPlace, Refusal> {
    let place = state.place(id).ok_or(Refusal::Forbidden)?;
    let job = state.job(place);
    if !token.is_some_and(|token| same_token(&job.token, token)) {
        return Err(Refusal::Forbidden);
    }
    match job.state {
        JobState::Pending | JobState::Running | JobState::Canceling => Ok(place),
        JobState::Created
        | JobState::WaitingForResource
        | JobState::Manual
        | JobState::Scheduled
        | JobState::Success
        | JobState::Failed
        | JobState::Canceled
        | JobState::Skipped => Err(Refusal::NotProcessing(job.state)),
    }
}

/// Like [`authenticate_job`], for calls that make sense only after the job was accepted.
pub(super) fn authenticate_running_job(state: &State, id: JobId, token: Option<&Secret>) -> Result<JobPlace, Refusal> {
    let place = authenticate_job(state, id, token)?;
    let job_state = state.job(place).state;
    if job_state.is_processing() {
        Ok(place)
    } else {
        Err(Refusal::NotProcessing(job_state))
    }
}
