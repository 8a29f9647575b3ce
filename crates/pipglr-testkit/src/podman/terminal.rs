//! The shell of a web terminal: says that it is ready, reads its plan, and repeats what is typed, line by line.

use super::http::Reply;
use super::state::{Piece, State};
use crate::watched::Watched;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

/// What the program writes before it reads its plan, and after.
const READY: &[u8] = b"\x1epipglr:terminal\x1e";

/// One that is open.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Index in the record.
    exec: usize,
    /// ID of its container.
    container: String,
    task: AbortHandle,
}

pub(super) fn start(state: &Arc<Watched<State>>, exec: usize) -> Reply {
    let (sender, output) = unbounded_channel();
    let (input, typed) = unbounded_channel();
    let shared = state.clone();
    state.change(|s| {
        let name = s.record.execs[exec].container.clone();
        let Some(container) = s.find(&name) else {
            return Reply::refusal(404, "no such container", &name);
        };
        let task = tokio::spawn(async move {
            shell(&shared, exec, typed, &sender).await;
            shared.change(|s| s.terminals.retain(|t| t.exec != exec));
        });
        let task = task.abort_handle();
        s.terminals.push(Terminal { exec, container, task });
        Reply::Hijack { output, input }
    })
}

/// Until `exit`.
async fn shell(
    state: &Watched<State>,
    exec: usize,
    mut typed: UnboundedReceiver<Vec<u8>>,
    sender: &UnboundedSender<Piece>,
) {
    // Whoever sits there may have gone; the shell does not notice.
    let show = |bytes: Vec<u8>| drop(sender.send(Piece::Bytes(bytes)));
    show(READY.to_vec());
    let mut waiting = Vec::new();
    let mut has_plan = false;
    loop {
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).take(end).collect();
            if !has_plan {
                has_plan = true;
                state.change(|s| s.record.execs[exec].plan = serde_json::from_slice(&line).ok());
                show([READY, b"# "].concat());
            } else if line == b"exit" {
                return;
            } else {
                show([b"you said ", line.as_slice(), b"\r\n# "].concat());
            }
        }
        match typed.recv().await {
            Some(bytes) => waiting.extend(bytes),
            None => std::future::pending().await,
        }
    }
}

impl State {
    /// Whether a terminal is open in a container.
    pub(super) fn has_terminal(&self, container: &str) -> bool {
        self.terminals.iter().any(|t| t.container == container)
    }

    /// Ends the terminals in a container.
    pub(super) fn end_terminals(&mut self, container: &str) {
        self.terminals.retain(|terminal| {
            let other = terminal.container != container;
            if !other {
                terminal.task.abort();
            }
            other
        });
    }
}
