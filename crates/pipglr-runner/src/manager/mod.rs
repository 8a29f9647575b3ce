//! The runner manager: polls for all its runners, supervises their jobs, and stops in an orderly way.
//!
//! Each `[[runners]]` entry has a task of its own; a changed configuration replaces all of them. Before one asks for a
//! job it holds a slot, so that a job that arrives can always start; slots go back when they are dropped.

mod health;
mod info;
mod poll;
mod registry_auth;
pub mod rotation;
mod shutdown;
pub(crate) mod slots;

pub use info::runner_info;
pub use rotation::Rotation;
pub use shutdown::{Shutdown, ShutdownLevel};

use crate::config::{Config, RunnerConfig};
use crate::containers::{Engine, objects};
use crate::gitlab::{Connection, GitLab, TlsFiles};
use crate::job::{JobRecord, World, plan::AcceptedJob, run_job};
use crate::metrics::{self, EndedJob, Metrics, View};
use anyhow::Context as _;
use poll::Poller;
use slots::Slots;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

/// Runs with one configuration until `shutdown` and until all jobs have ended.
///
/// # Errors
/// podman cannot be reached at all.
pub async fn run(config: Config, engine: Engine, options: ManagerOptions, shutdown: Shutdown) -> anyhow::Result<Ended> {
    let (_sender, configs) = watch::channel(Arc::new(config));
    run_following(Following::only(configs), engine, options, shutdown).await
}

/// What changes while a manager runs.
#[derive(Debug, Clone)]
pub struct Following {
    /// The configuration; each version is put in force.
    pub configs: watch::Receiver<Arc<Config>>,
    /// Where new tokens go; without it none are asked for.
    pub rotation: Option<Rotation>,
    pub metrics: Arc<Metrics>,
}

impl Following {
    /// Follows a configuration and keeps its tokens.
    #[must_use]
    pub fn only(configs: watch::Receiver<Arc<Config>>) -> Self {
        Self {
            configs,
            rotation: None,
            metrics: Arc::default(),
        }
    }
}

/// As [`run`], with a configuration that may change: runners come, go and change without touching jobs that run.
///
/// # Errors
/// podman cannot be reached at all.
pub async fn run_following(
    following: Following,
    engine: Engine,
    options: ManagerOptions,
    shutdown: Shutdown,
) -> anyhow::Result<Ended> {
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
    let Following {
        mut configs,
        rotation,
        metrics,
    } = following;
    let shared = Arc::new(Shared {
        engine,
        options,
        slots: Slots::new(configs.borrow().concurrent),
        tasks: TaskTracker::new(),
        metrics,
        shutdown: shutdown.clone(),
    });
    shared.metrics.watch(View {
        slots: shared.slots.clone(),
        configs: configs.clone(),
        system_id: shared.options.system_id.clone(),
        shutdown: shutdown.clone(),
    });
    if let Some(rotation) = rotation {
        let stop = shutdown.graceful().clone();
        shared.tasks.spawn(rotation.run(configs.clone(), stop));
    }
    let mut connections = HashMap::new();
    loop {
        let config = configs.borrow_and_update().clone();
        let retired = put_in_force(&shared, &config, &mut connections);
        tokio::select! {
            () = shutdown.requested() => break,
            changed = configs.changed() => if changed.is_err() {
                // Nobody is left who could change it.
                shutdown.requested().await;
                break;
            }
        }
        retired.cancel();
    }
    let shutdown_timeout = configs.borrow().shutdown_timeout();
    Ok(drain(&shared.tasks, shutdown_timeout, &shutdown).await)
}

/// Starts polling with a version of the configuration. Gives what ends it again.
fn put_in_force(
    shared: &Arc<Shared>,
    config: &Arc<Config>,
    connections: &mut HashMap<Connection, GitLab>,
) -> CancellationToken {
    let retired = CancellationToken::new();
    shared.slots.set_concurrent(config.concurrent);
    let mut polling = 0;
    for runner in config.runners.iter().filter(|r| !r.token.is_empty()) {
        let poller = connect(connections, runner, config.connection_max_age())
            .and_then(|gitlab| Poller::new(shared, config, runner, gitlab, &retired));
        match poller {
            Ok(poller) => {
                shared.tasks.spawn(poller.run());
                polling += 1;
            }
            Err(error) => {
                tracing::error!(runner = runner.name, error = %format!("{error:#}"), "runner is skipped: correct config.toml");
            }
        }
    }
    let urls: Vec<&str> = config.runners.iter().map(|r| r.url.as_str()).collect();
    connections.retain(|connection, _| urls.contains(&connection.url.as_str()));
    tracing::info!(runners = polling, concurrent = config.concurrent, "polling for jobs");
    if polling == 0 {
        tracing::warn!("no runner is configured: register one");
    }
    retired
}

/// The client of a runner's instance. Runners of one instance share it, and with it connections and certificates.
fn connect(
    connections: &mut HashMap<Connection, GitLab>,
    runner: &RunnerConfig,
    max_age: Option<Duration>,
) -> anyhow::Result<GitLab> {
    let connection = Connection {
        url: runner.url.clone(),
        tls: TlsFiles {
            ca: runner.tls_ca_file.clone(),
            cert: runner.tls_cert_file.clone(),
            key: runner.tls_key_file.clone(),
            ca_text: None,
            identity_text: None,
        },
    };
    if let Some(gitlab) = connections
        .get(&connection)
        .filter(|gitlab| gitlab.max_age() == max_age)
    {
        return Ok(gitlab.clone());
    }
    let gitlab = GitLab::connect(&connection)?.renewed(&connection, max_age);
    connections.insert(connection, gitlab.clone());
    Ok(gitlab)
}

/// Waits for jobs and requests; bounded once the stop is forceful.
async fn drain(tasks: &TaskTracker, shutdown_timeout: Duration, shutdown: &Shutdown) -> Ended {
    tasks.close();
    let time_is_up = async {
        shutdown.forceful().cancelled().await;
        tokio::time::sleep(shutdown_timeout).await;
    };
    tokio::select! {
        () = tasks.wait() => Ended::Clean,
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
    /// Pollers and jobs.
    pub(crate) tasks: TaskTracker,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: Shutdown,
}

/// Runs one job, counts it and tells the operator about it.
async fn run_logged(job: AcceptedJob, world: World, shared: &Shared) -> JobRecord {
    let (payload, runner, progress) = (job.payload.clone(), job.runner.clone(), world.progress.clone());
    let (job_id, project) = (payload.id.0, payload.job_info.project_full_path.clone());
    let system_id = &shared.options.system_id;
    let counted = shared.metrics.job_began(&runner, system_id, &payload, &progress);
    tracing::info!(
        job_id,
        project,
        runner = runner.token.short(),
        name = payload.job_info.name,
        "job accepted"
    );
    let record = Box::pin(run_job(job, world)).await;
    let phases = progress.finish();
    let ended = EndedJob {
        duration: record.duration,
        failure: record.failure_reason.as_ref(),
        phases: &phases,
    };
    shared.metrics.job_ended(&runner, system_id, &ended);
    drop(counted);
    let elapsed_ms = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
    let (runner, phases) = (runner.token.short(), metrics::summary(&phases));
    match (record.state, &record.failure_reason) {
        (None, _) => tracing::info!(job_id, runner, "job was taken back before it began"),
        (Some(_), Some(reason)) => {
            tracing::warn!(job_id, project, runner, %reason, elapsed_ms, phases, delivery = ?record.delivery, "job failed");
        }
        (Some(_), None) => {
            tracing::info!(job_id, project, runner, elapsed_ms, phases, delivery = ?record.delivery, "job succeeded");
        }
    }
    record
}
