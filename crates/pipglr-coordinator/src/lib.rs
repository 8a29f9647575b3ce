//! An embedded GitLab: pipeline state and the runner API over HTTP.
//!
//! It serves one git working tree as one project to any runner that speaks GitLab's runner API (`gitlab-runner` or
//! ours). It runs no job itself, keeps no users and no web pages, and forgets running pipelines when it stops; traces,
//! artifacts and the results of jobs stay in the data directory.
//!
//! | module | what it holds |
//! |---|---|
//! | `options` | everything the caller decides |
//! | `creation` | what a caller says about one pipeline |
//! | `coordinator` | the handle: start, watch, cancel, play, retry |
//! | `config`, `world` | the evaluation, and what it sees outside the file: other files, projects, the network |
//! | `variables`, `variable_files` | what GitLab predefines, what its settings would say, and their order |
//! | `pipeline` | the state machine of jobs, and which of them run; pure |
//! | `state` | all pipelines and runners, the queue, what one pipeline means for others; pure |
//! | `bridges` | child pipelines |
//! | `payload` | a job as the runner gets it; pure |
//! | `api` | thin handlers of the runner API |
//! | `git` | the mirror of the repository and its smart HTTP transport |
//! | `project` | facts about project and commit, asked from git |
//! | `store` | traces, artifacts and counters on disk |

mod api;
mod bridges;
mod cache_keys;
mod config;
mod coordinator;
mod creation;
mod deadlines;
mod dotenv;
mod error;
mod events;
mod git;
mod given;
mod id_tokens;
mod options;
mod payload;
mod pipeline;
mod project;
mod record;
mod slug;
mod state;
mod store;
mod url;
mod variable_files;
mod variables;
mod world;

/// The evaluator: what [`Evaluated`] is made of.
pub use pipglr_ci as ci;

pub use config::Evaluated;
pub use coordinator::Coordinator;
pub use creation::{MergeRequest, PipelineKind, PipelineOptions, RefName, Selection};
pub use error::Error;
pub use events::Event;
pub use given::Given;
pub use options::{Identity, ServeOptions, Sources, VariableFile, VariableFormat};
pub use pipeline::{JobState, PipelineId};
pub use project::Revision;
pub use record::{ArtifactRecord, EnvironmentRecord, JobRecord, JobTimes, PipelineRecord};

use std::future::Future;
use tokio::net::TcpListener;

/// Serves the runner API and the repository on `listener` until `shutdown` resolves.
///
/// Use [`Coordinator::open`] and [`Coordinator::serve`] instead to keep a handle for starting pipelines.
///
/// # Errors
/// Options that cannot be used, a directory that is no git repository, or a failing data directory or socket.
pub async fn serve(
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    Coordinator::open(options).await?.serve(listener, shutdown).await
}
