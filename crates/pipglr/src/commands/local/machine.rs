//! The engine, set up for one run: what it is told of podman, of the coordinator and of the jobs.

use super::helper_root;
use super::places::{Places, renew};
use super::podman::Podman;
use crate::cli::LocalArgs;
use crate::error::CliError;
use anyhow::{Context as _, anyhow};
use pipglr_protocol::Secret;
use pipglr_runner::config::{self, Config, DockerConfig, RunnerConfig};
use pipglr_runner::containers::objects::{self, Keep};
use pipglr_runner::containers::{Engine, EngineSettings, Relay};
use pipglr_runner::job::{FailedJob, FailureHold};
use pipglr_runner::manager::{self, Following, LastAnswer, ManagerOptions, Shutdown};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Longest log of a job in KiB: the disk is the user's own. The coordinator fails jobs above 100 MB.
const OUTPUT_LIMIT: u64 = 90 * 1024;

/// Tells what belongs to a project, on its containers.
const LABEL: &str = "pipglr.local";
/// The runner's name in logs of jobs.
const NAME: &str = "pipglr local";

/// The engine and what it takes to run.
pub(super) struct Machine {
    pub(super) engine: Engine,
    config: Config,
    options: ManagerOptions,
    pub(super) shutdown: Shutdown,
    hold: Option<FailureHold>,
}

impl Machine {
    /// Gets everything ready; jobs are found at `port` of the loopback.
    pub(super) fn new(
        args: &LocalArgs,
        places: &Places,
        podman: &Podman,
        port: u16,
        token: &Secret,
    ) -> Result<(Self, Option<mpsc::UnboundedReceiver<FailedJob>>), CliError> {
        let root = places.runtime.join("helper-root");
        helper_root::make(&root)?;
        let engine = Engine::new(EngineSettings {
            socket: podman.socket.clone(),
            program: program(args)?,
            helper_root: root,
            docker_auth_config: std::env::var("DOCKER_AUTH_CONFIG").ok().map(Secret::new),
            home: std::env::home_dir(),
            relay: Some(Relay {
                socket: relay_socket(places),
                port,
            }),
            ..EngineSettings::default()
        });
        let (hold, failed) = args.shell_on_failure.then(FailureHold::new).unzip();
        let machine = Self {
            engine,
            config: configuration(args, places, port, token),
            options: options(&places.slot)?,
            shutdown: Shutdown::default(),
            hold,
        };
        Ok((machine, failed))
    }

    /// Runs jobs until the shutdown.
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let (_sender, configs) = watch::channel(Arc::new(self.config.clone()));
        let following = Following {
            hold: self.hold.clone(),
            // The pipeline has ended when a stop comes, or is to end.
            last_answer: LastAnswer::NONE,
            ..Following::only(configs)
        };
        let (engine, options) = (self.engine.clone(), self.options.clone());
        manager::run_following(following, engine, options, self.shutdown.clone()).await?;
        // Not every job was waited for, and podman does not remove everything at the first try. Nobody may come after
        // us who reaps it.
        objects::reap_leftovers(&self.engine, &self.options.system_id, &Keep::default())
            .await
            .context("remove what the jobs left")?;
        Ok(())
    }
}

/// The socket that is mounted into containers.
pub(super) fn relay_socket(places: &Places) -> PathBuf {
    places.runtime.join("coordinator.sock")
}

/// This program, as it can be started inside any image.
fn program(args: &LocalArgs) -> Result<PathBuf, CliError> {
    match &args.program {
        Some(program) => Ok(fs::canonicalize(program).with_context(|| format!("find {}", program.display()))?),
        None if cfg!(target_env = "musl") => Ok(std::env::current_exe().context("find this program's own file")?),
        None => Err(CliError::with_hint(
            anyhow!("this build of pipglr is not static: it cannot be started inside job containers"),
            "use a release of pipglr, or name a static build by PIPGLR_PROGRAM",
        )),
    }
}

/// The manager's directory: an earlier run's jobs are not taken over, but what it left on podman is removed by its
/// system ID.
fn options(slot: &Path) -> Result<ManagerOptions, CliError> {
    let state_dir = slot.join("runner");
    let jobs = state_dir.join("jobs");
    renew(&jobs)?;
    let system_id = config::load_or_create_system_id(&state_dir)?;
    Ok(ManagerOptions { state_dir, system_id })
}

fn configuration(args: &LocalArgs, places: &Places, port: u16, token: &Secret) -> Config {
    let cache = format!("{}cache:/cache", Places::volume_prefix(&places.project));
    let policy = if args.context.offline {
        "never"
    } else {
        args.pull.as_str()
    };
    let docker = DockerConfig {
        image: args.default_image.clone(),
        pull_policy: vec![policy.to_owned()],
        allowed_pull_policies: if args.context.offline {
            vec![policy.to_owned()]
        } else {
            Vec::new()
        },
        volumes: vec![cache],
        // Program and sockets of this account are mounted into the containers.
        security_opt: vec!["label=disable".to_owned()],
        container_labels: [(LABEL.to_owned(), places.project.clone())].into(),
        ..DockerConfig::default()
    };
    let runner = RunnerConfig {
        name: NAME.to_owned(),
        url: format!("http://127.0.0.1:{port}"),
        token: token.clone(),
        request_concurrency: 1,
        executor: "docker".to_owned(),
        output_limit: OUTPUT_LIMIT,
        docker,
        ..RunnerConfig::default()
    };
    let mut config = Config::default();
    config.concurrent = args.concurrent.unwrap_or_else(processors);
    config.runners.push(runner);
    config
}

fn processors() -> u32 {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(count).unwrap_or(u32::MAX)
}
