//! Header names of the runner API, lower case as hyper wants them.

/// Runner (or registration) token; sent besides the body's field.
pub const RUNNER_TOKEN: &str = "runner-token";
/// Token of a person.
pub const PRIVATE_TOKEN: &str = "private-token";
/// Token of one job.
pub const JOB_TOKEN: &str = "job-token";
/// The coordinator's view of a job's state, on answers to trace and update.
pub const JOB_STATUS: &str = "job-status";
/// Opaque value a runner echoes so that the coordinator can hold the next request until something changes.
pub const LAST_UPDATE: &str = "x-gitlab-last-update";
/// Whole seconds between two trace updates the coordinator would like.
pub const TRACE_UPDATE_INTERVAL: &str = "x-gitlab-trace-update-interval";
/// Identifies one call in both sides' logs.
pub const REQUEST_ID: &str = "x-request-id";
