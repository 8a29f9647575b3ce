//! What can go wrong for the caller of this crate. Runners get statuses instead, see `api::reply`.

use crate::pipeline::JobState;
use pipglr_ci::NoPipeline;
use std::io;
use std::path::{Path, PathBuf};

/// Failures of the coordinator, by what the caller can do about them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Change the option.
    #[error("option {option}: {problem}")]
    InvalidOption { option: &'static str, problem: String },
    /// Commit a configuration file, or name its path.
    #[error("no {path} in commit {sha}")]
    ConfigMissing { path: String, sha: String },
    /// Correct the configuration; `rendered` shows where.
    #[error("{path} is not valid:\n{rendered}")]
    InvalidConfig { path: String, rendered: String },
    /// The configuration is valid, but its rules leave no pipeline to make.
    #[error("{0}")]
    NoPipeline(NoPipeline),
    /// The configuration is valid but nothing is to be run.
    #[error("the pipeline has no jobs")]
    EmptyPipeline,
    /// The pipeline refers to something it does not have.
    #[error("job {job} refers to unknown {what} {name}")]
    UnknownReference {
        job: String,
        what: &'static str,
        name: String,
    },
    /// Name an existing branch, tag or commit.
    #[error("no branch, tag or commit {revision}")]
    UnknownRevision { revision: String },
    /// Name an existing pipeline or job.
    #[error("no {what} {id}")]
    NotFound { what: &'static str, id: u64 },
    /// Name a job or stage of the pipeline.
    #[error("this pipeline has no {what} {name}; it has {known}")]
    NotSelected {
        what: &'static str,
        name: String,
        known: String,
    },
    /// Correct the file with variables.
    #[error("{}: {problem}", path.display())]
    Variables { path: PathBuf, problem: String },
    /// The system is out of order.
    #[error("make a key for id tokens: {0}")]
    Key(String),
    /// A defect of ours.
    #[error("the evaluation of the configuration broke off: {0}")]
    Evaluation(String),
    /// Wait, or choose another job.
    #[error("job {id} cannot be {action} while it is {state}")]
    WrongState {
        id: u64,
        action: &'static str,
        state: JobState,
    },
    /// See git's own message.
    #[error("git {command}: {message}")]
    Git { command: String, message: String },
    /// Look at the path's permissions and free space.
    #[error("{action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The socket failed.
    #[error("serve the runner API")]
    Serve(#[source] io::Error),
}

impl Error {
    /// Says what was attempted on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
