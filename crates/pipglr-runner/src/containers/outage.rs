//! podman's service being away: it was killed, or is upgraded. Its containers go on, and it comes back.

use super::Engine;
use pipglr_podman::Error;
use std::time::Duration;
use tokio::time::Instant;

/// How long podman may be away before its containers are given up.
pub(super) const LONGEST_OUTAGE: Duration = Duration::from_secs(45);
/// Pause before podman is asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Time for a call that needs none.
const LONGEST_CALL: Duration = Duration::from_secs(30);
/// A call that takes longer is watched: it may take its time as long as podman answers others.
const WATCHED: Duration = Duration::from_secs(5);
/// Tries of a call that podman's going away spoiled.
const TRIES: u32 = 3;

/// An error that may mean that podman was away, or went away: nobody knows what it did of the call.
pub(crate) trait Outage {
    fn is_outage(&self) -> bool;
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. }
        )
    }
}

impl Outage for anyhow::Error {
    fn is_outage(&self) -> bool {
        let mut causes = self.chain().filter_map(|cause| cause.downcast_ref::<Error>());
        causes.any(Outage::is_outage)
    }
}

impl Engine {
    /// Waits until podman answers again.
    ///
    /// # Errors
    /// It does not come back.
    pub(crate) async fn wait_until_back(&self) -> Result<(), Error> {
        let deadline = Instant::now() + LONGEST_OUTAGE;
        loop {
            match within(deadline, self.client.ping()).await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    /// Ends when podman answers nothing for the longest outage. A podman that cannot start takes connections all the same,
    /// as its socket is open.
    async fn silence(&self) -> Error {
        loop {
            tokio::time::sleep(WATCHED).await;
            if let Err(error) = self.wait_until_back().await {
                return error;
            }
        }
    }

    /// Makes a call, and makes it again when podman is back if it went away meanwhile. The call is told whether it is
    /// made again, as podman may have carried it out the first time.
    ///
    /// # Errors
    /// Those of the call; the outage, if podman stays away or goes away each time.
    pub(crate) async fn despite_outages<T, E, F>(&self, call: impl Fn(bool) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Outage + From<Error> + std::fmt::Display,
    {
        let mut attempt = 1;
        loop {
            let outcome = tokio::select! {
                outcome = Box::pin(call(attempt > 1)) => outcome,
                error = Box::pin(self.silence()) => return Err(error.into()),
            };
            match outcome {
                Err(error) if attempt < TRIES && error.is_outage() => {
                    tracing::warn!(error = format!("{error:#}"), "podman went away during a call");
                    attempt += 1;
                    self.wait_until_back().await?;
                }
                outcome => return outcome,
            }
        }
    }
}

/// A quick call to podman: one that hangs is as good as none.
pub(super) async fn within_limit<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    within(Instant::now() + LONGEST_CALL, call).await
}

/// As [`within_limit`], and not longer than until `deadline`.
pub(super) async fn within<T>(deadline: Instant, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let began = Instant::now();
    match tokio::time::timeout_at(deadline.min(began + LONGEST_CALL), call).await {
        Ok(result) => result,
        Err(_) => Err(Error::TimedOut {
            seconds: began.elapsed().as_secs(),
        }),
    }
}
