//! Three levels of stopping, each including the one before.
//!
//! Compat: gitlab-runner commands/multi.go: SIGQUIT waits for jobs, SIGTERM and SIGINT end them, another one gives up.

use tokio_util::sync::CancellationToken;

/// How urgent a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownLevel {
    /// Take no more jobs, wait for those that run.
    Graceful,
    /// End running jobs.
    Forceful,
    /// Wait for nothing.
    Immediate,
}

/// Passes a stop request to everybody. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    graceful: CancellationToken,
    forceful: CancellationToken,
    immediate: CancellationToken,
}

impl Shutdown {
    /// Requests a stop of at least this level; asking again for a forceful one makes it immediate.
    pub fn request(&self, level: ShutdownLevel) {
        if level == ShutdownLevel::Immediate || (level == ShutdownLevel::Forceful && self.forceful.is_cancelled()) {
            self.immediate.cancel();
        }
        if level >= ShutdownLevel::Forceful {
            self.forceful.cancel();
        }
        self.graceful.cancel();
    }

    /// Resolves when any stop was requested.
    pub async fn requested(&self) {
        self.graceful.cancelled().await;
    }

    /// Whether any stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.graceful.is_cancelled()
    }

    /// The state of the process that is stopped by this.
    ///
    /// Compat: gitlab-runner commands/internal/process_state/tracker.go.
    #[must_use]
    pub fn process_state(&self) -> &'static str {
        if self.forceful.is_cancelled() {
            "forceful-shutdown"
        } else if self.graceful.is_cancelled() {
            "graceful-shutdown"
        } else {
            "running"
        }
    }

    pub(crate) fn graceful(&self) -> &CancellationToken {
        &self.graceful
    }

    pub(crate) fn forceful(&self) -> &CancellationToken {
        &self.forceful
    }

    pub(crate) fn immediate(&self) -> &CancellationToken {
        &self.immediate
    }
}

#[cfg(test)]
mod tests {
    use super::{Shutdown, ShutdownLevel};

    #[test]
    fn levels_escalate() {
        let s = Shutdown::default();
        s.request(ShutdownLevel::Graceful);
        s.request(ShutdownLevel::Graceful);
        assert!(s.is_requested() && !s.forceful().is_cancelled());
        s.request(ShutdownLevel::Forceful);
        assert!(s.forceful().is_cancelled() && !s.immediate().is_cancelled());
        s.request(ShutdownLevel::Forceful);
        assert!(s.immediate().is_cancelled());
    }

    #[test]
    fn the_process_says_how_it_stops() {
        let s = Shutdown::default();
        assert_eq!(s.process_state(), "running");
        for (level, state) in [
            (ShutdownLevel::Graceful, "graceful-shutdown"),
            (ShutdownLevel::Forceful, "forceful-shutdown"),
            (ShutdownLevel::Immediate, "forceful-shutdown"),
        ] {
            s.request(level);
            assert_eq!(s.process_state(), state);
        }
    }
}
