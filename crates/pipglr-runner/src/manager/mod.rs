//! The runner manager: polls for all its runners, supervises their jobs, and stops in an orderly way.
//!
//! Each `[[runners]]` entry has a task of its own; a changed configuration replaces all of them. Before one asks for a
//! job it holds a slot, so that a job that arrives can always start; slots go back when they are dropped.

mod adopt;
mod bounds;
mod contact;
mod health;
mod info;
mod last_answer;
mod poll;
mod registries;
mod registry_auth;
pub mod rotation;
mod shutdown;
pub(crate) mod slots;
mod supervise;

pub use bounds::Bounds;
pub use contact::Contacts;
pub use info::runner_info;
pub use last_answer::LastAnswer;
pub use rotation::Rotation;
pub use shutdown::{Shutdown, ShutdownLevel};

use crate::config::{Config, RunnerConfig};
use crate::containers::Engine;
use crate::containers::objects::{self, Keep};
use crate::disk::{Disk, keeper};
use crate::gitlab::{Connection, GitLab, TlsFiles};
use crate::job::FailureHold;
use crate::journal;
use crate::metrics::{Metrics, View};
use crate::session_server::SessionServer;
use anyhow::Context as _;
use bounds::Tally;
use poll::{InForce, Poller};
use slots::Slots;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Below the state directory.
const JOBS: &str = "jobs";

/// What the manager is told besides its configuration.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// Journals of jobs and everything else that has to survive this process.
    pub state_dir: PathBuf,
    pub system_id: String,
}

/// How the manager ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All jobs ended.
    Clean,
    /// Jobs were still running when time was up. The next process takes them over.
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
    /// When it ends by itself.
    pub bounds: Bounds,
    /// Where web terminals of jobs are served, if they are.
    pub sessions: Option<SessionServer>,
    /// Who looks into the containers of jobs that failed.
    pub hold: Option<FailureHold>,
    /// The disks, if they are looked after.
    pub disk: Option<Disk>,
    /// Tells which coordinators do not answer.
    pub contacts: Contacts,
    /// How long a stop waits for requests for jobs.
    pub last_answer: LastAnswer,
}

impl Following {
    /// Follows a configuration and keeps its tokens.
    #[must_use]
    pub fn only(configs: watch::Receiver<Arc<Config>>) -> Self {
        Self {
            configs,
            rotation: None,
            metrics: Arc::default(),
            bounds: Bounds::default(),
            sessions: None,
            hold: None,
            disk: None,
            contacts: Contacts::default(),
            last_answer: LastAnswer::default(),
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
    let jobs = options.state_dir.join(JOBS);
    let _sole_user = journal::lock(&jobs)?;
    let left = journal::left(&jobs);
    let Following {
        mut configs,
        rotation,
        metrics,
        bounds,
        sessions,
        hold,
        disk,
        contacts,
        last_answer,
    } = following;
    let shared = Arc::new(Shared {
        engine,
        options,
        slots: Slots::new(configs.borrow().concurrent),
        tasks: TaskTracker::new(),
        metrics,
        sessions,
        hold,
        disk,
        contacts,
        last_answer,
        shutdown: shutdown.clone(),
        tally: Arc::new(Tally::new(bounds, shutdown.clone())),
        in_force: InForce::default(),
    });
    shared.metrics.watch(shared.view(&configs));
    if let Some(rotation) = rotation {
        let running = rotation.run(configs.clone(), shutdown.graceful().clone());
        shared.tasks.spawn(running);
    }
    let tally = shared.tally.clone();
    shared.tasks.spawn(bounds::end_in_time(tally, shutdown.clone()));
    let keep = adopt::keep(&left.jobs);
    adopt::adopt(left.jobs, &shared);
    adopt::report(left.stranded, &shared);
    if let Err(error) = reap(&shared, &keep).await {
        // What can be said about adopted jobs is said, even if podman does not come back.
        shutdown.request(ShutdownLevel::Graceful);
        drain(&shared.tasks, &configs, &shutdown).await;
        return Err(error);
    }
    let _kept = keep_disks(&shared);
    follow(&shared, &mut configs).await;
    Ok(drain(&shared.tasks, &configs, &shutdown).await)
}

/// Puts each version of the configuration in force, until a stop is requested.
async fn follow(shared: &Arc<Shared>, configs: &mut watch::Receiver<Arc<Config>>) {
    let mut connections = HashMap::new();
    loop {
        let config = configs.borrow_and_update().clone();
        let retired = put_in_force(shared, &config, &mut connections);
        tokio::select! {
            () = shared.shutdown.requested() => return,
            changed = configs.changed() => if changed.is_err() {
                // Nobody is left who could change it.
                shared.shutdown.requested().await;
                return;
            }
        }
        retired.cancel();
    }
}

/// Looks after the disks, if that was asked for, until the value is dropped.
fn keep_disks(shared: &Shared) -> Option<AbortOnDropHandle<()>> {
    let disk = shared.disk.clone()?;
    let task = tokio::spawn(keeper::keep(disk, shared.engine.clone()));
    Some(AbortOnDropHandle::new(task))
}

/// Removes what jobs left that ended with an earlier process.
async fn reap(shared: &Shared, keep: &Keep) -> anyhow::Result<()> {
    let (engine, system_id) = (&shared.engine, &shared.options.system_id);
    let reaped = objects::reap_leftovers(engine, system_id, keep)
        .await
        .with_context(|| format!("ask podman at {} for leftovers", engine.settings().socket.display()))?;
    if reaped > 0 {
        tracing::info!(
            count = reaped,
            "removed containers and volumes of jobs that ended with an earlier process"
        );
    }
    Ok(())
}

/// Starts polling with a version of the configuration. Gives what ends it again.
fn put_in_force(
    shared: &Arc<Shared>,
    config: &Arc<Config>,
    connections: &mut HashMap<Connection, GitLab>,
) -> CancellationToken {
    let retired = CancellationToken::new();
    shared.slots.set_concurrent(config.concurrent);
    let mut pollers = Vec::new();
    for runner in config.runners.iter().filter(|r| !r.token.is_empty()) {
        let poller = connect(connections, runner, config.connection_max_age())
            .and_then(|gitlab| Poller::new(shared, config, runner, gitlab, &retired));
        match poller {
            Ok(poller) => pollers.push(poller),
            Err(error) => {
                tracing::error!(runner = runner.name, error = %format!("{error:#}"), "runner is skipped: correct config.toml");
            }
        }
    }
    let urls: Vec<&str> = config.runners.iter().map(|r| r.url.as_str()).collect();
    connections.retain(|connection, _| urls.contains(&connection.url.as_str()));
    let polling = pollers.len();
    shared.in_force.replace(&pollers);
    for poller in pollers {
        shared.tasks.spawn(poller.run());
    }
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
async fn drain(tasks: &TaskTracker, configs: &watch::Receiver<Arc<Config>>, shutdown: &Shutdown) -> Ended {
    let shutdown_timeout = configs.borrow().shutdown_timeout();
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

/// What all pollers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) options: ManagerOptions,
    pub(crate) slots: Slots,
    /// Pollers and jobs.
    pub(crate) tasks: TaskTracker,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sessions: Option<SessionServer>,
    pub(crate) hold: Option<FailureHold>,
    pub(crate) disk: Option<Disk>,
    pub(crate) contacts: Contacts,
    last_answer: LastAnswer,
    pub(crate) shutdown: Shutdown,
    tally: Arc<Tally>,
    in_force: InForce,
}

impl Shared {
    fn view(&self, configs: &watch::Receiver<Arc<Config>>) -> View {
        View {
            slots: self.slots.clone(),
            configs: configs.clone(),
            system_id: self.options.system_id.clone(),
            shutdown: self.shutdown.clone(),
            disk: self.disk.clone(),
        }
    }
}
