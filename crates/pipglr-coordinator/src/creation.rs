//! What a caller says when it wants a pipeline.

use crate::given::Given;
use crate::project::Revision;
use serde_json::{Map, Value};

/// Everything about one new pipeline. Start from the default, a push of `HEAD`, and overwrite fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineOptions {
    /// The files the pipeline is made of and its jobs check out.
    pub revision: Revision,
    /// What the pipeline's ref is called, whatever the revision's own is.
    pub ref_name: RefName,
    pub kind: PipelineKind,
    /// Variables of this run; they beat what the files and the project say.
    pub variables: Vec<Given>,
    /// Values for `spec:inputs` of the configuration.
    pub inputs: Map<String, Value>,
    /// A branch, tag or commit that `rules:changes` compares to. Without one it is the merge base with the upstream
    /// branch, if there is one.
    pub compare_to: Option<String>,
    pub selection: Selection,
}

/// The name of a pipeline's ref.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RefName {
    /// That of the revision: the branch `HEAD` is on, or what was named.
    #[default]
    OfRevision,
    Branch(String),
    Tag(String),
}

/// Because of what a pipeline runs: `CI_PIPELINE_SOURCE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PipelineKind {
    #[default]
    Push,
    MergeRequest(MergeRequest),
    Schedule {
        description: String,
    },
    Web,
    Api,
    Trigger {
        /// What `TRIGGER_PAYLOAD` holds.
        payload: String,
    },
    /// Started by a bridge of another pipeline of this project.
    Parent,
}

impl PipelineKind {
    /// The word of `CI_PIPELINE_SOURCE`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::MergeRequest(_) => "merge_request_event",
            Self::Schedule { .. } => "schedule",
            Self::Web => "web",
            Self::Api => "api",
            Self::Trigger { .. } => "trigger",
            Self::Parent => "parent_pipeline",
        }
    }
}

/// A merge request as it would be of the current branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeRequest {
    /// The branch it would be merged to; `None` is the default branch.
    pub target: Option<String>,
    /// Its number; 0 counts as 1.
    pub iid: u64,
    /// `None` is the commit's title.
    pub title: Option<String>,
    pub description: String,
    pub labels: Vec<String>,
    pub draft: bool,
}

/// Which jobs of the pipeline run. Nothing chosen means all. Jobs that do not run are absent, or stand in the pipeline
/// with the result an earlier run left, whose artifacts are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of jobs, or of all instances of a parallel job. A manual or delayed job that is named runs at once.
    pub jobs: Vec<String>,
    /// All jobs of these stages.
    pub stages: Vec<String>,
    /// This job and all that wait for it, directly or not.
    pub from: Option<String>,
    /// What did not succeed in the last run.
    pub only_failed: bool,
    /// With all that the chosen jobs wait for.
    pub needs: bool,
    /// Manual jobs to play as soon as their turn comes.
    pub play: Vec<String>,
}

impl Selection {
    /// Whether no job is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.jobs.is_empty() && self.stages.is_empty() && self.from.is_none() && !self.only_failed
    }
}
