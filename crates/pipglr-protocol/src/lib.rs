//! Wire types of GitLab's runner API (`/api/v4`), as `gitlab-runner` 19.4 speaks it.
//!
//! Pure: no I/O, no clock, no randomness. Both ends use these types (the engine as client, the embedded coordinator
//! as server), so their shape is pinned from outside by the golden files under `tests/golden/`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`info`] | who the runner is and what it can do |
//! | [`registration`] | register, verify, unregister, reset of tokens |
//! | [`job_request`] | the question "is there a job for me?" |
//! | [`payload`] | its answer: everything there is to know about a job |
//! | [`update`] | state changes of a job, failure reasons |
//! | [`trace`] | the headers of an incremental job log |
//! | [`headers`], [`paths`] | names used by both sides |
//! | [`secret`] | values that must not be printed |
//!
//! Reading is tolerant: unknown keys are ignored, `null` counts as absent. Writing is exact.

pub mod headers;
pub mod info;
pub mod job_request;
mod lenient;
pub mod paths;
pub mod payload;
pub mod registration;
pub mod secret;
pub mod trace;
pub mod update;

pub use secret::Secret;
