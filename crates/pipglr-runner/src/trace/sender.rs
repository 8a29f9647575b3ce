//! Sends a job's log while it grows, keeps the job alive, hears of cancellation, and reports the final state.
//!
//! Compat: gitlab-runner network/trace.go (what is sent when), network/patch_response.go (how answers are read).

use super::Trace;
use crate::gitlab::{JobApi, PatchAnswer, StateReport, UpdateAnswer};
use pipglr_protocol::update::{FailureReason, RemoteJobState, UpdateState};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest interval a coordinator can ask for.
const LONGEST_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Longest silence of a job, if it grows with the interval.
const LONGEST_SILENCE: Duration = Duration::from_secs(30 * 60);
/// Longest pause between two tries of the final update.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// Timing of the sender.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two patches until the coordinator names another.
    pub interval: Duration,
    /// Silence after which the job is reported as still running, at the latest. It is done after two intervals of the
    /// coordinator, too, because the answer is how a silent job hears of its cancellation.
    pub keep_alive: Duration,
    /// Silence in which nobody is bothered, however short the interval.
    pub shortest_silence: Duration,
    /// As gitlab-runner, silence is four intervals, from `keep_alive` to half an hour
    /// (`FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL`).
    pub dynamic_keep_alive: bool,
    /// First pause after a failed final update; doubles.
    pub backoff: Duration,
    /// Tries of the final update.
    pub final_tries: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3),
            keep_alive: Duration::from_secs(30),
            shortest_silence: Duration::from_secs(6),
            dynamic_keep_alive: false,
            backoff: Duration::from_secs(1),
            final_tries: 10,
        }
    }
}

impl Pace {
    /// The pauses between the tries of a final update.
    pub(crate) fn final_pauses(self) -> impl Iterator<Item = Duration> {
        let pauses = std::iter::successors(Some(self.backoff), |pause| Some((*pause * 2).min(LONGEST_BACKOFF)));
        pauses.take(self.final_tries.saturating_sub(1) as usize)
    }

    /// Silence after which the job is reported as still running, given the coordinator's interval.
    fn silence(&self, interval: Duration) -> Duration {
        if self.dynamic_keep_alive {
            (interval * 4).clamp(self.keep_alive, LONGEST_SILENCE.max(self.keep_alive))
        } else {
            (interval * 2).max(self.shortest_silence).min(self.keep_alive)
        }
    }
}

/// What the coordinator wants of a running job.
#[derive(Debug, Clone, Default)]
pub struct JobSignals {
    /// Stop the script, still run `after_script`.
    pub cancel: CancellationToken,
    /// The job is over for the coordinator: stop everything.
    pub abort: CancellationToken,
}

/// How a job ended, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalState {
    pub state: UpdateState,
    pub failure_reason: Option<FailureReason>,
    pub exit_code: i32,
}

/// How the report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The coordinator has the whole log and the final state.
    Delivered,
    /// The coordinator no longer wants it.
    Refused,
    /// Every try failed.
    GaveUp,
}

/// Sends one trace.
#[derive(Debug)]
pub struct Sender {
    trace: Trace,
    api: JobApi,
    signals: JobSignals,
    pace: Pace,
    interval: Duration,
    offset: u64,
    last_contact: Option<Instant>,
}

/// What became of one patch.
enum Patched {
    /// Accepted, or there was nothing to send.
    Fine,
    /// Offset corrected; try again.
    Rewound,
    /// The coordinator does not take more.
    Over,
    Failed,
}

impl Sender {
    /// A sender for `trace`; raises `signals` when the coordinator says so.
    #[must_use]
    pub fn new(trace: Trace, api: JobApi, signals: JobSignals, pace: Pace) -> Self {
        Self {
            trace,
            api,
            signals,
            pace,
            interval: pace.interval,
            offset: 0,
            last_contact: None,
        }
    }

    /// Sends until `stop`; then [`Sender::finish`] has to be called. Nothing is lost by a failed call: bytes stay in
    /// the trace until they are acknowledged.
    pub async fn run(&mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.tick() => {}
            }
        }
    }

    /// Sends the rest of the log and the final state, with retries.
    pub async fn finish(&mut self, last: &FinalState) -> Delivery {
        let mut pauses = self.pace.final_pauses();
        for attempt in 1.. {
            self.interval = self.pace.interval;
            if let Some(delivery) = self.try_finish(last).await {
                return delivery;
            }
            tracing::warn!(job_id = self.api.id().0, attempt, "final update failed, trying again");
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break,
            }
        }
        Delivery::GaveUp
    }

    async fn tick(&mut self) {
        match self.patch().await {
            Patched::Fine => {}
            Patched::Rewound | Patched::Failed | Patched::Over => return,
        }
        if self
            .last_contact
            .is_some_and(|at| at.elapsed() < self.pace.silence(self.interval))
        {
            return;
        }
        let report = StateReport::running(self.trace.output());
        let update = self.api.update(&report).await;
        self.heed(update.remote, update.interval);
        match update.answer {
            UpdateAnswer::Done | UpdateAnswer::NotYet => self.last_contact = Some(Instant::now()),
            UpdateAnswer::Gone => self.signals.abort.cancel(),
            UpdateAnswer::ResendTrace | UpdateAnswer::Failed => {}
        }
    }

    /// Sends at most one chunk.
    async fn patch(&mut self) -> Patched {
        let chunk = match self.trace.read(self.offset) {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::error!(job_id = self.api.id().0, %error, "cannot read the job log back");
                return Patched::Failed;
            }
        };
        if chunk.is_empty() {
            return Patched::Fine;
        }
        let size = chunk.len() as u64;
        let patch = self.api.patch_trace(self.offset, chunk).await;
        self.heed(patch.remote, patch.interval);
        match patch.answer {
            PatchAnswer::Accepted => {
                self.offset += size;
                self.last_contact = Some(Instant::now());
                Patched::Fine
            }
            PatchAnswer::Mismatch { offset } => {
                // Ahead of us, it took a patch whose answer was lost: nothing has to be sent again.
                let ahead = offset > self.offset;
                self.offset = offset;
                if ahead { Patched::Fine } else { Patched::Rewound }
            }
            PatchAnswer::Gone => {
                self.signals.abort.cancel();
                Patched::Over
            }
            PatchAnswer::NotFound => Patched::Over,
            PatchAnswer::Failed => Patched::Failed,
        }
    }

    /// One try of the final report. `None` means it failed and is worth another.
    async fn try_finish(&mut self, last: &FinalState) -> Option<Delivery> {
        loop {
            while self.offset < self.trace.len() {
                match self.patch().await {
                    Patched::Fine => {}
                    Patched::Over => break,
                    Patched::Rewound => tokio::time::sleep(self.interval).await,
                    Patched::Failed => {
                        tokio::time::sleep(self.interval).await;
                        return None;
                    }
                }
            }
            let report = StateReport {
                state: last.state,
                failure_reason: last.failure_reason.clone(),
                exit_code: last.exit_code,
                output: self.trace.output(),
            };
            let update = self.api.update(&report).await;
            self.heed(None, update.interval);
            match update.answer {
                // The answer names the job's state: that it succeeded does not fit one that is over otherwise.
                UpdateAnswer::Done
                    if update.remote == Some(RemoteJobState::Ended) && last.state == UpdateState::Success =>
                {
                    return Some(Delivery::Refused);
                }
                UpdateAnswer::Done => return Some(Delivery::Delivered),
                UpdateAnswer::Gone => return Some(Delivery::Refused),
                UpdateAnswer::NotYet => tokio::time::sleep(self.interval).await,
                UpdateAnswer::ResendTrace => {
                    self.offset = 0;
                    tokio::time::sleep(self.interval).await;
                }
                UpdateAnswer::Failed => {
                    tokio::time::sleep(self.interval).await;
                    return None;
                }
            }
        }
    }

    fn heed(&mut self, remote: Option<RemoteJobState>, interval: Option<Duration>) {
        if let Some(interval) = interval.filter(|i| !i.is_zero()) {
            self.interval = interval.min(LONGEST_INTERVAL);
        }
        match remote {
            Some(RemoteJobState::Canceling) => self.signals.cancel.cancel(),
            Some(RemoteJobState::Ended) => self.signals.abort.cancel(),
            Some(RemoteJobState::Running) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;

    #[test]
    fn a_silent_job_asks_as_often_as_the_interval_allows() {
        // (interval, silence, silence with the flag)
        for (interval, silence, dynamic) in [(1, 6, 30), (3, 6, 30), (10, 20, 40), (60, 30, 240), (900, 30, 1800)] {
            let of = |dynamic_keep_alive| {
                let pace = Pace {
                    dynamic_keep_alive,
                    ..Pace::default()
                };
                pace.silence(Duration::from_secs(interval)).as_secs()
            };
            assert_eq!((of(false), of(true)), (silence, dynamic), "{interval}");
        }
    }
}
