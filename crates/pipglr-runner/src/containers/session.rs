//! One running container: started, told its plan, listened to until it says it is finished.

use super::Engine;
use crate::container_side::marker::{Event, MarkerReader, Piece, StageEnd};
use crate::trace::Source;
use anyhow::Context as _;
use pipglr_podman::{AttachOptions, Attached, ContainerSpec, Input, LogOptions, Output, OutputKind, RemoveOptions};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// How long podman may be away before its container is given up.
const LONGEST_OUTAGE: Duration = Duration::from_secs(60);

/// Pause before podman is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the log of a stopped container is read before it is taken as it is.
const REPLAYS: u32 = 5;
/// Events that wait to be taken. When nobody takes them, the container's output is left to podman and its pipe, and the
/// job's process waits: a chatty script cannot fill this process's memory.
const WAITING_EVENTS: usize = 64;
/// Output of one stream that waits for the other one to reach the same marker. Both are written at the same moment, so
/// more than this means that the job forged one.
const WAITING_BYTES: usize = 1 << 20;

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
    /// Somebody removed the container before it was finished.
    Gone {
        id: String,
    },
}

/// A container under way.
#[derive(Debug)]
pub struct Session {
    id: String,
    engine: Engine,
    input: Option<Input>,
    events: mpsc::Receiver<SessionEvent>,
    /// Ends with the session.
    _reader: AbortOnDropHandle<()>,
}

impl Session {
    /// Creates and starts a container; it waits for its plan.
    ///
    /// # Errors
    /// podman refuses or is not there.
    pub async fn launch(engine: &Engine, spec: &ContainerSpec, nonce: &str) -> anyhow::Result<Self> {
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
                discard(engine, &id).await;
                return Err(error);
            }
        };
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        let reader = Reader::new(engine.clone(), id.clone(), nonce, sender);
        let task = tokio::spawn(reader.run(output));
        Ok(Self {
            id,
            engine: engine.clone(),
            input: Some(input),
            events,
            _reader: AbortOnDropHandle::new(task),
        })
    }

    /// The container's ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Hands over the plan, which must be a single line.
    ///
    /// # Errors
    /// The container is gone.
    pub async fn send_plan(&mut self, plan: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(plan).context("serialize the plan")?;
        line.push(b'\n');
        let mut input = self.input.take().context("the plan was sent already")?;
        input.write_all(&line).await.context("send the plan to the container")?;
        input.close().await.context("send the plan to the container")
    }

    /// The next event. `None` after the last one: finished, died or gone. Cancel safe.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        self.events.recv().await
    }

    /// Asks the container to stop what it is doing.
    pub async fn ask_to_stop(&self) {
        if let Err(error) = within_limit(self.engine.client.kill(&self.id, "SIGTERM")).await {
            tracing::debug!(container = self.id, %error, "container could not be asked to stop");
        }
    }
}

/// A quick call to podman: one that hangs is as good as none.
async fn within_limit<T>(
    call: impl Future<Output = Result<T, pipglr_podman::Error>>,
) -> Result<T, pipglr_podman::Error> {
    const LIMIT: Duration = Duration::from_secs(30);
    match tokio::time::timeout(LIMIT, call).await {
        Ok(result) => result,
        Err(_) => Err(pipglr_podman::Error::TimedOut {
            seconds: LIMIT.as_secs(),
        }),
    }
}

/// Removes a container that never ran.
async fn discard(engine: &Engine, id: &str) {
    if let Err(error) = engine
        .client
        .remove(
            id,
            RemoveOptions {
                force: true,
                volumes: true,
                timeout: Some(0),
            },
        )
        .await
    {
        tracing::warn!(container = id, %error, "container could not be removed");
    }
}

/// Turns frames into events; survives a lost connection by replaying the container's log.
struct Reader {
    engine: Engine,
    id: String,
    sender: mpsc::Sender<SessionEvent>,
    streams: [Stream; 2],
    finished: bool,
}

/// One of the container's two streams.
struct Stream {
    source: Source,
    markers: MarkerReader,
    waiting: VecDeque<Piece>,
    /// Bytes seen so far.
    seen: u64,
    /// Bytes of a replay that were seen before.
    skip: u64,
}

impl Reader {
    fn new(engine: Engine, id: String, nonce: &str, sender: mpsc::Sender<SessionEvent>) -> Self {
        let stream = |source| Stream {
            source,
            markers: MarkerReader::new(nonce),
            waiting: VecDeque::new(),
            seen: 0,
            skip: 0,
        };
        Self {
            engine,
            id,
            sender,
            streams: [stream(Source::JobStdout), stream(Source::JobStderr)],
            finished: false,
        }
    }

    async fn run(mut self, output: Output) {
        let mut lost = self.consume(output).await;
        // A stream that ends says nothing about the container: podman may have gone away. Only a replay of its log,
        // made after it stopped, is the whole story.
        let mut replays_of_stopped = 0;
        while !self.finished {
            match self.still_running().await {
                Ok(true) => {}
                Ok(false) if replays_of_stopped > 0 && (lost.is_none() || replays_of_stopped >= REPLAYS) => break,
                Ok(false) => replays_of_stopped += 1,
                Err(last) => {
                    self.send(last).await;
                    return;
                }
            }
            tracing::warn!(
                container = self.id,
                reason = lost.as_deref().unwrap_or("end of stream"),
                "replaying the container's log"
            );
            lost = self.replay().await;
        }
        if !self.finished {
            self.release_held().await;
            let last = self.cause_of_death().await;
            self.send(last).await;
        }
    }

    /// Reads a stream to its end; `Some` is why it broke.
    async fn consume(&mut self, mut output: Output) -> Option<String> {
        while let Some(frame) = output.next().await {
            match frame {
                Ok(frame) => {
                    let index = usize::from(frame.kind == OutputKind::Stderr);
                    self.streams[index].push(&frame.data);
                    self.merge().await;
                    if self.finished {
                        return None;
                    }
                }
                Err(error) => return Some(error.to_string()),
            }
        }
        None
    }

    async fn replay(&mut self) -> Option<String> {
        for stream in &mut self.streams {
            stream.skip = stream.seen;
        }
        let options = LogOptions {
            follow: true,
            stdout: true,
            stderr: true,
            ..LogOptions::default()
        };
        let lost = match self.engine.client.logs(&self.id, &options).await {
            Ok(output) => self.consume(output).await,
            Err(error) => Some(error.to_string()),
        };
        if !self.finished {
            tokio::time::sleep(PAUSE).await;
        }
        lost
    }

    /// Sends what both streams agree on: output of each in order, a marker when both have reached it.
    async fn merge(&mut self) {
        loop {
            let mut moved = false;
            for index in 0..self.streams.len() {
                self.streams[index].drop_forged_marker();
                while let Some(bytes) = self.streams[index].take_output() {
                    let source = self.streams[index].source;
                    self.send(SessionEvent::Output(source, bytes)).await;
                    moved = true;
                }
            }
            let [out, err] = &mut self.streams;
            if let (Some(Piece::Event(a)), Some(Piece::Event(_))) = (out.waiting.front(), err.waiting.front()) {
                let event = match a.clone() {
                    Event::Start { stage } => SessionEvent::Start { stage },
                    Event::End { stage, end } => SessionEvent::End { stage, end },
                    Event::Finished => SessionEvent::Finished,
                };
                out.waiting.pop_front();
                err.waiting.pop_front();
                self.finished = event == SessionEvent::Finished;
                self.send(event).await;
                moved = true;
            }
            if !moved || self.finished {
                return;
            }
        }
    }

    /// Output that was held back because it looked like the start of a marker.
    async fn release_held(&mut self) {
        for index in 0..self.streams.len() {
            let stream = &mut self.streams[index];
            let source = stream.source;
            let held = stream.markers.finish();
            if !held.is_empty() {
                stream.waiting.push_back(Piece::Output(held));
            }
            for piece in std::mem::take(&mut stream.waiting) {
                if let Piece::Output(bytes) = piece {
                    self.send(SessionEvent::Output(source, bytes)).await;
                }
            }
        }
    }

    /// Whether the container runs; waits for podman to come back if it is away.
    async fn still_running(&self) -> Result<bool, SessionEvent> {
        let deadline = tokio::time::Instant::now() + LONGEST_OUTAGE;
        loop {
            match within_limit(self.engine.client.inspect_container(&self.id)).await {
                Ok(container) => return Ok(container.state.running),
                Err(error) if error.is_not_found() => return Err(self.gone()),
                Err(error) if tokio::time::Instant::now() >= deadline => {
                    return Err(SessionEvent::Died(format!("podman is away: {error}")));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn cause_of_death(&self) -> SessionEvent {
        SessionEvent::Died(match self.engine.client.inspect_container(&self.id).await {
            Ok(c) if c.state.oom_killed => "the container ran out of memory and was killed".to_owned(),
            Ok(c) if !c.state.error.is_empty() => format!("the container failed: {}", c.state.error),
            Ok(c) => format!("the container ended unexpectedly with exit code {}", c.state.exit_code),
            Err(error) if error.is_not_found() => return self.gone(),
            Err(error) => format!("the container is lost: {error}"),
        })
    }

    fn gone(&self) -> SessionEvent {
        let id = self.id.clone();
        SessionEvent::Gone { id }
    }

    /// Waits until there is room; nobody else waits for this task, so it cannot be waited for in turn.
    async fn send(&mut self, event: SessionEvent) {
        if self.sender.send(event).await.is_err() {
            // The job is over when nobody listens.
            self.finished = true;
        }
    }
}

impl Stream {
    /// The next output, if it is at the front.
    fn take_output(&mut self) -> Option<Vec<u8>> {
        match self.waiting.pop_front() {
            Some(Piece::Output(bytes)) => Some(bytes),
            Some(event) => {
                self.waiting.push_front(event);
                None
            }
            None => None,
        }
    }

    /// A marker the other stream never reaches is none.
    fn drop_forged_marker(&mut self) {
        let waiting = self.waiting.iter().map(|piece| match piece {
            Piece::Output(bytes) => bytes.len(),
            Piece::Event(_) => 0,
        });
        if matches!(self.waiting.front(), Some(Piece::Event(_))) && waiting.sum::<usize>() > WAITING_BYTES {
            self.waiting.pop_front();
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let skip = self.skip.min(bytes.len() as u64);
        self.skip -= skip;
        let fresh = &bytes[usize::try_from(skip).expect("no more than a chunk")..];
        if !fresh.is_empty() {
            self.seen += fresh.len() as u64;
            self.waiting.extend(self.markers.push(fresh));
        }
    }
}
