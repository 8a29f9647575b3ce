//! podman of this account: its own socket if it is served, else a service of ours that ends with us.

use crate::error::CliError;
use anyhow::{Context as _, anyhow};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Our service ends by itself when nobody asked anything for this long: it must not outlive a process that was killed.
const IDLE: Duration = Duration::from_secs(60);
/// How often it is asked something.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest time until it answers.
const START: Duration = Duration::from_secs(30);
/// Pause between two looks whether it does: nothing tells of it.
const LOOK: Duration = Duration::from_millis(3);
/// How long it has to end.
const STOP: Duration = Duration::from_secs(5);

const ACCOUNT_HINT: &str = "rootless podman needs subordinate IDs and newuidmap: \
    `sudo usermod --add-subuids 200000-265538 --add-subgids 200000-265538 $USER`, package uidmap, then \
    `podman system migrate`; `podman info` must work";

/// podman's API.
#[derive(Debug)]
pub(super) struct Podman {
    pub(super) socket: PathBuf,
    /// Ours, if there was none.
    service: Option<Child>,
}

impl Podman {
    /// Finds the account's socket or starts a service in `directory`.
    pub(super) async fn provide(directory: &Path) -> Result<Self, CliError> {
        if rustix::process::getuid().is_root() {
            return Err(CliError::with_hint(
                anyhow!("pipglr local runs jobs in rootless podman, and this is root"),
                "run it as an ordinary account",
            ));
        }
        if let Some(socket) = named_socket()? {
            UnixStream::connect(&socket)
                .await
                .with_context(|| format!("connect to {}, which CONTAINER_HOST names", socket.display()))?;
            return Ok(Self { socket, service: None });
        }
        let served = std::env::var_os("XDG_RUNTIME_DIR").map(|at| Path::new(&at).join("podman/podman.sock"));
        if let Some(socket) = served
            && UnixStream::connect(&socket).await.is_ok()
        {
            return Ok(Self { socket, service: None });
        }
        Self::start(directory).await
    }

    async fn start(directory: &Path) -> Result<Self, CliError> {
        let socket = directory.join("podman.sock");
        let log = directory.join("podman.log");
        let stderr = std::fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new("podman");
        command
            .args(["system", "service", "--time", &IDLE.as_secs().to_string()])
            .arg(format!("unix://{}", socket.display()))
            // Ctrl-C of the terminal is for us: containers are ended in order, by this very service.
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        let mut service = command.spawn().map_err(not_started)?;
        let deadline = Instant::now() + START;
        while UnixStream::connect(&socket).await.is_err() {
            if let Some(status) = service.try_wait().context("look after podman")? {
                return Err(failed(&format!("podman system service: {status}"), &log));
            }
            if Instant::now() > deadline {
                return Err(failed("podman system service does not answer", &log));
            }
            sleep(LOOK).await;
        }
        Ok(Self {
            socket,
            service: Some(service),
        })
    }

    /// Keeps our service from ending while nothing happens. Never comes back.
    pub(super) async fn keep_alive(engine: pipglr_runner::containers::Engine) -> std::convert::Infallible {
        loop {
            sleep(KEEP_ALIVE).await;
            if let Err(error) = engine.ping().await {
                tracing::debug!(%error, "podman does not answer");
            }
        }
    }

    /// Ends the service, if it is ours.
    pub(super) async fn end(self) -> Result<(), CliError> {
        let Some(mut service) = self.service else {
            return Ok(());
        };
        if let Some(pid) = service
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended just now.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(STOP, service.wait()).await.is_err() {
            service.kill().await.context("end podman system service")?;
        }
        Ok(())
    }
}

/// The socket `CONTAINER_HOST` names.
fn named_socket() -> Result<Option<PathBuf>, CliError> {
    let Some(host) = std::env::var("CONTAINER_HOST").ok().filter(|host| !host.is_empty()) else {
        return Ok(None);
    };
    match host.strip_prefix("unix://") {
        Some(path) => Ok(Some(PathBuf::from(path))),
        None => Err(CliError::with_hint(
            anyhow!("CONTAINER_HOST is {host:?}: podman on another machine cannot see this working tree"),
            "unset CONTAINER_HOST, or name a socket of this machine: unix:///…",
        )),
    }
}

pub(super) fn not_started(error: io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "install podman 4.3 or later (apt install podman, dnf install podman)",
        _ => ACCOUNT_HINT,
    };
    CliError::with_hint(anyhow::Error::new(error).context("podman cannot be started"), hint)
}

/// What podman itself said is part of the error.
fn failed(what: &str, log: &Path) -> CliError {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let said = said.trim();
    let text = if said.is_empty() {
        what.to_owned()
    } else {
        format!("{what}\n{said}")
    };
    CliError::with_hint(anyhow!(text), ACCOUNT_HINT)
}
