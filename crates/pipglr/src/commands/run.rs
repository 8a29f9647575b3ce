//! `pipglr runner run`: the manager as a service.

use super::engine::engine;
use super::{Outcome, health, multi_threaded};
use crate::cli::RunArgs;
use crate::error::CliError;
use crate::observability::{self, LogOptions};
use crate::signals;
use anyhow::Context as _;
use pipglr_runner::config::{self, Config, ConfigSource, Parsed, RELOAD_INTERVAL, TokenStore};
use pipglr_runner::containers::Engine;
use pipglr_runner::disk::{Disk, DiskOptions, control};
use pipglr_runner::manager::{
    self, Bounds, Contacts, Ended, Following, LastAnswer, ManagerOptions, Rotation, Shutdown,
};
use pipglr_runner::metrics::{self, Metrics};
use pipglr_runner::session_server::{SessionServer, Times};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

pub(super) fn run(args: &RunArgs, log: &mut LogOptions) -> Outcome {
    if let Some(directory) = &args.working_directory {
        std::env::set_current_dir(directory).with_context(|| format!("change to {}", directory.display()))?;
    }
    let path = &args.config.config;
    let mut source = ConfigSource::new(path, &args.config.state_dir());
    let Parsed { config, findings } = source.load().map_err(|error| {
        let hint = format!(
            "create it with `register`, or store it as podman secret config.toml ({} is read)",
            path.display()
        );
        CliError::with_hint(error, hint)
    })?;
    // The command line and the environment win over the file.
    let of_file = LogOfFile {
        level: log.level.is_none(),
        format: log.format.is_none(),
    };
    log.level = log.level.take().or_else(|| config.log_level.clone());
    log.format = log.format.take().or_else(|| config.log_format.clone());
    observability::init(log);
    // A manager idles for most of its life: pages of 2 MiB would triple what it holds for nothing.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
    tracing::info!(version = pipglr_runner::VERSION, revision = pipglr_runner::REVISION, config = %path.display(), "pipglr starts");
    for finding in findings {
        tracing::warn!("{}:{}: {}", path.display(), finding.place, finding.message);
    }
    multi_threaded()?.block_on(serve(args, source, config, of_file))
}

async fn serve(args: &RunArgs, source: ConfigSource, config: Config, of_file: LogOfFile) -> Outcome {
    let state_dir = args.config.state_dir();
    let system_id = config::load_or_create_system_id(&state_dir).map_err(|error| {
        CliError::with_hint(
            error,
            "the state directory must be writable: is volume pipglr-state mounted?",
        )
    })?;
    let engine = engine(&args.engine, &config);
    let metrics = Arc::new(Metrics::default());
    let listen_address = args.listen_address.clone().or_else(|| config.listen_address.clone());
    serve_metrics(listen_address.as_deref().unwrap_or_default(), &metrics).await?;
    let sessions = serve_sessions(&config).await?;
    let (shutdown, reload) = (Shutdown::default(), Arc::new(Notify::new()));
    signals::watch(shutdown.clone(), reload.clone()).context("listen to signals")?;
    let following = following(args, source, config, reload, metrics);
    let disk = look_after_disks(args, &engine, following.configs.clone())?;
    if let Some(path) = &args.health_socket {
        health::serve(path, engine.clone(), disk.clone(), following.contacts.clone())
            .with_context(|| format!("listen on {}", path.display()))?;
    }
    let following = Following {
        sessions,
        disk,
        ..following
    };
    tokio::spawn(follow_log(following.configs.clone(), of_file));
    notify_ready();
    let options = ManagerOptions { state_dir, system_id };
    Ok(exit_code(
        manager::run_following(following, engine, options, shutdown).await?,
    ))
}

/// Tells the operator how it ended.
pub(super) fn exit_code(ended: Ended) -> u8 {
    match ended {
        Ended::Clean => {
            tracing::info!("all jobs have ended");
            0
        }
        Ended::JobsLost => {
            tracing::error!("time is up, jobs were still running");
            1
        }
    }
}

/// The configuration and its tokens, as they change.
fn following(
    args: &RunArgs,
    source: ConfigSource,
    config: Config,
    reload: Arc<Notify>,
    metrics: Arc<Metrics>,
) -> Following {
    Following {
        configs: source.follow(config, RELOAD_INTERVAL, reload.clone(), metrics.reloads.clone()),
        rotation: Some(Rotation {
            tokens: TokenStore::new(&args.config.state_dir()),
            config_file: args.config.config.clone(),
            reload,
            counts: metrics.reloads.clone(),
        }),
        metrics,
        bounds: Bounds::default(),
        sessions: None,
        hold: None,
        disk: None,
        contacts: Contacts::default(),
        last_answer: LastAnswer::default(),
    }
}

/// Serves metrics at an address, if there is one.
async fn serve_metrics(address: &str, metrics: &Arc<Metrics>) -> Result<(), CliError> {
    let hint = "give --listen-address or `listen_address` of config.toml as host:port";
    let wrong = |error: anyhow::Error| CliError::with_hint(error, hint);
    let Some(address) = metrics::listen_address(address).map_err(|e| wrong(e.into()))? else {
        return Ok(());
    };
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("serve metrics on {address}"))
        .map_err(wrong)?;
    tracing::info!(address, "metrics are served");
    tokio::spawn(metrics::serve(listener, metrics.clone()));
    Ok(())
}

/// Only where it was asked for: nobody's own podman is tidied.
fn look_after_disks(
    args: &RunArgs,
    engine: &Engine,
    configs: watch::Receiver<Arc<Config>>,
) -> Result<Option<Disk>, CliError> {
    let Some(storage) = &args.storage else {
        return Ok(None);
    };
    let options = DiskOptions {
        storage: storage.clone(),
        state_dir: args.config.state_dir(),
    };
    let disk = Disk::new(options, engine, configs);
    if let Some(path) = &args.control_socket {
        control::serve(path, disk.clone(), engine.clone()).with_context(|| format!("listen on {}", path.display()))?;
    }
    Ok(Some(disk))
}

/// Serves web terminals of jobs, if they are configured.
async fn serve_sessions(config: &Config) -> Result<Option<SessionServer>, CliError> {
    let bound = SessionServer::bind(&config.session_server, Times::default()).await;
    let bound = bound.map_err(|error| {
        let hint = "correct `listen_address` and `advertise_address` of `[session_server]` in config.toml";
        CliError::with_hint(error, hint)
    })?;
    let Some((server, listener)) = bound else {
        return Ok(None);
    };
    tracing::info!(address = server.base(), "web terminals are served");
    tokio::spawn(server.clone().serve(listener));
    Ok(Some(server))
}

/// What of the log the file decides.
#[derive(Debug, Clone, Copy)]
struct LogOfFile {
    level: bool,
    format: bool,
}

/// Puts level and format of a changed file in force.
async fn follow_log(mut configs: watch::Receiver<Arc<Config>>, of_file: LogOfFile) {
    let mut level = configs.borrow().log_level.clone();
    while configs.changed().await.is_ok() {
        let config = configs.borrow_and_update().clone();
        if of_file.level && config.log_level != level {
            observability::set_level(config.log_level.as_deref());
            level.clone_from(&config.log_level);
        }
        if of_file.format {
            observability::set_format(config.log_format.as_deref());
        }
    }
}

/// Tells systemd that the service is up (`Type=notify`), if it asked.
fn notify_ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1\n", Path::new(&path)));
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
