//! The client of GitLab's runner API: one file per group of calls, `client` for what they share.

mod artifacts;
mod client;
mod job;
mod registration;
mod renewal;
mod request;
mod reset;
mod retry;
mod trust;

pub use artifacts::{UploadDescription, UploadTarget};
pub(crate) use artifacts::{asked_pause, correlation_id};
pub use client::{Connection, Error, GitLab, TlsFiles};
pub(crate) use client::{http_client, without_credentials};
pub use job::{JobApi, Patch, PatchAnswer, StateReport, Update, UpdateAnswer};
pub use registration::Verified;
pub use request::JobRequestOutcome;
pub(crate) use retry::is_retriable;
pub(crate) use retry::jitter;
