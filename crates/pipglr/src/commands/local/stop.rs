//! Ctrl-C: the first cancels the pipeline, the second ends everything at once, the third waits for nothing.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What somebody who presses Ctrl-C wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Cancel: after_script runs.
    Cancel,
    /// End the containers.
    AtOnce,
    /// Wait for nothing.
    GiveUp,
}

/// The signals, as they come.
#[derive(Debug)]
pub(super) struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    last: Option<Urgency>,
}

impl Stops {
    /// Listens from now on.
    pub(super) fn watch() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen to SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen to SIGTERM")?,
            hangup: signal(SignalKind::hangup()).context("listen to SIGHUP")?,
            last: None,
        })
    }

    /// The next one, each more urgent than the one before.
    pub(super) async fn next(&mut self) -> Urgency {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        let urgency = match self.last {
            None => Urgency::Cancel,
            Some(Urgency::Cancel) => Urgency::AtOnce,
            Some(Urgency::AtOnce | Urgency::GiveUp) => Urgency::GiveUp,
        };
        self.last = Some(urgency);
        urgency
    }

    /// Whether there was any.
    pub(super) fn any(&self) -> bool {
        self.last.is_some()
    }
}
