//! One running container: started, told its plan, listened to until it says it is finished.

use super::Engine;
use super::outage::within_limit;
use super::reader::Reader;
use crate::container_side::marker::StageEnd;
use crate::trace::Source;
use anyhow::Context as _;
use pipglr_podman::{AttachOptions, Attached, ContainerSpec, Input, RemoveOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Events that wait to be taken. When nobody takes them, the container's output is left to podman and its pipe, and the
/// job's process waits: a chatty script cannot fill this process's memory.
const WAITING_EVENTS: usize = 64;
/// What comes out of a container, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    Output(Source, Vec<u8>),
    Start {
        stage: String,
    },
    End {
        stage: String,
        end: StageEnd,
    },
    /// The container has done what it was told.
    Finished,
    /// The container ended, or was lost, before it was finished; says why.
    Died(String),
    /// The container ended before it had its whole plan: nothing of it was done. Says why.
    NothingRan(String),
    /// Somebody removed the container before it was finished.
    Gone {
        id: String,
    },
}

/// How many bytes of each stream of a container belong to the events that were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    pub stdout: u64,
    pub stderr: u64,
}

/// A container under way.
#[derive(Debug)]
pub struct Session {
    id: String,
    engine: Engine,
    input: Option<Input>,
    events: mpsc::Receiver<(SessionEvent, Position)>,
    position: Position,
    /// Ends with the session.
    _reader: AbortOnDropHandle<()>,
}

impl Session {
    /// Creates and starts a container; it waits for its plan. Nothing was done if podman goes away meanwhile, so it is
    /// done again when podman is back.
    ///
    /// # Errors
    /// podman refuses or is not there.
    pub async fn launch(engine: &Engine, spec: &ContainerSpec, nonce: &str) -> anyhow::Result<Self> {
        let launch = |again| async move {
            if let Some(name) = spec.name.as_deref().filter(|_| again) {
                try_discard(engine, name).await;
            }
            Self::try_launch(engine, spec, nonce).await
        };
        engine.despite_outages(launch).await
    }

    async fn try_launch(engine: &Engine, spec: &ContainerSpec, nonce: &str) -> anyhow::Result<Self> {
        let client = &engine.client;
        let id = engine.create(spec).await?;
        let options = AttachOptions {
            stdin: true,
            stdout: true,
            stderr: true,
            logs: false,
            stream: true,
            ..AttachOptions::default()
        };
        let started = async {
            let attached = client.attach(&id, options).await.context("attach to container")?;
            client.start(&id).await.context("start container")?;
            anyhow::Ok(attached)
        };
        let Attached { output, input } = match started.await {
            Ok(attached) => attached,
            Err(error) => {
                try_discard(engine, &id).await;
                return Err(error);
            }
        };
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        let reader = Reader::new(engine.clone(), id.clone(), nonce, sender, Position::default());
        let task = tokio::spawn(reader.run(Some(output)));
        Ok(Self {
            id,
            engine: engine.clone(),
            input: Some(input),
            events,
            position: Position::default(),
            _reader: AbortOnDropHandle::new(task),
        })
    }

    /// The container's ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Listens to a container an earlier process started, from `position` on. What it had no time to tell is told now,
    /// even if it has ended. Its plan cannot be sent any more.
    #[must_use]
    pub fn resume(engine: &Engine, name: &str, nonce: &str, position: Position) -> Self {
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        let reader = Reader::new(engine.clone(), name.to_owned(), nonce, sender, position);
        let task = tokio::spawn(reader.run(None));
        Self {
            id: name.to_owned(),
            engine: engine.clone(),
            input: None,
            events,
            position,
            _reader: AbortOnDropHandle::new(task),
        }
    }

    /// Hands over the plan. Whether it arrived is seen by what the container does, which alone is certain.
    pub async fn tell(&mut self, plan: &impl serde::Serialize) {
        if let Err(error) = self.send_plan(plan).await {
            tracing::warn!(container = self.id, error = %format!("{error:#}"), "the plan may not have arrived");
        }
    }

    /// Sends the plan, which must be a single line.
    async fn send_plan(&mut self, plan: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(plan).context("serialize the plan")?;
        line.push(b'\n');
        let mut input = self.input.take().context("the plan was sent already")?;
        input.write_all(&line).await.context("send the plan to the container")?;
        input.close().await.context("send the plan to the container")
    }

    /// The next event. `None` after the last one: finished, died or gone. Cancel safe.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let (event, position) = self.events.recv().await?;
        self.position = position;
        Some(event)
    }

    /// What of the container's output belongs to the events so far.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Removes the container, which is of no use any more.
    pub async fn remove(self) {
        discard(&self.engine, &self.id).await;
    }

    /// Asks the container to stop what it is doing.
    pub async fn ask_to_stop(&self) {
        if let Err(error) = within_limit(self.engine.client.kill(&self.id, "SIGTERM")).await {
            tracing::debug!(container = self.id, %error, "container could not be asked to stop");
        }
    }
}

/// Removes a container that did nothing, even if podman goes away meanwhile.
pub(crate) async fn discard(engine: &Engine, id: &str) {
    engine
        .despite_outages(|_| remove(engine, id))
        .await
        .unwrap_or_else(|error| tell_of_leftover(id, &error));
}

/// As [`discard`], for those who wait for podman themselves.
pub(super) async fn try_discard(engine: &Engine, id: &str) {
    remove(engine, id)
        .await
        .unwrap_or_else(|error| tell_of_leftover(id, &error));
}

async fn remove(engine: &Engine, id: &str) -> Result<(), pipglr_podman::Error> {
    engine.client.remove(id, RemoveOptions::NOW).await.map(drop)
}

fn tell_of_leftover(id: &str, error: &pipglr_podman::Error) {
    tracing::warn!(container = id, %error, "container could not be removed");
}
