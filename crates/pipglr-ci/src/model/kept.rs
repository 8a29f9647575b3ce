//! Files that outlive a job: artifacts, reports, caches.

use serde::Serialize;

/// Files to keep after the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Artifacts {
    pub name: Option<String>,
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    pub untracked: bool,
    pub when: ArtifactsWhen,
    pub expire_in: Option<String>,
    pub access: ArtifactsAccess,
    /// The name under which a merge request shows them.
    pub expose_as: Option<String>,
    pub reports: Vec<Report>,
}

/// Files that say something about the job, kept whatever came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `junit`, `dotenv`, … as the coordinator files it; of `coverage_report` its format.
    pub kind: String,
    pub paths: Vec<String>,
}

/// Who may see artifacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactsAccess {
    None,
    Developer,
    Maintainer,
    #[default]
    All,
}

/// For which outcome artifacts are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactsWhen {
    #[default]
    OnSuccess,
    OnFailure,
    Always,
}

/// Files to keep between jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cache {
    pub key: CacheKey,
    pub paths: Vec<String>,
    pub untracked: bool,
    /// Jobs of protected and other refs share it.
    pub unprotect: bool,
    pub policy: CachePolicy,
    pub when: ArtifactsWhen,
    pub fallback_keys: Vec<String>,
}

/// What a cache is found by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKey {
    Text(String),
    /// By the content of files of the commit, or by the commits that changed them last.
    Files {
        files: Vec<String>,
        commits: bool,
        prefix: Option<String>,
    },
}

impl Default for CacheKey {
    fn default() -> Self {
        Self::Text("default".to_owned())
    }
}

/// Whether a cache is restored, kept, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CachePolicy {
    #[default]
    PullPush,
    Pull,
    Push,
    /// The runner finds out.
    Variable(String),
}
