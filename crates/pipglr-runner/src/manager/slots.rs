//! Permissions to run one more job: `concurrent` for the process, `limit` and `request_concurrency` for each token.
//!
//! A slot is held while a job is asked for and while it runs, and frees itself when dropped. Who waits longest gets the
//! next one that is allowed to it. All bounds may change at any time: nobody loses a slot, fewer are given out.

use crate::config::RunnerConfig;
use crate::job::SlotNumbers;
use pipglr_protocol::Secret;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All slots of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    concurrent: usize,
    used: usize,
    /// By token: entries with one token are one runner.
    ///
    /// Compat: gitlab-runner commands/builds_helper.go.
    runners: BTreeMap<Secret, OfRunner>,
    waiting: VecDeque<Waiting>,
    numbers: Vec<Taken>,
    operations: Operations,
}

/// How often slots came and went with `concurrent`, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Operations {
    pub(crate) started: u64,
    pub(crate) stopped: u64,
}

#[derive(Debug, Default, Clone)]
struct OfRunner {
    slots: usize,
    requests: usize,
    /// How many requests at the same time have been worth it lately.
    appetite: f64,
    refused: u64,
}

#[derive(Debug)]
struct Waiting {
    want: Want,
    grant: oneshot::Sender<Slot>,
}

/// What a runner may have.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) token: Secret,
    /// Most slots; 0 is no bound.
    pub(crate) limit: u32,
    /// Most requests at the same time.
    pub(crate) requests: u32,
    /// Fewer requests while there are no jobs (`FF_USE_ADAPTIVE_REQUEST_CONCURRENCY`).
    pub(crate) adaptive: bool,
}

/// What a request for a job came to, as far as the next one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    Job,
    NoJob,
    /// The coordinator asked for patience.
    PushedBack,
}

/// Permission to ask for and run one job.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    want: Want,
    asking: bool,
}

/// Numbers in use by a running job; free when dropped.
#[derive(Debug)]
pub(crate) struct NumberGuard {
    taken: Taken,
    slots: Slots,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    token: Secret,
    project: u64,
    numbers: SlotNumbers,
}

/// Numbers of one token, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    pub(crate) requests: usize,
    /// Requests that may be made at the same time right now.
    pub(crate) allowed_requests: u32,
    /// Turns at which as many requests were on their way as may be.
    pub(crate) refused: u64,
}

impl Slots {
    /// Slots for `concurrent` jobs.
    pub(crate) fn new(concurrent: u32) -> Self {
        Self(Arc::new(Mutex::new(State {
            concurrent: usize::try_from(concurrent).unwrap_or(usize::MAX),
            used: 0,
            runners: BTreeMap::new(),
            waiting: VecDeque::new(),
            numbers: Vec::new(),
            operations: Operations {
                started: concurrent.into(),
                stopped: 0,
            },
        })))
    }

    /// Changes how many jobs may run.
    pub(crate) fn set_concurrent(&self, concurrent: u32) {
        let concurrent = usize::try_from(concurrent).unwrap_or(usize::MAX);
        self.change(|s| {
            let count = |slots: usize| u64::try_from(slots).unwrap_or(u64::MAX);
            s.operations.started += count(concurrent.saturating_sub(s.concurrent));
            s.operations.stopped += count(s.concurrent.saturating_sub(concurrent));
            s.concurrent = concurrent;
        });
    }

    /// Waits for a slot. Cancel safe.
    pub(crate) async fn acquire(&self, want: &Want) -> Slot {
        let (grant, granted) = oneshot::channel();
        let want = want.clone();
        self.change(|s| s.waiting.push_back(Waiting { want, grant }));
        granted.await.expect("whoever waits is never forgotten")
    }

    /// Whether a slot of the process is free right now: only then may a request be held for long.
    pub(crate) fn has_spare(&self) -> bool {
        let state = self.state();
        state.used < state.concurrent
    }

    /// How often slots came and went.
    pub(crate) fn operations(&self) -> Operations {
        self.state().operations
    }

    /// The turn of a runner came by: counts it if the runner may not ask only because its requests are on their way.
    ///
    /// Compat: gitlab-runner commands/builds_helper.go `acquireRequest`: once every `check_interval`, if a worker is free.
    pub(crate) fn turn(&self, want: &Want) {
        let mut state = self.state();
        let has_worker = state.used < state.concurrent;
        let runner = state.runners.entry(want.token.clone()).or_default();
        if has_worker && runner.may_hold(want) && !runner.may_ask(want) {
            runner.refused += 1;
        }
    }

    /// Numbers of one runner.
    pub(crate) fn usage(&self, want: &Want) -> Usage {
        let state = self.state();
        let of_runner = state.runners.get(&want.token).cloned().unwrap_or_default();
        Usage {
            requests: of_runner.requests,
            allowed_requests: want.allowed_requests(of_runner.appetite),
            refused: of_runner.refused,
        }
    }

    /// Lowest numbers no running job of this token (and project) has.
    pub(crate) fn number(&self, token: &Secret, project: u64) -> (SlotNumbers, NumberGuard) {
        let mut state = self.state();
        let lowest = |used: Vec<u32>| (0..).find(|n| !used.contains(n)).unwrap_or(0);
        let of_runner: Vec<&Taken> = state.numbers.iter().filter(|t| t.token == *token).collect();
        let of_project = of_runner.iter().filter(|t| t.project == project);
        let numbers = SlotNumbers {
            project: lowest(of_project.map(|t| t.numbers.project).collect()),
            runner: lowest(of_runner.iter().map(|t| t.numbers.runner).collect()),
        };
        let taken = Taken {
            token: token.clone(),
            project,
            numbers,
        };
        state.numbers.push(taken.clone());
        let slots = self.clone();
        (numbers, NumberGuard { taken, slots })
    }

    /// The place of a job that runs already, left by an earlier process. It waits for nothing: there may be more of
    /// them than the bounds allow now.
    pub(crate) fn occupy(&self, token: &Secret, project: u64, numbers: SlotNumbers) -> (Slot, NumberGuard) {
        let mut state = self.state();
        state.used += 1;
        state.runners.entry(token.clone()).or_default().slots += 1;
        let taken = Taken {
            token: token.clone(),
            project,
            numbers,
        };
        state.numbers.push(taken.clone());
        drop(state);
        let slot = Slot {
            slots: self.clone(),
            want: Want {
                token: token.clone(),
                limit: 0,
                requests: 1,
                adaptive: false,
            },
            asking: false,
        };
        let slots = self.clone();
        (slot, NumberGuard { taken, slots })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, then gives out what is free now.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state);
        let granted = state.grant(self);
        drop(state);
        for (grant, slot) in granted {
            // Nobody may wait any more; then the slot frees itself here, where the lock is not held.
            drop(grant.send(slot));
        }
        result
    }
}

impl State {
    /// Slots for those who wait and may have one, in the order they came.
    fn grant(&mut self, slots: &Slots) -> Vec<(oneshot::Sender<Slot>, Slot)> {
        let mut granted = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|w| !w.grant.is_closed());
        for Waiting { want, grant } in waiting {
            if self.take(&want) {
                let slot = Slot {
                    slots: slots.clone(),
                    want,
                    asking: true,
                };
                granted.push((grant, slot));
            } else {
                self.waiting.push_back(Waiting { want, grant });
            }
        }
        granted
    }

    fn take(&mut self, want: &Want) -> bool {
        let runner = self.runners.entry(want.token.clone()).or_default();
        let free = runner.may_hold(want) && runner.may_ask(want) && self.used < self.concurrent;
        if free {
            runner.slots += 1;
            runner.requests += 1;
            self.used += 1;
        }
        free
    }
}

impl OfRunner {
    fn may_hold(&self, want: &Want) -> bool {
        want.limit == 0 || self.slots < usize::try_from(want.limit).unwrap_or(usize::MAX)
    }

    fn may_ask(&self, want: &Want) -> bool {
        self.requests < usize::try_from(want.allowed_requests(self.appetite)).unwrap_or(usize::MAX)
    }
}

impl Want {
    /// What an entry of config.toml may have.
    pub(crate) fn of(runner: &RunnerConfig) -> Self {
        let adaptive = runner.feature_flags.get("FF_USE_ADAPTIVE_REQUEST_CONCURRENCY");
        Self {
            token: runner.token.clone(),
            limit: runner.limit,
            requests: runner.request_concurrency.max(1),
            adaptive: adaptive.copied().unwrap_or(true),
        }
    }

    /// Compat: gitlab-runner commands/builds_helper.go.
    fn allowed_requests(&self, appetite: f64) -> u32 {
        let most = self.requests.max(1);
        if !self.adaptive {
            return most;
        }
        (1..most).find(|n| f64::from(*n) >= appetite).unwrap_or(most)
    }
}

impl Slot {
    /// The request came back; the slot is kept for its job.
    pub(crate) fn answered(&mut self, answered: Answered) {
        self.asking = false;
        let (token, most) = (&self.want.token, f64::from(self.want.requests.max(1)));
        self.slots.change(|s| {
            let runner = s.runners.entry(token.clone()).or_default();
            runner.requests -= 1;
            let factor = match answered {
                Answered::Job => 1.1,
                Answered::NoJob => 0.95,
                Answered::PushedBack => 0.5,
            };
            runner.appetite = (runner.appetite * factor).clamp(1.0, most);
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (token, asking) = (&self.want.token, self.asking);
        self.slots.change(|s| {
            s.used -= 1;
            let runner = s.runners.entry(token.clone()).or_default();
            runner.slots -= 1;
            runner.requests -= usize::from(asking);
        });
    }
}

impl Drop for NumberGuard {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        if let Some(at) = state.numbers.iter().position(|t| *t == self.taken) {
            state.numbers.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, Slots, Want};
    use futures_util::FutureExt as _;
    use pipglr_protocol::Secret;

    fn want(token: &str, limit: u32) -> Want {
        Want {
            token: Secret::new(token),
            limit,
            requests: 9,
            adaptive: false,
        }
    }

    #[tokio::test]
    async fn slots_bound_process_and_runner_and_free_themselves() {
        let slots = Slots::new(2);
        let first = slots.acquire(&want("a", 1)).await;
        assert!(slots.acquire(&want("a", 1)).now_or_never().is_none(), "limit");
        let second = slots.acquire(&want("b", 0)).await;
        assert!(slots.acquire(&want("b", 0)).now_or_never().is_none(), "concurrent");
        assert!(!slots.has_spare());
        drop(second);
        assert!(slots.has_spare());
        drop(first);
        assert!(slots.acquire(&want("a", 1)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn entries_with_one_token_share_their_count() {
        let slots = Slots::new(9);
        let _taken = slots.acquire(&want("a", 1)).await;
        assert!(slots.acquire(&want("a", 1)).now_or_never().is_none());
        assert!(slots.acquire(&want("a", 2)).now_or_never().is_some());
        assert!(slots.acquire(&want("a", 0)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_waits_longest_is_next() {
        let slots = Slots::new(1);
        let taken = slots.acquire(&want("a", 0)).await;
        let mut waiting: Vec<_> = ["b", "a", "c"]
            .map(|t| Box::pin(async_acquire(slots.clone(), t)))
            .into();
        for w in &mut waiting {
            assert!(w.now_or_never().is_none());
        }
        // The second gives up; the slot goes to the first and then to the third.
        drop(waiting.remove(1));
        drop(taken);
        let mut third = waiting.pop().unwrap();
        assert!((&mut third).now_or_never().is_none());
        let first = waiting.pop().unwrap().now_or_never().unwrap();
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    async fn async_acquire(slots: Slots, token: &str) -> super::Slot {
        slots.acquire(&want(token, 0)).await
    }

    #[tokio::test]
    async fn bounds_change_without_taking_anything_away() {
        let slots = Slots::new(1);
        let first = slots.acquire(&want("a", 1)).await;
        slots.set_concurrent(3);
        let second = slots.acquire(&want("a", 2)).await;
        slots.set_concurrent(1);
        assert!(slots.acquire(&want("b", 0)).now_or_never().is_none());
        drop(first);
        assert!(
            slots.acquire(&want("b", 0)).now_or_never().is_none(),
            "one is still used"
        );
        drop(second);
        assert!(slots.acquire(&want("b", 0)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn requests_at_the_same_time_are_bounded() {
        let slots = Slots::new(9);
        let two = Want {
            requests: 2,
            ..want("a", 0)
        };
        let (mut first, _second) = (slots.acquire(&two).await, slots.acquire(&two).await);
        assert!(slots.acquire(&two).now_or_never().is_none());
        first.answered(Answered::Job);
        assert!(
            slots.acquire(&two).now_or_never().is_some(),
            "the job does not count as a request"
        );
    }

    #[tokio::test]
    async fn a_turn_is_refused_only_by_requests_on_their_way() {
        let (slots, one) = (
            Slots::new(2),
            Want {
                requests: 1,
                ..want("a", 0)
            },
        );
        let refused = || slots.usage(&one).refused;
        slots.turn(&one);
        assert_eq!(refused(), 0, "it could ask");
        let mut first = slots.acquire(&one).await;
        assert!(slots.acquire(&one).now_or_never().is_none());
        assert_eq!(refused(), 0, "waiting alone is no turn");
        slots.turn(&one);
        slots.turn(&one);
        assert_eq!(refused(), 2);
        first.answered(Answered::Job);
        let _second = slots.acquire(&one).await;
        slots.turn(&one);
        assert_eq!(refused(), 2, "no worker is free");
        slots.turn(&Want {
            limit: 1,
            ..one.clone()
        });
        assert_eq!(refused(), 2, "the limit is reached");
    }

    #[test]
    fn slots_that_come_and_go_are_counted() {
        let slots = Slots::new(3);
        for concurrent in [5, 1, 1, 2] {
            slots.set_concurrent(concurrent);
        }
        let counted = slots.operations();
        assert_eq!((counted.started, counted.stopped), (6, 4));
    }

    #[tokio::test]
    async fn requests_grow_with_jobs_and_shrink_without() {
        let slots = Slots::new(100);
        let want = Want {
            requests: 4,
            adaptive: true,
            ..want("a", 0)
        };
        let mut allowed = Vec::new();
        for (answered, times) in [
            (Answered::Job, 1),
            (Answered::Job, 1),
            (Answered::Job, 20),
            (Answered::PushedBack, 1),
            (Answered::NoJob, 30),
        ] {
            for _ in 0..times {
                slots.acquire(&want).await.answered(answered);
            }
            allowed.push(slots.usage(&want).allowed_requests);
        }
        assert_eq!(allowed, [1, 2, 4, 2, 1]);
    }

    #[tokio::test]
    async fn a_job_of_an_earlier_process_counts_whatever_the_bounds() {
        let (slots, a) = (Slots::new(1), Secret::new("a"));
        let numbers = crate::job::SlotNumbers { runner: 0, project: 0 };
        let first = slots.occupy(&a, 7, numbers);
        let _second = slots.occupy(&a, 8, crate::job::SlotNumbers { runner: 1, project: 0 });
        assert_eq!(slots.number(&a, 7).0, crate::job::SlotNumbers { runner: 2, project: 1 });
        drop(first);
        assert!(
            slots.acquire(&want("a", 0)).now_or_never().is_none(),
            "one is still there"
        );
        assert_eq!(slots.number(&a, 7).0, numbers);
    }

    #[test]
    fn numbers_are_the_lowest_free_ones() {
        let (slots, a, b) = (Slots::new(9), Secret::new("a"), Secret::new("b"));
        let (first, guard) = slots.number(&a, 7);
        let (second, _guard_2) = slots.number(&a, 8);
        let (third, _guard_3) = slots.number(&b, 7);
        assert_eq!(
            [
                (first.runner, first.project),
                (second.runner, second.project),
                (third.runner, third.project)
            ],
            [(0, 0), (1, 0), (0, 0)]
        );
        drop(guard);
        assert_eq!(slots.number(&a, 9).0, crate::job::SlotNumbers { runner: 0, project: 0 });
        assert_eq!(slots.number(&a, 8).0, crate::job::SlotNumbers { runner: 0, project: 1 });
    }
}
