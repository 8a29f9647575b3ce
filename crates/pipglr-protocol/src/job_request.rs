//! `POST jobs/request`.

use crate::{Secret, info::Info};
use serde::{Deserialize, Serialize};

/// A runner's question for a job. Answers: 201 with a [`crate::payload::JobPayload`], 204 for none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRequest {
    #[serde(default)]
    pub info: Info,
    /// The runner's authentication token.
    pub token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_id: Option<String>,
    /// The last `X-GitLab-Last-Update` seen; lets the coordinator hold the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update: Option<String>,
    /// Where the job's web terminal would be reached; only from runners that serve one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionInfo>,
}

/// How GitLab reaches the session of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// `https://host:port/session/<64 hexadecimal digits>`; `/exec` below it is the terminal.
    pub url: String,
    /// PEM of the one certificate to expect there.
    pub certificate: String,
    /// The bare value of the header `Authorization`.
    pub authorization: Secret,
}
