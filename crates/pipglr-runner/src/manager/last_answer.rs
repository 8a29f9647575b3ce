//! A request for a job that is on its way when a graceful stop comes: how long its answer is waited for.
//!
//! The server may have handed a job out on it already. Whoever closes the connection then loses that job: GitLab takes it
//! for running until its time is up, because the acknowledgement in two phases, which would give it to another runner after
//! two minutes, is behind a feature flag that is off. So the answer is waited for, and a job it brings is run like any other.
//!
//! To wait for every answer would make a stop without jobs last as long as GitLab holds requests, 50 seconds. That is not
//! needed: while GitLab holds a request, nobody looks for a job for it; it ends with 204, and the job comes with the next
//! request. Jobs are handed out on requests that are passed on at once, and those are answered soon. What tells the two
//! apart is their age.
//!
//! Compat: GitLab workhorse/internal/builds/register.go.

use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a graceful stop waits for the answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAnswer {
    /// A request that is older is held: GitLab would have answered it long before, even when it is slow.
    pub since_request: Duration,
    /// At least, for a server that hands out jobs on held requests, as `pipglr serve` does: one may be on the line.
    pub since_stop: Duration,
}

impl Default for LastAnswer {
    fn default() -> Self {
        Self {
            since_request: Duration::from_secs(15),
            since_stop: Duration::from_secs(2),
        }
    }
}

impl LastAnswer {
    /// Not waited for: no more jobs can come.
    pub const NONE: Self = Self {
        since_request: Duration::ZERO,
        since_stop: Duration::ZERO,
    };

    fn until(self, asked: Instant, stopped: Instant) -> Instant {
        (asked + self.since_request).max(stopped + self.since_stop)
    }

    /// Waits for what became of a request that was sent at `asked`; not at all once the stop is `forceful`.
    pub(super) async fn wait(self, asking: impl Future<Output = bool>, asked: Instant, forceful: &CancellationToken) {
        tokio::select! {
            biased;
            () = forceful.cancelled() => {}
            _ = asking => {}
            () = tokio::time::sleep_until(self.until(asked, Instant::now())) => {
                tracing::debug!("a request for a job was held, and is given up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LastAnswer;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn young_requests_are_waited_for_and_held_ones_hardly() {
        let asked = Instant::now();
        for (stopped, until) in [(0, 15), (1, 15), (13, 15), (14, 16), (40, 42)] {
            assert_eq!(
                LastAnswer::default().until(asked, asked + Duration::from_secs(stopped)) - asked,
                Duration::from_secs(until),
                "stopped after {stopped} s"
            );
        }
    }
}
