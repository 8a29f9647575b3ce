//! Reads what comes out of a container, wherever it comes from.

use super::Engine;
use super::outage::{LONGEST_OUTAGE, PAUSE, within, within_limit};
use super::session::{Position, SessionEvent};
use crate::container_side::CANNOT_RUN;
use crate::container_side::marker::{Event, MarkerReader, Piece};
use crate::trace::Source;
use pipglr_podman::{LogOptions, Output, OutputKind};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// How often the log of a stopped container is read before it is taken as it is.
const REPLAYS: u32 = 5;
/// What is said of a container that ended with everything else.
const STOPPED: &str =
    "the runner, or the host it is on, was stopped while the job ran, and the job's containers with it";
/// Output of one stream that waits for the other one to reach the same marker. Both are written at the same moment, so
/// more than this means that the job forged one.
const WAITING_BYTES: usize = 1 << 20;

/// Turns frames into events; survives a lost connection by replaying the container's log.
pub(super) struct Reader {
    engine: Engine,
    id: String,
    sender: mpsc::Sender<(SessionEvent, Position)>,
    streams: [Stream; 2],
    /// Whether the container has its plan: it announced something.
    began: bool,
    finished: bool,
}

/// One of the container's two streams.
struct Stream {
    source: Source,
    markers: MarkerReader,
    waiting: VecDeque<Piece>,
    /// Bytes seen so far.
    seen: u64,
    /// Bytes of what was sent as events.
    taken: u64,
    /// Bytes of a replay that were seen before.
    skip: u64,
}

impl Reader {
    pub(super) fn new(
        engine: Engine,
        id: String,
        nonce: &str,
        sender: mpsc::Sender<(SessionEvent, Position)>,
        from: Position,
    ) -> Self {
        let stream = |source, from| Stream {
            source,
            markers: MarkerReader::new(nonce),
            waiting: VecDeque::new(),
            seen: from,
            taken: from,
            skip: 0,
        };
        Self {
            engine,
            id,
            sender,
            streams: [
                stream(Source::JobStdout, from.stdout),
                stream(Source::JobStderr, from.stderr),
            ],
            began: from != Position::default(),
            finished: false,
        }
    }

    /// Reads a container that is attached to, or its log alone.
    pub(super) async fn run(mut self, attached: Option<Output>) {
        let mut lost = match attached {
            Some(output) => self.consume(output).await,
            None => Some("taken over".to_owned()),
        };
        // A stream that ends says nothing about the container: podman may have gone away. Only a replay of its log,
        // made after it stopped, is the whole story.
        let mut replays_of_stopped = 0;
        while !self.finished {
            let running = match self.still_running().await {
                Ok(running) => running,
                Err(last) => {
                    self.send(last).await;
                    return;
                }
            };
            if !running {
                if replays_of_stopped > 0 && (lost.is_none() || replays_of_stopped >= REPLAYS) {
                    break;
                }
                replays_of_stopped += 1;
            }
            tracing::warn!(
                container = self.id,
                reason = lost.as_deref().unwrap_or("end of stream"),
                "replaying the container's log"
            );
            lost = self.replay(running).await;
        }
        if !self.finished {
            self.release_held().await;
            let last = self.cause_of_death(lost).await;
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

    /// Reads the log again; `follow` waits for more of it, which a stopped container's log never gets.
    async fn replay(&mut self, follow: bool) -> Option<String> {
        for stream in &mut self.streams {
            stream.skip = stream.seen;
        }
        let options = LogOptions {
            follow,
            stdout: true,
            stderr: true,
            ..LogOptions::default()
        };
        let lost = match within_limit(self.engine.client.logs(&self.id, &options)).await {
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
            if let (Some(Piece::Event(a, from_out)), Some(Piece::Event(_, from_err))) =
                (out.waiting.front(), err.waiting.front())
            {
                let (from_out, from_err) = (*from_out as u64, *from_err as u64);
                let event = match a.clone() {
                    Event::Start { stage } => SessionEvent::Start { stage },
                    Event::End { stage, end } => SessionEvent::End { stage, end },
                    Event::Finished => SessionEvent::Finished,
                };
                out.waiting.pop_front();
                out.taken += from_out;
                err.waiting.pop_front();
                err.taken += from_err;
                self.began = true;
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
                match piece {
                    Piece::Output(bytes) => {
                        self.streams[index].taken += bytes.len() as u64;
                        self.send(SessionEvent::Output(source, bytes)).await;
                    }
                    Piece::Event(_, len) => self.streams[index].taken += len as u64,
                }
            }
        }
    }

    /// Whether the container runs; waits for podman to come back if it is away.
    async fn still_running(&self) -> Result<bool, SessionEvent> {
        let deadline = tokio::time::Instant::now() + LONGEST_OUTAGE;
        loop {
            match within(deadline, self.engine.client.inspect_container(&self.id)).await {
                Ok(container) => return Ok(container.state.running),
                Err(error) if error.is_not_found() => return Err(self.gone()),
                Err(error) if tokio::time::Instant::now() >= deadline => {
                    return Err(SessionEvent::Died(format!("podman is away: {error}")));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// `lost`: why its log was not read to the end.
    async fn cause_of_death(&self, lost: Option<String>) -> SessionEvent {
        SessionEvent::Died(
            match within_limit(self.engine.client.inspect_container(&self.id)).await {
                Ok(c) if c.state.never_started() => {
                    return SessionEvent::NothingRan("the container was never started".to_owned());
                }
                Ok(c) if c.state.ended_with_its_host() => match lost {
                    Some(lost) => format!("{STOPPED}; the rest of its output cannot be read: {lost}"),
                    None => STOPPED.to_owned(),
                },
                Ok(c) if c.state.oom_killed => "the container ran out of memory and was killed".to_owned(),
                Ok(c) if !c.state.error.is_empty() => format!("the container failed: {}", c.state.error),
                Ok(c) => {
                    let code = c.state.exit_code;
                    let ended = format!("the container ended unexpectedly with exit code {code}");
                    match lost {
                        Some(lost) => {
                            format!("the container ended with exit code {code}, and its output cannot be read: {lost}")
                        }
                        // Process 1 says nothing but why it cannot run until it has its whole plan.
                        None if !self.began && code == CANNOT_RUN => return SessionEvent::NothingRan(ended),
                        None => ended,
                    }
                }
                Err(error) if error.is_not_found() => return self.gone(),
                Err(error) => format!("the container is lost: {error}"),
            },
        )
    }

    fn gone(&self) -> SessionEvent {
        let id = self.id.clone();
        SessionEvent::Gone { id }
    }

    /// Waits until there is room; nobody else waits for this task, so it cannot be waited for in turn.
    async fn send(&mut self, event: SessionEvent) {
        let position = Position {
            stdout: self.streams[0].taken,
            stderr: self.streams[1].taken,
        };
        if self.sender.send((event, position)).await.is_err() {
            // The job is over when nobody listens.
            self.finished = true;
        }
    }
}

impl Stream {
    /// The next output, if it is at the front.
    fn take_output(&mut self) -> Option<Vec<u8>> {
        match self.waiting.pop_front() {
            Some(Piece::Output(bytes)) => {
                self.taken += bytes.len() as u64;
                Some(bytes)
            }
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
            Piece::Event(..) => 0,
        });
        if let Some(Piece::Event(_, len)) = self.waiting.front()
            && waiting.sum::<usize>() > WAITING_BYTES
        {
            self.taken += *len as u64;
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
