//! `[runners.cache]`: where caches are kept besides this machine. Its keys are written in CamelCase.
//!
//! Compat: gitlab-runner cache/cacheconfig/cacheconfig.go.

use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};

/// `[runners.cache]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CacheConfig {
    /// `s3`, `gcs` or `azure`; empty is this machine alone.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Start of all names in object storage.
    pub path: String,
    /// Names do not tell runners apart.
    pub shared: bool,
    /// Bytes; 0 is no limit.
    pub max_uploaded_archive_size: i64,
    #[serde(rename = "s3")]
    pub s3: S3Config,
    #[serde(rename = "gcs")]
    pub gcs: GcsConfig,
    #[serde(rename = "azure")]
    pub azure: AzureConfig,
}

/// `[runners.cache.s3]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct S3Config {
    /// `host[:port]`; empty is AWS.
    pub server_address: String,
    pub access_key: Secret,
    pub secret_key: Secret,
    pub session_token: Secret,
    pub bucket_name: String,
    pub bucket_location: String,
    /// Plain HTTP.
    pub insecure: bool,
    /// `access-key` or `iam`; empty is `access-key` if address and keys are there.
    pub authentication_type: String,
    pub server_side_encryption: String,
    #[serde(rename = "ServerSideEncryptionKeyID")]
    pub server_side_encryption_key_id: String,
    pub dual_stack: Option<bool>,
    pub path_style: Option<bool>,
    pub accelerate: bool,
    #[serde(rename = "RoleARN")]
    pub role_arn: String,
    #[serde(rename = "UploadRoleARN")]
    pub upload_role_arn: String,
}

/// `[runners.cache.gcs]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct GcsConfig {
    /// Email address of a service account.
    #[serde(rename = "AccessID")]
    pub access_id: String,
    /// PEM.
    pub private_key: Secret,
    /// Key of a service account as Google hands it out; wins over the two above.
    pub credentials_file: String,
    pub bucket_name: String,
    pub universe_domain: String,
}

/// `[runners.cache.azure]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AzureConfig {
    pub account_name: String,
    /// Base64; empty is the identity of this machine or workload.
    pub account_key: Secret,
    pub container_name: String,
    pub storage_domain: String,
}
