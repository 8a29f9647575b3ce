//! Lines of things that are done at the same time, shown as if they were done one after the other.

use super::Trace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hands out turns in the order of the log.
#[derive(Debug)]
pub struct Turns {
    shared: Arc<Mutex<State>>,
    given: usize,
}

/// One participant. Its lines show up while all before it are done; until then they are kept. Done when dropped.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Mutex<State>>,
    number: usize,
}

#[derive(Debug)]
struct State {
    trace: Trace,
    current: usize,
    kept: BTreeMap<usize, Vec<(Kind, String)>>,
    done: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Line,
    Info,
    Warning,
}

impl Turns {
    /// Turns of one log.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let state = State {
            trace: trace.clone(),
            current: 0,
            kept: BTreeMap::new(),
            done: BTreeSet::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(state)),
            given: 0,
        }
    }

    /// The next one's.
    pub fn take(&mut self) -> Turn {
        self.given += 1;
        Turn {
            shared: self.shared.clone(),
            number: self.given - 1,
        }
    }
}

impl Turn {
    /// As [`Trace::line`].
    pub fn line(&self, text: &str) {
        self.write(Kind::Line, text);
    }

    /// As [`Trace::info`].
    pub fn info(&self, text: &str) {
        self.write(Kind::Info, text);
    }

    /// As [`Trace::warning`].
    pub fn warning(&self, text: &str) {
        self.write(Kind::Warning, text);
    }

    fn write(&self, kind: Kind, text: &str) {
        let mut state = lock(&self.shared);
        if state.current == self.number {
            state.show(kind, text);
        } else {
            let kept = state.kept.entry(self.number).or_default();
            kept.push((kind, text.to_owned()));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.done.insert(self.number);
        while {
            let current = state.current;
            state.done.remove(&current)
        } {
            state.current += 1;
            let current = state.current;
            for (kind, text) in state.kept.remove(&current).unwrap_or_default() {
                state.show(kind, &text);
            }
        }
    }
}

impl State {
    fn show(&self, kind: Kind, text: &str) {
        match kind {
            Kind::Line => self.trace.line(text),
            Kind::Info => self.trace.info(text),
            Kind::Warning => self.trace.warning(text),
        }
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic while writing leaves lines that are still the log's.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use crate::trace::mask::Masker;
    use crate::trace::{Trace, TraceSettings};

    #[test]
    fn lines_come_in_the_order_of_turns_and_no_later_than_they_must() {
        let dir = tempfile::tempdir().unwrap();
        let settings = TraceSettings {
            timestamps: false,
            sections: false,
            limit: 1 << 20,
            masker: Masker::new([], &[]),
        };
        let trace = Trace::create(&dir.path().join("t"), &settings).unwrap();
        let shown = || {
            trace.flush();
            let text = String::from_utf8(trace.read(0).unwrap()).unwrap();
            text.replace("\x1b[0K", "").replace("\x1b[0;m\n", " ")
        };
        let mut turns = Turns::of(&trace);
        let (a, b, c) = (turns.take(), turns.take(), turns.take());
        c.line("c1");
        b.line("b1");
        a.line("a1");
        assert_eq!(shown(), "a1 ");
        drop(b);
        a.line("a2");
        assert_eq!(shown(), "a1 a2 ");
        drop(a);
        assert_eq!(shown(), "a1 a2 b1 c1 ");
        c.line("c2");
        assert_eq!(shown(), "a1 a2 b1 c1 c2 ");
    }
}
