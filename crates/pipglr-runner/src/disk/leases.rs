//! Who uses what. A job leases everything it will use before it looks for it; a collector condemns a thing by all its
//! names before it removes it. One excludes the other.

use super::uses::Uses;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A thing on disk, by one of its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A full reference, or an ID of 64 hexadecimal digits.
    Image(String),
    Volume(String),
    /// The directory of a cache key, relative to the directory for caches.
    Cache(String),
    /// By its ID.
    Container(String),
}

/// All leases of an engine. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something is no longer condemned.
    released: Notify,
}

#[derive(Debug, Default)]
struct State {
    leased: BTreeMap<Item, usize>,
    condemned: BTreeSet<Item>,
}

/// Things that are used as long as this value lives. When it goes, they were used last.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    uses: Uses,
    items: Mutex<Vec<Item>>,
}

/// Things about to be removed, as long as this value lives: nobody can lease them.
#[derive(Debug)]
pub struct Condemned {
    leases: Leases,
    names: Vec<Item>,
}

impl Leases {
    /// Leases things, whether they are there or not. Waits for removals that are on their way.
    pub async fn lease(&self, items: impl IntoIterator<Item = Item>, uses: &Uses) -> Lease {
        let lease = Lease {
            leases: self.clone(),
            uses: uses.clone(),
            items: Mutex::default(),
        };
        for item in items {
            while !lease.also(item.clone()) {
                self.spared(&item).await;
            }
        }
        lease
    }

    /// Condemns a thing by all its names, unless it is leased by one of them or condemned already.
    #[must_use]
    pub fn condemn(&self, names: &[Item]) -> Option<Condemned> {
        let mut state = self.state();
        let taken = |name| state.leased.contains_key(name) || state.condemned.contains(name);
        if names.iter().any(taken) {
            return None;
        }
        state.condemned.extend(names.iter().cloned());
        Some(Condemned {
            leases: self.clone(),
            names: names.to_vec(),
        })
    }

    /// Whether somebody uses it under this name.
    #[must_use]
    pub fn has(&self, name: &Item) -> bool {
        self.state().leased.contains_key(name)
    }

    /// Waits until a thing is not condemned.
    async fn spared(&self, item: &Item) {
        loop {
            let released = self.0.released.notified();
            if !self.state().condemned.contains(item) {
                return;
            }
            released.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Leases one thing more, which was just found. False if it is about to be removed: then it has to be looked for again.
    #[must_use]
    pub fn also(&self, item: Item) -> bool {
        let mut state = self.leases.state();
        if state.condemned.contains(&item) {
            return false;
        }
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if !items.contains(&item) {
            *state.leased.entry(item.clone()).or_default() += 1;
            self.uses.touch(&item);
            items.push(item);
        }
        true
    }

    /// As [`Lease::also`], and waits for the end of a removal.
    pub(crate) async fn found(&self, item: Item) -> bool {
        if self.also(item.clone()) {
            return true;
        }
        self.leases.spared(&item).await;
        false
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let items = std::mem::take(&mut *self.items.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.leases.state();
        for item in items {
            self.uses.touch(&item);
            if let Some(count) = state.leased.get_mut(&item) {
                *count -= 1;
                if *count == 0 {
                    state.leased.remove(&item);
                }
            }
        }
    }
}

impl Drop for Condemned {
    fn drop(&mut self) {
        let mut state = self.leases.state();
        for name in &self.names {
            state.condemned.remove(name);
        }
        drop(state);
        self.leases.0.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Leases, Uses};
    use futures_util::FutureExt as _;

    fn image(name: &str) -> Item {
        Item::Image(name.to_owned())
    }

    #[tokio::test]
    async fn what_is_leased_cannot_be_condemned_by_any_of_its_names() {
        let (leases, uses) = (Leases::default(), Uses::default());
        let first = leases.lease([image("a:1"), image("a:1")], &uses).await;
        let second = leases.lease([image("a:1")], &uses).await;
        assert!(leases.condemn(&[image("id"), image("a:1")]).is_none());
        assert!(first.also(image("id")));
        drop(second);
        assert!(leases.condemn(&[image("a:1")]).is_none(), "the first still has it");
        assert!(leases.condemn(&[image("id")]).is_none());
        assert!(leases.condemn(&[image("b:1")]).is_some());
        drop(first);
        assert!(leases.condemn(&[image("id"), image("a:1")]).is_some());
    }

    /// The race between a collector and a job: whoever comes second waits, or leaves it alone.
    #[tokio::test]
    async fn a_lease_waits_for_the_end_of_a_removal() {
        let (leases, uses) = (Leases::default(), Uses::default());
        let condemned = leases.condemn(&[image("a:1"), image("id")]).unwrap();
        assert!(leases.condemn(&[image("id")]).is_none(), "one remover is enough");
        let mut waiting = Box::pin(leases.lease([image("b:1"), image("a:1")], &uses));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(leases.has(&image("b:1")) && !leases.has(&image("a:1")));
        drop(condemned);
        let lease = waiting.await;
        assert!(leases.condemn(&[image("a:1")]).is_none());
        drop(lease);
        assert!(!leases.has(&image("a:1")) && !leases.has(&image("b:1")));
    }

    #[tokio::test]
    async fn what_is_found_while_it_is_removed_has_to_be_looked_for_again() {
        let (leases, uses) = (Leases::default(), Uses::default());
        let lease = leases.lease([image("a:1")], &uses).await;
        let condemned = leases.condemn(&[image("id")]).unwrap();
        assert!(!lease.also(image("id")));
        let mut found = Box::pin(lease.found(image("id")));
        assert!((&mut found).now_or_never().is_none());
        drop(condemned);
        assert!(!found.await, "it was removed meanwhile");
        assert!(lease.found(image("id")).await);
    }
}
