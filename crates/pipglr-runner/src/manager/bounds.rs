//! A manager that ends by itself: after so many jobs, or when there was none for so long.
//!
//! Compat: gitlab-runner commands/single.go.

use super::{Shutdown, ShutdownLevel};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// When to end; by default never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub most_jobs: Option<NonZeroU64>,
    /// Longest time without a job.
    pub patience: Option<Duration>,
}

/// The jobs of a manager as far as its bounds are concerned.
#[derive(Debug)]
pub(super) struct Tally {
    bounds: Bounds,
    shutdown: Shutdown,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    begun: u64,
    running: u64,
    idle_since: Instant,
}

/// A job that runs, until it is dropped.
#[derive(Debug)]
pub(super) struct Tallied(Arc<Tally>);

impl Drop for Tallied {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        state.idle_since = Instant::now();
    }
}

impl Tally {
    pub(super) fn new(bounds: Bounds, shutdown: Shutdown) -> Self {
        let state = State {
            begun: 0,
            running: 0,
            idle_since: Instant::now(),
        };
        Self {
            bounds,
            shutdown,
            state: Mutex::new(state),
        }
    }

    /// A job begins. If it is the last one, no other is asked for.
    pub(super) fn job_begins(self: &Arc<Self>) -> Tallied {
        let mut state = self.state();
        state.begun += 1;
        state.running += 1;
        if self.bounds.most_jobs.is_some_and(|most| state.begun >= most.get()) {
            tracing::info!(jobs = state.begun, "this runner has its last job and ends after it");
            self.shutdown.request(ShutdownLevel::Graceful);
        }
        drop(state);
        Tallied(self.clone())
    }

    /// Requests the end when there was no job for too long; never comes back without such a bound.
    pub(super) async fn wait_in_vain(&self) {
        let Some(patience) = self.bounds.patience else {
            return std::future::pending().await;
        };
        loop {
            let idle_since = {
                let state = self.state();
                (state.running == 0).then_some(state.idle_since)
            };
            // While a job runs, this is only the time of the next look.
            let limit = idle_since.unwrap_or_else(Instant::now) + patience;
            if idle_since.is_some() && limit <= Instant::now() {
                tracing::info!(
                    seconds = patience.as_secs(),
                    "this runner has not received a job for so long that it ends"
                );
                return self.shutdown.request(ShutdownLevel::Graceful);
            }
            tokio::time::sleep_until(limit).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a reason to stop, and requests it if it is lack of jobs.
pub(super) async fn end_in_time(tally: Arc<Tally>, shutdown: Shutdown) {
    tokio::select! {
        () = tally.wait_in_vain() => {}
        () = shutdown.requested() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Tally};
    use crate::manager::Shutdown;
    use futures_util::FutureExt as _;
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::advance;

    #[test]
    fn the_last_job_ends_the_asking() {
        let shutdown = Shutdown::default();
        let bounds = Bounds {
            most_jobs: NonZeroU64::new(2),
            patience: None,
        };
        let tally = Arc::new(Tally::new(bounds, shutdown.clone()));
        drop(tally.job_begins());
        assert!(!shutdown.is_requested());
        let _second = tally.job_begins();
        assert!(shutdown.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_begins_anew_with_the_end_of_a_job() {
        let shutdown = Shutdown::default();
        let bounds = Bounds {
            most_jobs: None,
            patience: Some(Duration::from_secs(60)),
        };
        let tally = Arc::new(Tally::new(bounds, shutdown.clone()));
        let mut waiting = Box::pin(tally.wait_in_vain());
        assert!((&mut waiting).now_or_never().is_none());
        let job = tally.job_begins();
        advance(Duration::from_secs(90)).await;
        assert!((&mut waiting).now_or_never().is_none(), "a job runs");
        drop(job);
        advance(Duration::from_secs(59)).await;
        assert!((&mut waiting).now_or_never().is_none());
        assert!(!shutdown.is_requested());
        advance(Duration::from_secs(2)).await;
        waiting.await;
        assert!(shutdown.is_requested());
    }
}
