//! What a helper container is told to do.

use super::cache::{ArchivePlan, RestorePlan};
use jiff::Timestamp;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::{Artifact, JobId};
use serde::{Deserialize, Serialize};

/// Everything process 1 of a helper container needs; arrives on stdin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HelperPlan {
    /// Goes into markers.
    pub nonce: String,
    /// Environment of child processes and of path expansion; later entries win.
    pub environment: Vec<(String, Secret)>,
    /// File with further lines of environment that the scripts left; removed once it was read.
    pub gitlab_env: Option<String>,
    /// Directories an earlier job of this slot can have left; removed before anything else.
    pub remove_first: Vec<String>,
    /// Keeps account of `remove_first` on a volume that is kept; see `leftovers.rs`.
    pub builds_dir: String,
    /// Tells the slots apart that see the same builds directory; empty if it is one slot's alone.
    pub slot: String,
    /// Files that must exist while phases run.
    pub files: Vec<crate::container_side::init::FileVariable>,
    /// Carried out in order; after a failed one only tidying up is left to do.
    pub phases: Vec<Phase>,
    pub pauses: Pauses,
}

/// One phase of a helper container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    GetSources(Box<SourcesPlan>),
    RestoreCache(RestorePlan),
    DownloadArtifacts(DownloadsPlan),
    ArchiveCache(ArchivePlan),
    UploadArtifacts(UploadsPlan),
    #[serde(rename = "cleanup_file_variables")]
    CleanUp(CleanUpPlan),
}

/// How the sources get into the project directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as job authors set them"
)]
pub struct SourcesPlan {
    pub strategy: Strategy,
    pub project_dir: String,
    /// Sibling of the project directory for everything that must not be in it.
    pub temp_dir: String,
    /// Without credentials.
    pub remote_url: String,
    pub access: GitAccess,
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
    /// Configuration and hooks an earlier job left are removed.
    pub clean_config: bool,
    /// git trusts the project directory whoever owns it.
    pub trust_directory: bool,
    pub fetch_flags: Vec<String>,
    /// `git clone` with these flags instead of init and fetch, where git can do it.
    pub native_clone: Option<Vec<String>>,
    pub skip_lfs: bool,
    pub submodules: Option<SubmodulesPlan>,
    /// `http.<host>.proactiveAuth=basic`, if wanted.
    pub proactive_auth: Option<String>,
    /// Sent as `http.userAgent`.
    pub user_agent: String,
    /// Tries of the whole phase.
    pub attempts: u32,
    pub pre_scripts: Vec<String>,
    pub post_scripts: Vec<String>,
}

/// How submodules are fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubmodulesPlan {
    pub recursive: bool,
    /// Pathspecs; none is all submodules.
    pub paths: Vec<String>,
    /// 0 is the whole history.
    pub depth: u64,
    pub update_flags: Vec<String>,
    /// `None`: no cleaning.
    pub foreach_clean_flags: Option<Vec<String>>,
}

/// What git's configuration outside the repository holds: everything that must not outlive the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitAccess {
    /// `scheme://host[:port]` of the servers the rest is about.
    pub hosts: Vec<String>,
    /// `url.<with credentials>.insteadOf <without>`, in order.
    pub url_rules: Vec<UrlRule>,
    /// A credential helper that answers with `$CI_JOB_TOKEN`.
    pub credential_helper: bool,
    pub tls: GitTls,
    /// `transfer.bundleURI`.
    pub bundle_uris: bool,
    /// Sent as `X-Gitaly-Correlation-ID` unless empty.
    pub correlation_id: String,
}

/// Certificates for the coordinator's host, as files inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitTls {
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
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

impl Strategy {
    /// Whether git is run at all.
    #[must_use]
    pub fn uses_git(self) -> bool {
        matches!(self, Self::Clone | Self::Fetch)
    }
}

/// Lets git reach `plain` with the credentials in `with_credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRule {
    pub plain: String,
    pub with_credentials: Secret,
}

/// How the project directory is left behind (`FF_ENABLE_JOB_CLEANUP`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CleanUpPlan {
    pub strategy: Strategy,
    pub project_dir: String,
    /// `None`: no cleaning.
    pub clean_flags: Option<Vec<String>>,
    pub submodules: bool,
    pub recursive: bool,
}

/// Pauses between tries of a phase: doubled from the first to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    pub first_ms: u64,
    pub longest_ms: u64,
}

impl Default for Pauses {
    /// Compat: gitlab-runner helpers/retry with `FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY`, which is on by default.
    fn default() -> Self {
        Self {
            first_ms: 5_000,
            longest_ms: 300_000,
        }
    }
}

impl Pauses {
    /// Compat: gitlab-runner helpers/retry without `FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY`.
    pub const SHORT: Self = Self {
        first_ms: 1_000,
        longest_ms: 5_000,
    };

    /// Always the same one.
    ///
    /// Compat: gitlab-runner commands/helpers/artifacts_downloader.go.
    pub const SECOND: Self = Self {
        first_ms: 1_000,
        longest_ms: 1_000,
    };

    /// The pause after try number `attempt`, which counts from 1.
    #[must_use]
    pub fn after(self, attempt: u32) -> std::time::Duration {
        let doubled = self
            .first_ms
            .saturating_mul(2u64.saturating_pow(attempt.saturating_sub(1)));
        std::time::Duration::from_millis(doubled.min(self.longest_ms))
    }
}

/// How the coordinator is reached from inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorAccess {
    /// Base URL.
    pub url: String,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<String>,
    /// PEM of a client certificate and its key.
    pub identity: Option<Secret>,
}

/// Archives of earlier jobs to unpack into the project directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DownloadsPlan {
    pub coordinator: CoordinatorAccess,
    pub project_dir: String,
    /// Where archives wait to be unpacked, unless the job names another place.
    pub staging_dir: String,
    pub downloads: Vec<Download>,
    /// Tries of the whole phase.
    pub attempts: u32,
    /// First try asks for the object store's address (`FF_USE_DIRECT_DOWNLOAD`).
    pub direct: bool,
    /// Between tries of one archive.
    pub pauses: Pauses,
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
    /// Seconds between the last byte of an upload and its answer.
    pub response_header_timeout: u64,
    /// Between tries of one archive.
    pub pauses: Pauses,
    /// A statement of where the files come from is wanted (`RUNNER_GENERATE_ARTIFACTS_METADATA`).
    pub provenance: Option<Box<ProvenancePlan>>,
}

/// What a statement of provenance says besides the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenancePlan {
    /// The project's address.
    pub source: String,
    pub commit: String,
    pub job: JobId,
    pub job_name: String,
    pub runner_id: String,
    pub runner_name: String,
    pub executor: String,
    pub started: Timestamp,
    /// Names of the job's variables.
    pub parameters: Vec<String>,
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
            Self::CleanUp(_) => "cleanup_file_variables",
        }
    }
}
