//! The pipeline as plain data: what `.gitlab-ci.yml` says once defaults, inheritance and checks are done.

mod kept;

pub use kept::{Artifacts, ArtifactsAccess, ArtifactsWhen, Cache, CacheKey, CachePolicy, Report};

use serde::Serialize;
use std::time::Duration;

/// One evaluation of a `.gitlab-ci.yml`: jobs in file order, stages in execution order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pipeline {
    /// `workflow:name`, expanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub auto_cancel: AutoCancel,
    /// Names of all stages that have jobs or are declared, `.pre` first and `.post` last when used.
    pub stages: Vec<String>,
    pub jobs: Vec<Job>,
}

/// `workflow:auto_cancel`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AutoCancel {
    pub on_new_commit: OnNewCommit,
    /// A job that fails, and may not, ends all others.
    pub on_job_failure: bool,
}

/// What a newer commit of the same ref cancels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewCommit {
    /// The pipeline, as long as no job that is not interruptible has started.
    #[default]
    Conservative,
    /// Jobs that are interruptible.
    Interruptible,
    None,
}

/// One job, complete: `default:` and global keywords are already merged in, rules are decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Job {
    pub name: String,
    /// What the job is shown under together with others: its name without what `parallel` added, or a person who
    /// numbered it by hand. Absent when it is the whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its place among the instances that `parallel` made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<ParallelNode>,
    pub stage: String,
    /// `before_script` followed by `script`.
    pub script: Vec<String>,
    pub after_script: Vec<String>,
    /// `hooks:pre_get_sources_script`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pre_get_sources_script: Vec<String>,
    /// `run`: the steps of a job that has no script, as GitLab sends them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<serde_json::Value>,
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
    /// How long a delayed job waits after its turn has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_in: Option<Duration>,
    /// What a person is asked before a manual job is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_confirmation: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Retry,
    #[serde(skip_serializing_if = "is_default")]
    pub interruptible: bool,
    /// Expanded. Jobs of one group run one at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The job is a pipeline of its own and runs on no runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// The regular expression that finds the coverage in the log, without its slashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_tokens: Vec<IdToken>,
    /// `secrets`, name by name, as the runner's payload has them. Servers are references to variables, which the runner
    /// expands.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub secrets: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The job's artifacts are a site; its directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
    /// `inputs` of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<JobInput>,
}

/// Which of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ParallelNode {
    /// From 1.
    pub index: usize,
    pub total: usize,
}

/// How often a failed job is run again, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// At most 2.
    pub max: u32,
    /// Reasons of failure, `always` among them; one of these or one of the exit codes is enough.
    pub when: Vec<String>,
    pub exit_codes: Vec<i32>,
}

/// What a job deploys to. Names and URL are expanded as far as GitLab does before the job runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    pub name: String,
    pub url: Option<String>,
    pub action: EnvironmentAction,
    /// The job that stops it.
    pub on_stop: Option<String>,
    pub auto_stop_in: Option<String>,
    /// As written or guessed from the name.
    pub tier: String,
}

/// What a job does to its environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentAction {
    #[default]
    Start,
    Prepare,
    Stop,
    Verify,
    Access,
}

impl EnvironmentAction {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Prepare => "prepare",
            Self::Stop => "stop",
            Self::Verify => "verify",
            Self::Access => "access",
        }
    }
}

/// A pipeline that a job starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trigger {
    pub target: TriggerTarget,
    /// `strategy: depend` or `mirror`: the job waits for the pipeline and takes its result.
    pub wait: bool,
    /// `strategy: mirror`: the job has the pipeline's state at any time, not only its result at the end.
    #[serde(skip_serializing_if = "is_default")]
    pub mirror: bool,
    /// Whether the file's variables go along.
    pub forward_yaml_variables: bool,
    /// Whether variables given from outside go along.
    pub forward_pipeline_variables: bool,
    /// Values for the `spec:inputs` of what is started.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub inputs: serde_json::Map<String, serde_json::Value>,
}

/// Whose pipeline a job starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerTarget {
    /// A child of this project's pipeline, from these files merged.
    Child(Vec<ChildInclude>),
    Project {
        path: String,
        branch: Option<String>,
    },
}

impl Default for TriggerTarget {
    fn default() -> Self {
        Self::Child(Vec::new())
    }
}

/// A file of a child pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildInclude {
    /// An entry as `include` takes it, in JSON.
    Include(serde_json::Value),
    /// A file among the artifacts of a job of the parent.
    Artifact {
        job: String,
        path: String,
        inputs: serde_json::Map<String, serde_json::Value>,
    },
}

/// A token that GitLab signs for a job, under a variable's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdToken {
    pub name: String,
    pub audience: Vec<String>,
}

/// A release that GitLab makes after the job, by `release-cli` or `glab` in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Release {
    pub tag_name: String,
    pub description: String,
    /// Everything else, as written.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// A site to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// `public` unless said otherwise. It is among the job's artifacts.
    pub publish: String,
    /// `path_prefix` and `expire_in`, if given.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// An input of one job, which has a default. The runner puts it where `${{ job.inputs.KEY }}` stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobInput {
    pub key: String,
    /// `string`, `number`, `boolean` or `array`.
    pub kind: String,
    pub value: serde_json::Value,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// After [`Job::start_in`].
    Delayed,
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

/// An edge of the job graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Need {
    pub job: String,
    /// Whether the needed job's artifacts are downloaded.
    pub artifacts: bool,
    /// Whether the needed job may be missing.
    pub optional: bool,
    /// The pipeline the job is of, if it is another one: its ID, as a rule a variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
}
