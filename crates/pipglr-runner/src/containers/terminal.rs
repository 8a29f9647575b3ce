//! A shell with a terminal in a job's build container, for somebody who sits elsewhere.
//!
//! Compat: gitlab-runner executors/docker/terminal.go.

use super::Engine;
use super::outage::within_limit;
use super::spec::PROGRAM_INSIDE;
use crate::container_side::init::{InitPlan, READY, TerminalPlan};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use pipglr_podman::{Attached, ExecSession, ExecSpec, Input, Output};
use std::time::Duration;

/// Pause between two looks at a container that does not run yet.
const LOOK: Duration = Duration::from_secs(1);

/// A build container in which a shell may be opened.
#[derive(Debug, Clone)]
pub struct Shells {
    engine: Engine,
    container: String,
    plan: TerminalPlan,
}

impl Shells {
    /// In the container of this name, with what its scripts have.
    #[must_use]
    pub fn new(engine: &Engine, container: String, scripts: &InitPlan) -> Self {
        Self {
            engine: engine.clone(),
            container,
            plan: scripts.into(),
        }
    }

    /// Opens a shell.
    ///
    /// # Errors
    /// The container does not run within `limit`, or the shell cannot be started.
    pub async fn open(&self, limit: Duration) -> anyhow::Result<Shell> {
        match tokio::time::timeout(limit, self.start()).await {
            Ok(shell) => shell,
            Err(_) => bail!("the build container offers no shell within {} s", limit.as_secs()),
        }
    }

    async fn start(&self) -> anyhow::Result<Shell> {
        let client = &self.engine.client;
        loop {
            match client.inspect_container(&self.container).await {
                Ok(container) if container.state.running => break,
                Err(error) if !error.is_not_found() => return Err(error).context("look at the build container"),
                Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
        let spec = ExecSpec {
            command: vec![PROGRAM_INSIDE.to_owned(), "job-terminal".to_owned()],
            // It becomes the image's user itself.
            user: Some("0:0".to_owned()),
            terminal: true,
            attach_stdin: true,
            attach_stdout: true,
            attach_stderr: true,
            ..ExecSpec::default()
        };
        let session = client
            .exec_create(&self.container, &spec)
            .await
            .context("make the shell")?;
        let Attached { output, input } = client.exec_start(&session).await.context("start the shell")?;
        let mut shell = Shell {
            engine: self.engine.clone(),
            container: self.container.clone(),
            session,
            writer: ShellInput { input },
            reader: ShellOutput {
                output,
                rest: Vec::new(),
            },
        };
        let mut line = serde_json::to_vec(&self.plan).context("serialize the shell's plan")?;
        line.push(b'\n');
        shell.reader.until_ready().await?;
        shell.writer.write(&line).await?;
        shell.reader.until_ready().await?;
        Ok(shell)
    }
}

/// A shell that runs.
#[derive(Debug)]
pub struct Shell {
    engine: Engine,
    container: String,
    session: ExecSession,
    pub writer: ShellInput,
    pub reader: ShellOutput,
}

/// What is typed.
#[derive(Debug)]
pub struct ShellInput {
    input: Input,
}

/// What is shown.
#[derive(Debug)]
pub struct ShellOutput {
    output: Output,
    /// Came together with the sign that it is ready.
    rest: Vec<u8>,
}

impl Shell {
    /// Whoever sits there has a terminal of this size. A shell that does not hear of it still works.
    pub async fn resize(&self, rows: u16, columns: u16) {
        let resized = self.engine.client.exec_resize(&self.session, rows, columns);
        if let Err(error) = within_limit(resized).await {
            tracing::debug!(container = self.container, %error, "a terminal keeps its size");
        }
    }

    /// Nobody sits there any more: process 1 of the container ends the shell.
    pub async fn hang_up(self) {
        if let Err(error) = within_limit(self.engine.client.kill(&self.container, "SIGHUP")).await {
            tracing::debug!(container = self.container, %error, "the container of a web terminal is gone");
        }
    }
}

impl ShellInput {
    /// Types.
    ///
    /// # Errors
    /// The shell is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.input.write_all(bytes).await.context("write to the shell")
    }
}

impl ShellOutput {
    /// What is shown next; `None` if the shell has ended.
    ///
    /// # Errors
    /// podman is gone.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest).into()));
        }
        match self.output.next().await {
            Some(frame) => Ok(Some(frame.context("read from the shell")?.data)),
            None => Ok(None),
        }
    }

    /// Takes everything up to the sign. What comes before is an error of whoever could not start the program.
    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let mut seen = Vec::new();
        loop {
            match self.next().await? {
                Some(bytes) => seen.extend_from_slice(&bytes),
                None => bail!("the shell was not started: {}", String::from_utf8_lossy(&seen).trim()),
            }
            if let Some(at) = seen.windows(READY.len()).position(|window| window == READY) {
                self.rest = seen.split_off(at + READY.len());
                return Ok(());
            }
        }
    }
}
