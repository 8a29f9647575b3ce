//! Registering, verifying and unregistering runners.

use crate::{Secret, info::Info, lenient::null_as_default};
use serde::{Deserialize, Serialize};

/// `POST runners` with a registration token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RegisterRequest {
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub description: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub maintenance_note: String,
    /// Comma separated.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub tag_list: String,
    #[serde(default)]
    pub run_untagged: bool,
    #[serde(default)]
    pub locked: bool,
    /// `not_protected` or `ref_protected`.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub access_level: String,
    /// Seconds; absent is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_timeout: Option<u64>,
    #[serde(default)]
    pub paused: bool,
    #[serde(default)]
    pub info: Info,
    pub token: Secret,
}

/// Answer of register, verify and reset.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RegisterResponse {
    #[serde(default)]
    pub id: u64,
    #[serde(default)]
    pub token: Secret,
    /// RFC 3339, or `null` for "never expires".
    #[serde(default)]
    pub token_expires_at: Option<String>,
}

/// `POST runners/verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyRequest {
    #[serde(default)]
    pub info: Info,
    pub token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_id: Option<String>,
}

/// `DELETE runners` (without `system_id`), `DELETE runners/managers` (with), `POST …/reset_authentication_token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenRequest {
    pub token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_id: Option<String>,
}
