//! The job payload: the 201 body of `POST jobs/request`.
//!
//! Compat: gitlab-runner common/spec/spec.go; GitLab lib/api/entities/ci/job_request.

use crate::{Secret, lenient::null_as_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A job's number, unique on one GitLab instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything the coordinator says about one job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobPayload {
    pub id: JobId,
    /// The job's own token: API, git and registry password.
    pub token: Secret,
    /// Whether `fetch` is the strategy when `GIT_STRATEGY` is unset.
    pub allow_git_fetch: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub job_info: JobInfo,
    #[serde(deserialize_with = "null_as_default")]
    pub git_info: GitInfo,
    #[serde(deserialize_with = "null_as_default")]
    pub runner_info: RunnerInfo,
    #[serde(deserialize_with = "null_as_default")]
    pub variables: Vec<Variable>,
    #[serde(deserialize_with = "null_as_default")]
    pub steps: Vec<Step>,
    #[serde(deserialize_with = "null_as_default")]
    pub image: Image,
    #[serde(deserialize_with = "null_as_default")]
    pub services: Vec<Image>,
    #[serde(deserialize_with = "null_as_default")]
    pub artifacts: Vec<Artifact>,
    #[serde(deserialize_with = "null_as_default")]
    pub cache: Vec<Cache>,
    #[serde(deserialize_with = "null_as_default")]
    pub credentials: Vec<Credential>,
    #[serde(deserialize_with = "null_as_default")]
    pub dependencies: Vec<Dependency>,
    #[serde(deserialize_with = "null_as_default")]
    pub features: JobFeatures,
    #[serde(deserialize_with = "null_as_default")]
    pub secrets: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub hooks: Vec<Hook>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<serde_json::Value>,
    /// A JSON array in a string, for jobs with the `run` keyword.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub run: String,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "PolicyOptions::is_empty"
    )]
    pub policy_options: PolicyOptions,
}

/// The policy that put a job into the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyOptions {
    #[serde(deserialize_with = "null_as_default")]
    pub execution_policy_job: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub policy_name: String,
    pub policy_variables_override_allowed: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    pub policy_variables_override_exceptions: Vec<String>,
}

impl PolicyOptions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the job is, for logs and names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobInfo {
    pub id: JobId,
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub stage: String,
    pub pipeline_id: u64,
    pub project_id: u64,
    #[serde(deserialize_with = "null_as_default")]
    pub project_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub project_full_path: String,
    #[serde(deserialize_with = "null_as_default")]
    pub time_in_queue_seconds: f64,
    #[serde(deserialize_with = "null_as_default")]
    pub project_jobs_running_on_instance_runners_count: String,
    /// Of the jobs that wait for a runner like this one.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub queue_size: i64,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub queue_depth: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What to check out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitInfo {
    /// May carry credentials.
    pub repo_url: Secret,
    #[serde(deserialize_with = "null_as_default")]
    pub repo_object_format: String,
    #[serde(rename = "ref", deserialize_with = "null_as_default")]
    pub reference: String,
    #[serde(deserialize_with = "null_as_default")]
    pub sha: String,
    #[serde(deserialize_with = "null_as_default")]
    pub before_sha: String,
    /// `branch` or `tag`.
    #[serde(deserialize_with = "null_as_default")]
    pub ref_type: String,
    #[serde(deserialize_with = "null_as_default")]
    pub refspecs: Vec<String>,
    /// 0 is the whole history.
    #[serde(deserialize_with = "null_as_default")]
    pub depth: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
}

/// Limits the coordinator sets for this job on this runner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerInfo {
    /// Seconds for the whole job; not positive means the default of two hours.
    #[serde(deserialize_with = "null_as_default")]
    pub timeout: i64,
}

/// A job variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent switches of the wire format"
)]
pub struct Variable {
    pub key: String,
    #[serde(deserialize_with = "null_as_default")]
    pub value: Secret,
    /// Passed on to service containers.
    pub public: bool,
    /// The value lands in a file; the variable holds its path.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub file: bool,
    /// Replaced by `[MASKED]` in the trace.
    pub masked: bool,
    /// The value is taken as it is, without expansion.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
}

/// A named script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub script: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub timeout: u64,
    #[serde(deserialize_with = "null_as_default")]
    pub when: String,
    #[serde(deserialize_with = "null_as_default")]
    pub allow_failure: bool,
}

/// A job's image, or one of its services.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub alias: String,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub pull_policy: Vec<String>,
    /// `{"docker": {"user": …, "platform": …}}`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "serde_json::Map::is_empty"
    )]
    pub executor_opts: serde_json::Map<String, serde_json::Value>,
}

/// Files to keep after the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifact {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub untracked: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub paths: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub exclude: Vec<String>,
    /// `on_success` (also empty), `on_failure`, `always`.
    #[serde(deserialize_with = "null_as_default")]
    pub when: String,
    #[serde(deserialize_with = "null_as_default")]
    pub artifact_type: String,
    /// `zip` (also empty), `gzip`, `raw`.
    #[serde(deserialize_with = "null_as_default")]
    pub artifact_format: String,
    #[serde(deserialize_with = "null_as_default")]
    pub expire_in: String,
}

/// Files to keep between jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cache {
    #[serde(deserialize_with = "null_as_default")]
    pub key: String,
    #[serde(deserialize_with = "null_as_default")]
    pub untracked: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub policy: String,
    #[serde(deserialize_with = "null_as_default")]
    pub paths: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub when: String,
    #[serde(deserialize_with = "null_as_default")]
    pub fallback_keys: Vec<String>,
}

/// Credentials the coordinator lends to the job; only `type == "registry"` is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credential {
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_as_default")]
    pub url: String,
    #[serde(deserialize_with = "null_as_default")]
    pub username: String,
    #[serde(deserialize_with = "null_as_default")]
    pub password: Secret,
}

/// An earlier job whose artifacts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    pub id: JobId,
    pub token: Secret,
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub artifacts_file: ArtifactsFile,
}

/// The archive of a dependency; an empty file name means there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactsFile {
    #[serde(deserialize_with = "null_as_default")]
    pub filename: String,
    #[serde(deserialize_with = "null_as_default")]
    pub size: u64,
}

/// What the coordinator can take from this job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobFeatures {
    #[serde(deserialize_with = "null_as_default")]
    pub trace_sections: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub token_mask_prefixes: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub failure_reasons: Vec<String>,
}

/// A script that runs around another phase: `pre_get_sources_script`, `post_get_sources_script`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub script: Vec<String>,
}
