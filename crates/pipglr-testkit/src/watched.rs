//! Shared state that can be waited for, and gates that hold a server back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// No condition of a test takes this long.
const PATIENCE: Duration = Duration::from_secs(40);

/// A value behind a lock; waiters are told of every change.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    /// Looks at the value without changing it.
    pub(crate) fn read(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and tells the waiters.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.read());
        self.changed.notify_waiters();
        result
    }

    /// Waits until `find` gives a value.
    ///
    /// # Panics
    /// After [`PATIENCE`], with what `describe` says about the value.
    pub(crate) async fn wait<R>(
        &self,
        what: &str,
        describe: impl Fn(&T) -> String,
        mut find: impl FnMut(&T) -> Option<R>,
    ) -> R {
        match tokio::time::timeout(PATIENCE, self.wait_forever(&mut find)).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}; seen so far:\n{}", describe(&self.read())),
        }
    }

    /// Waits until `find` gives a value, however long it takes.
    pub(crate) async fn wait_forever<R>(&self, mut find: impl FnMut(&T) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(found) = find(&self.read()) {
                return found;
            }
            changed.await;
        }
    }
}

/// Holds whoever waits at it until it is opened. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub async fn passed(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = receiver.wait_for(|open| *open).await;
    }
}
