//! The runner manager: polls for all its runners, supervises their jobs, and stops in an orderly way.
//!
//! Each `[[runners]]` entry has a task of its own. Before it asks for a job it holds a slot of that entry and one of
//! the whole process, so a job that arrives can always start; slots go back when they are dropped.

mod health;
mod info;
mod poll;
mod registry_auth;
mod shutdown;
mod slots;

pub use info::runner_info;
pub use shutdown::{Shutdown, ShutdownLevel};

use crate::config::{Config, RunnerConfig};
use crate::containers::{Engine, objects};
use crate::gitlab::{Connection, GitLab, TlsFiles};
use crate::job::{JobRecord, World, plan::AcceptedJob, run_job};
use anyhow::Context as _;
use poll::Poller;
use slots::Slots;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Below the state directory.
const JOB_LOGS: &str = "jobs";

/// What the manager is told besides its configuration.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// Job logs and everything else that has to survive this process.
    pub state_dir: PathBuf,
    pub system_id: String,
}

/// How the manager ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All jobs ended.
    Clean,
    /// Jobs were still running when time was up.
    JobsLost,
}

/// Runs until `shutdown` and until all jobs have ended.
///
/// # Errors
/// podman cannot be reached at all.
pub async fn run(config: Config, engine: Engine, options: ManagerOptions, shutdown: Shutdown) -> anyhow::Result<Ended> {
    let reaped = objects::reap_leftovers(&engine, &options.system_id)
        .await
        .with_context(|| format!("ask podman at {} for leftovers", engine.settings().socket.display()))?;
    if reaped > 0 {
        tracing::info!(
            count = reaped,
            "removed containers and volumes of jobs that ended with an earlier process"
        );
    }
    remove_old_logs(&options.state_dir.join(JOB_LOGS));
    let slots = Slots::new(
        config.concurrent,
        config.runners.iter().map(|r| (r.token.expose(), r.limit)),
    );
    let shared = Arc::new(Shared {
        engine,
        options,
        slots,
        config,
        shutdown: shutdown.clone(),
    });
    let mut pollers = JoinSet::new();
    let mut connections = HashMap::new();
    for (index, runner) in shared.config.runners.iter().enumerate() {
        if runner.token.is_empty() {
            continue;
        }
        let poller = connect(&mut connections, runner)
            .and_then(|gitlab| Poller::new(shared.clone(), index, Arc::new(runner.clone()), gitlab));
        match poller {
            Ok(poller) => {
                pollers.spawn(poller.run());
            }
            Err(error) => {
                tracing::error!(runner = runner.name, error = %format!("{error:#}"), "runner is skipped: correct config.toml");
            }
        }
    }
    tracing::info!(
        runners = pollers.len(),
        concurrent = shared.config.concurrent,
        "polling for jobs"
    );
    if pollers.is_empty() {
        tracing::warn!("no runner is configured: register one, then restart");
        shutdown.requested().await;
    }
    Ok(drain(pollers, &shared, &shutdown).await)
}

/// The client of a runner's instance. Runners of one instance share it, and with it connections and certificates.
fn connect(connections: &mut HashMap<Connection, GitLab>, runner: &RunnerConfig) -> anyhow::Result<GitLab> {
    let connection = Connection {
        url: runner.url.clone(),
        tls: TlsFiles {
            ca: runner.tls_ca_file.clone(),
            cert: runner.tls_cert_file.clone(),
            key: runner.tls_key_file.clone(),
            ca_text: None,
        },
    };
    if let Some(gitlab) = connections.get(&connection) {
        return Ok(gitlab.clone());
    }
    let gitlab = GitLab::connect(&connection)?;
    connections.insert(connection, gitlab.clone());
    Ok(gitlab)
}

/// Waits for pollers and their jobs; bounded once the stop is forceful.
async fn drain(mut pollers: JoinSet<()>, shared: &Shared, shutdown: &Shutdown) -> Ended {
    let all_done = async {
        while let Some(result) = pollers.join_next().await {
            if let Err(error) = result {
                tracing::error!(%error, "a runner's poller broke down");
            }
        }
    };
    let time_is_up = async {
        shutdown.forceful().cancelled().await;
        tokio::time::sleep(shared.config.shutdown_timeout()).await;
    };
    tokio::select! {
        () = all_done => Ended::Clean,
        () = time_is_up => Ended::JobsLost,
        () = shutdown.immediate().cancelled() => Ended::JobsLost,
    }
}

/// Logs of jobs that ended with an earlier process: nobody will send them.
fn remove_old_logs(directory: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "old job log could not be removed");
        }
    }
}

/// What all pollers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) options: ManagerOptions,
    pub(crate) slots: Slots,
    pub(crate) config: Config,
    pub(crate) shutdown: Shutdown,
}

/// Runs one job and tells the operator about it.
async fn run_logged(job: AcceptedJob, world: World, runner: &RunnerConfig) -> JobRecord {
    let payload = job.payload.clone();
    let (job_id, project) = (payload.id.0, payload.job_info.project_full_path.clone());
    tracing::info!(
        job_id,
        project,
        runner = runner.token.short(),
        name = payload.job_info.name,
        "job accepted"
    );
    let record = Box::pin(run_job(job, world)).await;
    let elapsed_ms = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
    match (record.state, &record.failure_reason) {
        (None, _) => tracing::info!(job_id, "job was taken back before it began"),
        (Some(_), Some(reason)) => {
            tracing::warn!(job_id, project, %reason, elapsed_ms, delivery = ?record.delivery, "job failed");
        }
        (Some(_), None) => tracing::info!(job_id, project, elapsed_ms, delivery = ?record.delivery, "job succeeded"),
    }
    record
}
