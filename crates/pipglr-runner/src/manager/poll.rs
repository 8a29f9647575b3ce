//! One runner's loop: hold a slot, ask for a job, hand it over, ask again.
//!
//! A poller never changes: when the configuration does, it is retired and another one takes its place. A request on its
//! way is not interrupted by that, and a job it brings is run, with the configuration that is in force by then.
//! Nor does a graceful stop interrupt a request that may bring one (`last_answer`).

use super::contact::Contact;
use super::health::Health;
use super::slots::{Answered, Slot, Want};
use super::supervise::{Arrived, supervise, world};
use super::{Shared, registries, registry_auth, runner_info};
use crate::config::{Config, RunnerConfig};
use crate::gitlab::{Error, GitLab};
use crate::job::plan::{AcceptedJob, ClientIdentity, Seed};
use crate::metrics::Calls;
use crate::session_server::ProposedSession;
use anyhow::Context as _;
use pipglr_protocol::Secret;
use pipglr_protocol::info::Info;
use pipglr_protocol::job_request::JobRequest;
use pipglr_protocol::payload::JobPayload;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Polls for one `[[runners]]` entry of one version of the configuration.
#[derive(Debug)]
pub(super) struct Poller {
    shared: Arc<Shared>,
    config: Arc<Config>,
    runner: Arc<RunnerConfig>,
    gitlab: GitLab,
    info: Arc<Info>,
    terms: Arc<Terms>,
    want: Want,
    /// Raised when the configuration changed.
    retired: CancellationToken,
    state: Mutex<State>,
    contact: Arc<Contact>,
}

/// What jobs of one `[[runners]]` entry are run with.
#[derive(Debug)]
pub(super) struct Terms {
    runner: Arc<RunnerConfig>,
    ca_certificates: Option<String>,
    client_identity: Option<ClientIdentity>,
}

/// The terms of the newest configuration. GitLab may hold a request for a minute, and a job it brings would else be run with
/// what was changed meanwhile.
#[derive(Debug, Default)]
pub(super) struct InForce(Mutex<Vec<Arc<Terms>>>);

impl InForce {
    pub(super) fn replace(&self, pollers: &[Poller]) {
        let terms = pollers.iter().map(|poller| poller.terms.clone()).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = terms;
    }

    /// What replaces these terms, or they themselves if nothing does. Entries may share a token; then the name tells them apart.
    fn instead_of(&self, own: &Arc<Terms>) -> Arc<Terms> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|terms| Arc::ptr_eq(terms, own)) {
            return own.clone();
        }
        let same: Vec<_> = all.iter().filter(|t| t.runner.token == own.runner.token).collect();
        let named = same.iter().find(|terms| terms.runner.name == own.runner.name);
        match (named, same.as_slice()) {
            (Some(found), _) | (None, [found]) => (*found).clone(),
            (None, _) => own.clone(),
        }
    }
}

/// What the loops of one runner share.
#[derive(Debug)]
struct State {
    last_update: Option<String>,
    health: Health,
    /// Not before then is there another request, unless the last one brought a job.
    next: Instant,
}

impl Poller {
    pub(super) fn new(
        shared: &Arc<Shared>,
        config: &Arc<Config>,
        runner: &RunnerConfig,
        gitlab: GitLab,
        retired: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let own = Arc::new(runner.clone());
        Ok(Self {
            info: Arc::new(info(runner, shared)),
            terms: Arc::new(Terms {
                runner: own.clone(),
                ca_certificates: ca_certificates(runner, shared)?,
                client_identity: read_identity(runner)?,
            }),
            want: Want::of(runner),
            state: Mutex::new(State {
                last_update: None,
                health: Health::new(runner),
                next: Instant::now(),
            }),
            contact: shared.contacts.begin(runner),
            shared: shared.clone(),
            config: config.clone(),
            runner: own,
            gitlab: gitlab.counted(Calls {
                metrics: shared.metrics.clone(),
                runner: runner.token.short(),
                system_id: shared.options.system_id.clone(),
            }),
            retired: retired.clone(),
        })
    }

    /// Polls until a stop is requested or the configuration changes.
    pub(super) async fn run(self) {
        // More than `concurrent` requests could never hold a slot.
        let loops = self.want.requests.min(self.config.concurrent);
        let asking = futures_util::future::join_all((0..loops).map(|_| self.ask_for_jobs()));
        tokio::select! {
            _ = asking => {}
            () = self.count_turns() => {}
        }
    }

    /// Counts what gitlab-runner counts each time it offers the runner to a worker.
    async fn count_turns(&self) {
        let mut turns = tokio::time::interval(self.config.check_interval());
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        loop {
            turns.tick().await;
            if self.pause().is_some() {
                let system_id = &self.shared.options.system_id;
                self.shared.metrics.runner_not_fed(&self.runner, system_id);
            } else {
                self.shared.slots.turn(&self.want);
            }
        }
    }

    async fn ask_for_jobs(&self) {
        let stop = self.shared.shutdown.graceful();
        let mut at_once = false;
        loop {
            let slot = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.retired.cancelled() => return,
                slot = self.turn(at_once) => slot,
            };
            let (asking, asked) = (self.ask(slot), Instant::now());
            tokio::pin!(asking);
            at_once = tokio::select! {
                soon = &mut asking => soon && !self.runner.strict_check_interval,
                () = stop.cancelled() => {
                    let shutdown = &self.shared.shutdown;
                    return self.shared.last_answer.wait(asking, asked, shutdown.forceful()).await;
                }
            };
        }
    }

    /// Waits until there may be a request, and for the slot of its job.
    async fn turn(&self, at_once: bool) -> Slot {
        while let Some(pause) = self.pause() {
            self.shared
                .metrics
                .runner_unhealthy(&self.runner, &self.shared.options.system_id);
            tokio::time::sleep(pause).await;
        }
        if !at_once {
            let at = {
                let mut state = self.state();
                let at = state.next.max(Instant::now());
                state.next = at + self.config.check_interval();
                at
            };
            tokio::time::sleep_until(at).await;
        }
        if let Some(disk) = &self.shared.disk {
            // Jobs are left to runners that have room for them.
            disk.until_there_is_room().await;
        }
        self.shared.slots.acquire(&self.want).await
    }

    fn pause(&self) -> Option<std::time::Duration> {
        self.state().health.pause()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the next request need not wait: there was a job, or only now is it known how to be held until there is one.
    async fn ask(&self, mut slot: Slot) -> bool {
        // A request that names the last update is held by the coordinator for up to a minute, and the slot with it.
        // That must not starve other runners when slots are short.
        let may_be_held = self.shared.slots.has_spare() || self.is_alone();
        let timeout = self.config.session_server.timeout();
        let session = self.shared.sessions.as_ref().map(|server| server.propose(timeout));
        let request = JobRequest {
            info: (*self.info).clone(),
            token: self.runner.token.clone(),
            system_id: Some(self.shared.options.system_id.clone()),
            last_update: self.state().last_update.clone().filter(|_| may_be_held),
            session: session.as_ref().map(ProposedSession::info),
        };
        self.shared
            .metrics
            .runner_fed(&self.runner, &self.shared.options.system_id);
        match self.gitlab.request_job(&request).await {
            Ok(outcome) => {
                self.contact.good();
                let may_be_held_now = may_be_held && request.last_update.is_none() && outcome.last_update.is_some();
                {
                    let mut state = self.state();
                    state.health.good();
                    if outcome.last_update.is_some() {
                        state.last_update.clone_from(&outcome.last_update);
                    }
                }
                let Some(payload) = outcome.job else {
                    tracing::debug!(runner = self.runner.token.short(), "no job");
                    slot.answered(Answered::NoJob);
                    return may_be_held_now;
                };
                slot.answered(Answered::Job);
                self.start(*payload, outcome.correlation_id, slot, session);
                true
            }
            Err(error) => {
                self.note_failure(&error);
                slot.answered(match error.status() {
                    Some(status) if crate::gitlab::is_retriable(status) => Answered::PushedBack,
                    _ => Answered::NoJob,
                });
                false
            }
        }
    }

    fn is_alone(&self) -> bool {
        self.config.runners.iter().filter(|r| !r.token.is_empty()).count() == 1
    }

    fn note_failure(&self, error: &Error) {
        self.contact.bad(error);
        let runner = self.runner.token.short();
        let mut state = self.state();
        if error.status() == Some(403) || matches!(error, Error::Configuration { .. }) {
            tracing::error!(runner, %error, "the coordinator refuses this runner: if its token is no longer valid, register again and store config.toml with setupconfig");
            if state.health.bad() {
                tracing::error!(runner, "runner is not healthy and will be left alone for a while");
            }
        } else {
            state.health.good();
            tracing::warn!(runner, %error, "asking for a job failed");
        }
    }

    fn start(&self, payload: JobPayload, correlation_id: String, slot: Slot, session: Option<ProposedSession>) {
        let (numbers, guard) = self
            .shared
            .slots
            .number(&self.runner.token, payload.job_info.project_id);
        let terms = self.shared.in_force.instead_of(&self.terms);
        let job = AcceptedJob {
            seed: Seed::now(),
            payload: Arc::new(payload),
            runner: terms.runner.clone(),
            slot: numbers,
            system_id: self.shared.options.system_id.clone(),
            nested_privileged: self.shared.engine.settings().nested_privileged,
            ca_certificates: terms.ca_certificates.clone(),
            client_identity: terms.client_identity.clone(),
            operator_certificates: registries::certificates(self.shared.engine.settings()),
            correlation_id,
            registry_auth: registry_auth::of_operator(self.shared.engine.settings()),
            registries: registries::of_operator(self.shared.engine.settings()),
            secrets: Vec::new(),
        };
        let mut world = world(&job, self.gitlab.clone(), self.info.clone(), &self.shared);
        world.session = session.map(ProposedSession::begin);
        let (shared, tallied) = (self.shared.clone(), self.shared.tally.job_begins());
        self.shared.tasks.spawn(async move {
            supervise(Arrived::New(Box::new(job)), world, &shared).await;
            drop((guard, slot, tallied));
        });
    }
}

/// What the runner says about itself; that it has terminals only where they are served.
fn info(runner: &RunnerConfig, shared: &Shared) -> Info {
    let mut info = runner_info(Some(runner));
    info.features.session = shared.sessions.is_some();
    info.features.terminal = shared.sessions.is_some();
    info
}

/// Certificates jobs get: those of `tls-ca-file`, else those the operator gave to the whole container.
fn ca_certificates(runner: &RunnerConfig, shared: &Shared) -> anyhow::Result<Option<String>> {
    let of_all = shared.engine.settings().ca_certificates.as_ref();
    // Compat: gitlab-runner network/client.go: a file that is not there is none.
    let of_runner = runner.tls_ca_file.as_ref().filter(|path| {
        let there = path.exists();
        if !there {
            tracing::warn!(path = %path.display(), "tls-ca-file is not there and has no effect");
        }
        there
    });
    let Some(path) = of_runner.or(of_all) else {
        return Ok(None);
    };
    let pem = std::fs::read_to_string(path).with_context(|| format!("read certificates in {}", path.display()))?;
    Ok(Some(pem))
}

fn read_identity(runner: &RunnerConfig) -> anyhow::Result<Option<ClientIdentity>> {
    let (Some(certificate), Some(key)) = (&runner.tls_cert_file, &runner.tls_key_file) else {
        return Ok(None);
    };
    let read = |what: &str, path: &std::path::Path| {
        std::fs::read_to_string(path).with_context(|| format!("read {what} {}", path.display()))
    };
    Ok(Some(ClientIdentity {
        certificate: read("tls-cert-file", certificate)?,
        key: Secret::new(read("tls-key-file", key)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::{InForce, Terms};
    use crate::config::RunnerConfig;
    use std::sync::{Arc, Mutex};

    fn terms(token: &str, name: &str, limit: u32) -> Arc<Terms> {
        let text =
            format!("token = '{token}'\nname = '{name}'\nlimit = {limit}\nurl = 'http://g'\nexecutor = 'docker'\n");
        let runner: RunnerConfig = toml::from_str(&text).unwrap();
        Arc::new(Terms {
            runner: Arc::new(runner),
            ca_certificates: None,
            client_identity: None,
        })
    }

    #[test]
    fn the_newest_terms_of_the_very_entry_count() {
        let old = terms("t", "one", 1);
        for (now, limit) in [
            (vec![old.clone(), terms("t", "two", 2)], 1),
            (vec![terms("t", "two", 2), terms("t", "one", 3)], 3),
            (vec![terms("t", "renamed", 4), terms("u", "one", 5)], 4),
            (vec![terms("t", "renamed", 4), terms("t", "two", 5)], 1),
            (vec![terms("u", "one", 6)], 1),
            (vec![], 1),
        ] {
            let in_force = InForce(Mutex::new(now));
            assert_eq!(in_force.instead_of(&old).runner.limit, limit);
        }
    }
}
