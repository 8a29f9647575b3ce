//! How far a job is, and how long its phases took.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A phase that is over. Phases are the sections of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseTime {
    pub phase: String,
    pub duration: Duration,
}

/// The phases of one job. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    over: Vec<PhaseTime>,
    open: Option<(String, Instant)>,
}

impl Progress {
    /// A phase begins.
    pub fn begin(&self, phase: &str) {
        let mut state = self.state();
        state.end();
        state.open = Some((phase.to_owned(), Instant::now()));
    }

    /// The phase is over.
    pub fn end(&self) {
        self.state().end();
    }

    /// The phase that is open.
    #[must_use]
    pub fn current(&self) -> Option<String> {
        self.state().open.as_ref().map(|(phase, _)| phase.clone())
    }

    /// All phases; an open one is over now.
    #[must_use]
    pub fn finish(&self) -> Vec<PhaseTime> {
        let mut state = self.state();
        state.end();
        state.over.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) {
        if let Some((phase, began)) = self.open.take() {
            self.over.push(PhaseTime {
                phase,
                duration: began.elapsed(),
            });
        }
    }
}

/// `prepare_executor=0.31s get_sources=1.20s …`, for one line of the log.
pub(crate) fn summary(phases: &[PhaseTime]) -> String {
    let each = phases
        .iter()
        .map(|p| format!("{}={:.2}s", p.phase, p.duration.as_secs_f64()));
    each.collect::<Vec<_>>().join(" ")
}
