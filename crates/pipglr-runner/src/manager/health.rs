//! A runner the coordinator refuses is left alone for a while.
//!
//! Compat: gitlab-runner commands/health_helper.go: only a 403 and an unusable URL count; an outage does not.

use crate::config::RunnerConfig;
use std::time::Duration;
use tokio::time::Instant;

/// Health of one runner.
#[derive(Debug)]
pub(super) struct Health {
    limit: u32,
    rest: Duration,
    failures: u32,
    last_good: Instant,
}

impl Health {
    pub(super) fn new(runner: &RunnerConfig) -> Self {
        Self {
            limit: if runner.unhealthy_requests_limit == 0 {
                3
            } else {
                runner.unhealthy_requests_limit
            },
            rest: runner
                .unhealthy_interval
                .filter(|d| !d.is_zero())
                .unwrap_or(Duration::from_secs(3600)),
            failures: 0,
            last_good: Instant::now(),
        }
    }

    /// The coordinator answered properly.
    pub(super) fn good(&mut self) {
        self.failures = 0;
        self.last_good = Instant::now();
    }

    /// The coordinator refused. True when this was one too many.
    pub(super) fn bad(&mut self) -> bool {
        self.failures += 1;
        self.failures == self.limit
    }

    /// How long to leave the runner alone.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        if self.failures < self.limit {
            return None;
        }
        let passed = self.last_good.elapsed();
        if passed >= self.rest {
            self.good();
            return None;
        }
        Some(self.rest - passed)
    }
}

#[cfg(test)]
mod tests {
    use super::Health;
    use crate::config::RunnerConfig;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn three_refusals_rest_a_runner_for_an_hour() {
        let mut health = Health::new(&RunnerConfig::default());
        assert_eq!([health.bad(), health.bad()], [false, false]);
        assert_eq!(health.pause(), None);
        assert!(health.bad());
        assert_eq!(health.pause(), Some(Duration::from_secs(3600)));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(health.pause(), None);
        assert_eq!(health.failures, 0);
    }
}
