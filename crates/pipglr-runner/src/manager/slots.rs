//! Permissions to run one more job: `concurrent` for the process, `limit` for each runner.
//!
//! A slot is held while a job is asked for and while it runs, and frees itself when dropped.

use crate::job::SlotNumbers;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All slots of the process.
#[derive(Debug)]
pub(crate) struct Slots {
    process: Arc<Semaphore>,
    runners: Vec<Option<Arc<Semaphore>>>,
    /// Index of the first runner with the same token.
    same: Vec<usize>,
    numbers: Arc<Mutex<Vec<Taken>>>,
}

/// Permission to ask for and run one job.
#[derive(Debug)]
pub(crate) struct Slot {
    _process: OwnedSemaphorePermit,
    _runner: Option<OwnedSemaphorePermit>,
}

/// Numbers in use by a running job; free when dropped.
#[derive(Debug)]
pub(crate) struct NumberGuard {
    taken: Taken,
    all: Arc<Mutex<Vec<Taken>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    runner: usize,
    project: u64,
    numbers: SlotNumbers,
}

impl Slots {
    /// Token and limit of each runner, in order; 0 is no limit. Entries with one token are one runner.
    ///
    /// Compat: gitlab-runner commands/builds_helper.go.
    pub(crate) fn new<'a>(concurrent: u32, runners: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let semaphore = |n: u32| {
            Arc::new(Semaphore::new(
                usize::try_from(n).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS),
            ))
        };
        let (mut tokens, mut same, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for (token, limit) in runners {
            let first = tokens.iter().position(|t| *t == token).unwrap_or(tokens.len());
            tokens.push(token);
            same.push(first);
            limits.push((limit > 0).then(|| semaphore(limit)));
        }
        Self {
            process: semaphore(concurrent),
            runners: limits,
            same,
            numbers: Arc::default(),
        }
    }

    /// Waits for a slot. The runner's own comes first, so that a full runner does not block others. Cancel safe.
    pub(crate) async fn acquire(&self, runner: usize) -> Slot {
        let own = match self.limit_of(runner) {
            Some(semaphore) => Some(semaphore.clone().acquire_owned().await.expect("slots are never closed")),
            None => None,
        };
        Slot {
            _process: self
                .process
                .clone()
                .acquire_owned()
                .await
                .expect("slots are never closed"),
            _runner: own,
        }
    }

    /// Entries with one token share a limit; one that names none has none.
    fn limit_of(&self, runner: usize) -> Option<&Arc<Semaphore>> {
        self.runners[runner].as_ref()?;
        let same = self
            .same
            .iter()
            .zip(&self.runners)
            .filter(|(first, _)| **first == self.same[runner]);
        same.filter_map(|(_, limit)| limit.as_ref()).next()
    }

    /// Whether a slot of the process is free right now: only then may a request be held for long.
    pub(crate) fn has_spare(&self) -> bool {
        self.process.available_permits() > 0
    }

    /// Lowest numbers no running job of this runner (and project) has.
    pub(crate) fn number(&self, runner: usize, project: u64) -> (SlotNumbers, NumberGuard) {
        let runner = self.same[runner];
        let mut all = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let lowest = |used: Vec<u32>| (0..).find(|n| !used.contains(n)).unwrap_or(0);
        let of_runner = |t: &&Taken| t.runner == runner;
        let numbers = SlotNumbers {
            runner: lowest(all.iter().filter(of_runner).map(|t| t.numbers.runner).collect()),
            project: lowest(
                all.iter()
                    .filter(of_runner)
                    .filter(|t| t.project == project)
                    .map(|t| t.numbers.project)
                    .collect(),
            ),
        };
        let taken = Taken {
            runner,
            project,
            numbers,
        };
        all.push(taken.clone());
        (
            numbers,
            NumberGuard {
                taken,
                all: self.numbers.clone(),
            },
        )
    }
}

impl Drop for NumberGuard {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|t| *t == self.taken) {
            all.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn slots_bound_process_and_runner_and_free_themselves() {
        let slots = Slots::new(2, [("a", 1), ("b", 0)].into_iter());
        let first = slots.acquire(0).await;
        assert!(slots.acquire(0).now_or_never().is_none(), "limit of runner 0");
        let second = slots.acquire(1).await;
        assert!(slots.acquire(1).now_or_never().is_none(), "concurrent");
        assert!(!slots.has_spare());
        drop(second);
        assert!(slots.has_spare());
        drop(first);
        assert!(slots.acquire(0).now_or_never().is_some());
    }

    #[tokio::test]
    async fn entries_with_one_token_share_a_limit_unless_they_have_none() {
        let slots = Slots::new(9, [("a", 1), ("a", 5), ("a", 0)].into_iter());
        let _taken = slots.acquire(0).await;
        assert!(slots.acquire(1).now_or_never().is_none());
        assert!(slots.acquire(2).now_or_never().is_some());
    }

    #[test]
    fn numbers_are_the_lowest_free_ones() {
        let slots = Slots::new(9, [("a", 0), ("b", 0), ("a", 0)].into_iter());
        let (a, guard_a) = slots.number(0, 7);
        let (b, _guard_b) = slots.number(0, 8);
        let (c, _guard_c) = slots.number(1, 7);
        assert_eq!(
            [(a.runner, a.project), (b.runner, b.project), (c.runner, c.project)],
            [(0, 0), (1, 0), (0, 0)]
        );
        drop(guard_a);
        assert_eq!(
            slots.number(2, 9).0,
            crate::job::SlotNumbers { runner: 0, project: 0 },
            "one token, one runner"
        );
        assert_eq!(slots.number(0, 8).0, crate::job::SlotNumbers { runner: 0, project: 1 });
    }
}
