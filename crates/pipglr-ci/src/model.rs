//! The pipeline as plain data: what `.gitlab-ci.yml` says once defaults, inheritance and checks are done.

use serde::Serialize;
use std::time::Duration;

/// One evaluation of a `.gitlab-ci.yml`: jobs in file order, stages in execution order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pipeline {
    /// Names of all stages that have jobs or are declared, `.pre` first and `.post` last when used.
    pub stages: Vec<String>,
    pub jobs: Vec<Job>,
}

/// One job, complete: `default:` and global keywords are already merged in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Job {
    pub name: String,
    pub stage: String,
    /// `before_script` followed by `script`.
    pub script: Vec<String>,
    pub after_script: Vec<String>,
    pub image: Option<Image>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Global variables overlaid by the job's own, in order of first appearance.
    pub variables: Vec<Variable>,
    pub when: When,
    pub allow_failure: AllowFailure,
    pub artifacts: Option<Artifacts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cache>,
    /// `None`: artifacts of all jobs of earlier stages. `Some`: only of these.
    pub dependencies: Option<Vec<String>>,
    /// `None`: waits for all jobs of earlier stages. `Some`: only for these.
    pub needs: Option<Vec<Need>>,
    pub timeout: Option<Duration>,
    /// Tags that the runner must have, all of them.
    pub tags: Vec<String>,
}

/// The image a job or a service runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Image {
    pub name: String,
    pub entrypoint: Vec<String>,
    pub pull_policy: Vec<String>,
    pub user: Option<String>,
    pub platform: Option<String>,
}

/// An image that runs beside a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    pub image: Image,
    /// One name or several, separated by commas or white space. The runner takes them apart after it has expanded them.
    pub alias: Option<String>,
    pub command: Vec<String>,
    pub variables: Vec<Variable>,
}

/// A variable of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Variable {
    pub key: String,
    pub value: String,
    /// `expand: false` makes the variable raw.
    pub expand: bool,
}

/// When a job runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    #[default]
    OnSuccess,
    OnFailure,
    Always,
    Manual,
    Never,
}

/// Whether a failure of the job counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowFailure {
    #[default]
    No,
    Yes,
    /// Only for these exit codes.
    ExitCodes(Vec<i32>),
}

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

/// An edge of the job graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Need {
    pub job: String,
    /// Whether the needed job's artifacts are downloaded.
    pub artifacts: bool,
    /// Whether the needed job may be missing.
    pub optional: bool,
}
