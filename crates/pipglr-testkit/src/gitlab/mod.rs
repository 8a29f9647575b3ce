//! A GitLab instance as runners see it: enforces the runner API as it reads requests, answers as a test wants it to.
//!
//! What a request does wrong is kept in [`Record::violations`] and answered as GitLab would. Scripted [`Answer`]s come
//! first; without one the fake behaves like an honest GitLab: jobs are handed out in order, traces are assembled by
//! offset, the first final state ends a job.

mod answer;
mod artifacts;
mod job;
mod payload;
mod protocol;
mod record;
mod runners;
mod server;
mod state;

pub use answer::{Answer, Endpoint};
pub use payload::JobBuilder;
pub use record::{JobRecord, Record, Request, Upload, crc32};

use crate::watched::Watched;
use answer::Rule;
use serde_json::Value;
use state::{Handout, RemoteState, State};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Authentication token of a runner every fake knows.
pub const RUNNER_TOKEN: &str = "glrt-t1_fake0runner0token";
/// Registration token every fake accepts.
pub const REGISTRATION_TOKEN: &str = "GR1348941fake-registration";

/// The fake. Stops when dropped.
#[derive(Debug)]
pub struct FakeGitLab {
    address: SocketAddr,
    state: Arc<Watched<State>>,
    server: JoinHandle<()>,
}

impl Drop for FakeGitLab {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeGitLab {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        let state = Arc::new(Watched::new(State::new()));
        let (address, server) = server::serve(state.clone()).await;
        state.change(|s| s.url = format!("http://{address}"));
        Self { address, state, server }
    }

    /// Base URL, as config.toml has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a runner's token known. Jobs can be queued for it alone.
    pub fn add_runner(&self, token: &str) {
        self.state.change(|s| s.add_runner(token));
    }

    /// Queues a job for whichever runner asks first.
    pub fn queue(&self, payload: impl Into<Value>) {
        let payload = payload.into();
        self.state.change(|s| {
            s.queue.push_back(Handout { runner: None, payload });
        });
    }

    /// Queues a job for one runner.
    pub fn queue_for(&self, token: &str, payload: impl Into<Value>) {
        let (runner, payload) = (Some(token.to_owned()), payload.into());
        self.state.change(|s| s.queue.push_back(Handout { runner, payload }));
    }

    /// Counts a job as handed out, for tests that do without polling. Gives the payload back.
    pub fn assign(&self, payload: impl Into<Value>) -> Value {
        let payload = payload.into();
        self.state.change(|s| s.hand_out(&payload, None));
        payload
    }

    /// As [`FakeGitLab::assign`], with the acknowledgement done as well.
    pub fn assign_running(&self, payload: impl Into<Value>) -> Value {
        let payload = self.assign(payload);
        self.state.change(|s| s.job_of(&payload).remote = RemoteState::Running);
        payload
    }

    /// The next call of `endpoint` is answered like this.
    pub fn answer(&self, endpoint: Endpoint, answer: Answer) {
        self.answer_times(endpoint, 1, answer);
    }

    /// The next `times` calls of `endpoint` are answered like this.
    pub fn answer_times(&self, endpoint: Endpoint, times: usize, answer: Answer) {
        self.answer_if(endpoint, times, |_| true, answer);
    }

    /// The next `times` calls of `endpoint` that `matches` are answered like this. Rules are tried in the order given.
    pub fn answer_if(
        &self,
        endpoint: Endpoint,
        times: usize,
        matches: impl Fn(&Request) -> bool + Send + 'static,
        answer: Answer,
    ) {
        self.state.change(|s| {
            s.rules.push(Rule {
                endpoint,
                left: times,
                matches: Box::new(matches),
                answer,
            });
        });
    }

    /// Answers about jobs carry `X-GitLab-Trace-Update-Interval` from now on.
    pub fn set_trace_interval(&self, seconds: u64) {
        self.state.change(|s| s.trace_interval = Some(seconds));
    }

    /// Answers to job requests carry this `X-GitLab-Last-Update`; a request that echoes it while there is no job is
    /// held until there is one.
    pub fn set_last_update(&self, value: &str) {
        self.state.change(|s| s.last_update = Some(value.to_owned()));
    }

    /// A user cancels a job: answers about it say `canceling`.
    pub fn cancel(&self, id: u64) {
        self.set_remote(id, RemoteState::Canceling);
    }

    /// The job ends at once for GitLab: answers about it are 403 with `Job-Status: canceled`.
    pub fn force_cancel(&self, id: u64) {
        self.set_remote(id, RemoteState::Canceled);
    }

    fn set_remote(&self, id: u64, remote: RemoteState) {
        self.state.change(|s| {
            s.jobs.get_mut(&id).expect("a job that was handed out").remote = remote;
        });
    }

    /// GitLab has only the first `len` bytes of a job's trace, or more than it was sent.
    pub fn set_trace(&self, id: u64, bytes: &[u8]) {
        self.state.change(|s| {
            s.record.jobs.get_mut(&id).expect("a job that was handed out").trace = bytes.to_vec();
        });
    }

    /// Serves `archive` as the artifacts of job `id`, to whoever shows `token`.
    pub fn store_artifacts(&self, id: u64, token: &str, archive: &[u8]) {
        self.state
            .change(|s| s.archives.insert(id, (token.to_owned(), archive.to_vec())));
    }

    /// Direct downloads are redirected to another path of this server, as GitLab does with object storage.
    pub fn redirect_direct_downloads(&self) {
        self.state.change(|s| s.redirect_downloads = true);
    }

    /// Everything so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.state.read().record.clone()
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// It does not come true.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Record) -> bool) {
        self.wait_some(what, |record| condition(record).then_some(())).await;
    }

    /// Waits until `find` gives something.
    ///
    /// # Panics
    /// It does not.
    pub async fn wait_some<T>(&self, what: &str, find: impl Fn(&Record) -> Option<T>) -> T {
        self.state.wait(what, |s| s.record.summary(), |s| find(&s.record)).await
    }

    /// Waits until a job has its final state and gives what is known about it.
    ///
    /// # Panics
    /// It gets none.
    pub async fn finished(&self, id: u64) -> JobRecord {
        let what = format!("the end of job {id}");
        self.wait_some(&what, |r| r.jobs.get(&id).filter(|j| j.final_update.is_some()).cloned())
            .await
    }
}
