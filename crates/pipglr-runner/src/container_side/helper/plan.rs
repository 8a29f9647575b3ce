//! What a helper container is told to do.

use super::cache::{ArchivePlan, RestorePlan};
use pipglr_protocol::Secret;
use pipglr_protocol::payload::{Artifact, JobId};
use serde::{Deserialize, Serialize};

/// Everything process 1 of a helper container needs; arrives on stdin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HelperPlan {
    /// Goes into markers.
    pub nonce: String,
    /// Environment of child processes and of path expansion; later entries win.
    pub environment: Vec<(String, Secret)>,
    /// File with further lines of environment that the scripts left; removed once it was read.
    pub gitlab_env: Option<String>,
    /// Directories an earlier job of this slot can have left; removed before anything else.
    pub remove_first: Vec<String>,
    /// Files that must exist while phases run.
    pub files: Vec<crate::container_side::init::FileVariable>,
    /// Carried out in order; a failed one ends the run.
    pub phases: Vec<Phase>,
}

/// One phase of a helper container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    GetSources(SourcesPlan),
    RestoreCache(RestorePlan),
    DownloadArtifacts(DownloadsPlan),
    ArchiveCache(ArchivePlan),
    UploadArtifacts(UploadsPlan),
}

/// How the sources get into the project directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcesPlan {
    pub strategy: Strategy,
    pub project_dir: String,
    /// Sibling of the project directory for everything that must not be in it.
    pub temp_dir: String,
    /// Without credentials.
    pub remote_url: String,
    /// `url.<with credentials>.insteadOf <without>`, in order.
    pub url_rules: Vec<UrlRule>,
    /// Certificates to trust for the coordinator's host.
    pub tls: Option<GitTls>,
    pub refspecs: Vec<String>,
    /// 0 is the whole history.
    pub depth: u64,
    pub sha: String,
    pub reference: String,
    /// `sha1` or `sha256`.
    pub object_format: String,
    pub checkout: bool,
    /// `None`: no cleaning.
    pub clean_flags: Option<Vec<String>>,
    pub fetch_flags: Vec<String>,
    pub skip_lfs: bool,
    /// Sent as `http.userAgent`.
    pub user_agent: String,
    /// Tries of the whole phase.
    pub attempts: u32,
    pub pre_scripts: Vec<String>,
    pub post_scripts: Vec<String>,
}

/// `http.<base_url>.sslCAInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitTls {
    /// `scheme://host[:port]`.
    pub base_url: String,
    /// Inside the container.
    pub ca_file: String,
}

/// `GIT_STRATEGY`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Use the work tree an earlier job left.
    #[default]
    Fetch,
    /// Start from an empty directory.
    Clone,
    /// Leave the directory alone.
    None,
    /// Empty the directory.
    Empty,
}

/// Lets git reach `plain` with the credentials in `with_credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRule {
    pub plain: String,
    pub with_credentials: Secret,
}

/// How the coordinator is reached from inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorAccess {
    /// Base URL.
    pub url: String,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<String>,
}

/// Archives of earlier jobs to unpack into the project directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DownloadsPlan {
    pub coordinator: CoordinatorAccess,
    pub project_dir: String,
    pub downloads: Vec<Download>,
    /// Tries of the whole phase.
    pub attempts: u32,
    /// First try asks for the object store's address (`FF_USE_DIRECT_DOWNLOAD`).
    pub direct: bool,
}

/// One archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Download {
    pub job: JobId,
    pub name: String,
    pub token: Secret,
}

/// Files of the project directory to send to the coordinator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UploadsPlan {
    /// `upload_artifacts_on_success` or `upload_artifacts_on_failure`.
    pub stage: String,
    pub coordinator: CoordinatorAccess,
    pub project_dir: String,
    pub job: JobId,
    pub token: Secret,
    pub artifacts: Vec<Artifact>,
    /// `ARTIFACT_COMPRESSION_LEVEL`.
    pub compression: String,
    /// Seconds for one upload.
    pub timeout: u64,
}

impl Phase {
    /// Name of the phase's section in the job log.
    #[must_use]
    pub fn stage(&self) -> &str {
        match self {
            Self::GetSources(_) => "get_sources",
            Self::RestoreCache(_) => "restore_cache",
            Self::DownloadArtifacts(_) => "download_artifacts",
            Self::ArchiveCache(plan) => &plan.stage,
            Self::UploadArtifacts(plan) => &plan.stage,
        }
    }
}
