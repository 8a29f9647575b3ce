//! What a helper container is told about caches.

use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};

/// Caches to unpack into the project directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    pub project_dir: String,
    pub entries: Vec<RestoreEntry>,
    /// Tries of the whole phase (`RESTORE_CACHE_ATTEMPTS`).
    pub attempts: u32,
    /// Seconds for one transfer (`CACHE_REQUEST_TIMEOUT`).
    pub request_timeout: u64,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<String>,
}

/// One `cache` of the job, to be restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreEntry {
    pub notices: Vec<Notice>,
    /// Tried in order until one is there; none if there is nothing to do.
    pub sources: Vec<CacheSource>,
    /// Removed after a failed try (`FF_CLEAN_UP_FAILED_CACHE_EXTRACT`).
    pub remove_after_failure: Vec<String>,
}

/// One key under which a cache may be found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSource {
    /// As people know it.
    pub key: String,
    /// The archive in this container.
    pub archive: String,
    /// Its name in object storage, if the runner has one.
    pub object: Option<String>,
    /// How to get the object; made just before the container starts.
    pub download: Option<SignedRequest>,
}

/// Files of the project directory to keep for later jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePlan {
    /// `archive_cache` or `archive_cache_on_failure`.
    pub stage: String,
    pub project_dir: String,
    pub entries: Vec<ArchiveEntry>,
    /// `CACHE_COMPRESSION_FORMAT`.
    pub format: String,
    /// `CACHE_COMPRESSION_LEVEL`.
    pub compression: String,
    /// Larger archives stay here; 0 is no limit.
    pub max_upload_bytes: u64,
    /// Seconds for one transfer (`CACHE_REQUEST_TIMEOUT`).
    pub request_timeout: u64,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<String>,
}

/// One `cache` of the job, to be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveEntry {
    pub notices: Vec<Notice>,
    /// Nothing if there is nothing to do.
    pub target: Option<CacheTarget>,
    pub paths: Vec<String>,
    pub untracked: bool,
}

/// Where a cache goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheTarget {
    /// As people know it.
    pub key: String,
    /// The archive in this container.
    pub archive: String,
    /// Nobody needs the archive here after it was uploaded (`disable_cache`).
    pub temporary: bool,
    /// Its name in object storage, if the runner has one.
    pub object: Option<String>,
    /// How to ask whether the object is there, and how to store it; made just before the container starts.
    pub exists: Option<SignedRequest>,
    pub upload: Option<SignedRequest>,
}

/// A request anybody may make who has this; it lasts as long as the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRequest {
    pub url: Secret,
    /// Part of the signature: to be sent as they are.
    pub headers: Vec<(String, String)>,
    /// The most bytes that the storage takes in one request.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// A line for the job's author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    Info(String),
    Caution(String),
}
