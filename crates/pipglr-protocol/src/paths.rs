//! Paths of the runner API, relative to `<url>/api/v4/`.

use crate::payload::JobId;

/// `POST` registers, `DELETE` unregisters a runner.
pub const RUNNERS: &str = "runners";
/// `POST` verifies an authentication token.
pub const VERIFY: &str = "runners/verify";
/// `DELETE` unregisters one manager of a runner.
pub const MANAGERS: &str = "runners/managers";
/// `POST` exchanges a runner's token for a new one.
pub const RESET_TOKEN: &str = "runners/reset_authentication_token";
/// `POST` gives a runner a new token by the right of a person.
#[must_use]
pub fn reset_token_of(runner: u64) -> String {
    format!("runners/{runner}/reset_authentication_token")
}
/// `POST` asks for a job.
pub const JOBS_REQUEST: &str = "jobs/request";

/// `PUT` updates a job's state.
#[must_use]
pub fn job(id: JobId) -> String {
    format!("jobs/{id}")
}

/// `PATCH` appends to a job's trace.
#[must_use]
pub fn job_trace(id: JobId) -> String {
    format!("jobs/{id}/trace")
}

/// `POST` uploads, `GET` downloads a job's artifacts.
#[must_use]
pub fn job_artifacts(id: JobId) -> String {
    format!("jobs/{id}/artifacts")
}
