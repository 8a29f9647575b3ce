//! One runner's loop: hold a slot, ask for a job, hand it over, ask again.

use super::health::Health;
use super::slots::Slot;
use super::{Shared, registry_auth, run_logged, runner_info};
use crate::config::RunnerConfig;
use crate::gitlab::{Error, GitLab, JobApi};
use crate::job::World;
use crate::job::plan::{self, AcceptedJob};
use crate::job::report_without_log;
use crate::trace::sender::Pace;
use anyhow::Context as _;
use futures_util::FutureExt as _;
use pipglr_protocol::info::Info;
use pipglr_protocol::job_request::JobRequest;
use pipglr_protocol::payload::JobPayload;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Polls for one `[[runners]]` entry and owns its jobs.
#[derive(Debug)]
pub(super) struct Poller {
    shared: Arc<Shared>,
    index: usize,
    runner: Arc<RunnerConfig>,
    gitlab: GitLab,
    info: Arc<Info>,
    ca_certificates: Option<String>,
    last_update: Option<String>,
    health: Health,
    jobs: JoinSet<()>,
}

/// What to do after a request.
enum Next {
    /// There may be more.
    AskAgain,
    Pause(Duration),
}

impl Poller {
    pub(super) fn new(
        shared: Arc<Shared>,
        index: usize,
        runner: Arc<RunnerConfig>,
        gitlab: GitLab,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            info: Arc::new(runner_info(Some(&runner))),
            ca_certificates: ca_certificates(&runner, &shared)?,
            health: Health::new(&runner),
            last_update: None,
            jobs: JoinSet::new(),
            shared,
            index,
            runner,
            gitlab,
        })
    }

    /// Polls until a stop is requested, then waits for the jobs that still run.
    pub(super) async fn run(mut self) {
        let stop = self.shared.shutdown.graceful().clone();
        loop {
            let pause = tokio::select! {
                () = stop.cancelled() => break,
                next = self.poll_once() => match next {
                    Next::AskAgain => Duration::ZERO,
                    Next::Pause(pause) => pause,
                },
            };
            self.collect_finished();
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        while let Some(result) = self.jobs.join_next().await {
            log_broken(result);
        }
    }

    async fn poll_once(&mut self) -> Next {
        if let Some(pause) = self.health.pause() {
            return Next::Pause(pause);
        }
        let slot = self.shared.slots.acquire(self.index).await;
        let request = JobRequest {
            info: (*self.info).clone(),
            token: self.runner.token.clone(),
            system_id: Some(self.shared.options.system_id.clone()),
            // A request that names the last update is held by the coordinator for up to a minute, and the slot with
            // it. That must not starve other runners when slots are short.
            last_update: self
                .last_update
                .clone()
                .filter(|_| self.shared.slots.has_spare() || self.is_alone()),
        };
        match self.gitlab.request_job(&request).await {
            Ok(outcome) => {
                self.health.good();
                if outcome.last_update.is_some() {
                    self.last_update = outcome.last_update;
                }
                match outcome.job {
                    Some(payload) => {
                        self.start(*payload, slot);
                        Next::AskAgain
                    }
                    None => {
                        tracing::debug!(runner = self.runner.token.short(), "no job");
                        Next::Pause(self.shared.config.check_interval())
                    }
                }
            }
            Err(error) => {
                self.note_failure(&error);
                Next::Pause(self.shared.config.check_interval())
            }
        }
    }

    fn is_alone(&self) -> bool {
        self.shared
            .config
            .runners
            .iter()
            .filter(|r| !r.token.is_empty())
            .count()
            == 1
    }

    fn note_failure(&mut self, error: &Error) {
        let runner = self.runner.token.short();
        if error.status() == Some(403) || matches!(error, Error::Configuration { .. }) {
            tracing::error!(runner, %error, "the coordinator refuses this runner: if its token is no longer valid, register again and store config.toml with setupconfig");
            if self.health.bad() {
                tracing::error!(runner, "runner is not healthy and will be left alone for a while");
            }
        } else {
            self.health.good();
            tracing::warn!(runner, %error, "asking for a job failed");
        }
    }

    fn start(&mut self, payload: JobPayload, slot: Slot) {
        let (numbers, guard) = self.shared.slots.number(self.index, payload.job_info.project_id);
        let job = AcceptedJob {
            payload: Arc::new(payload),
            runner: self.runner.clone(),
            slot: numbers,
            system_id: self.shared.options.system_id.clone(),
            nested_privileged: self.shared.engine.settings().nested_privileged,
            ca_certificates: self.ca_certificates.clone(),
            registry_auth: registry_auth::of_operator(self.shared.engine.settings()),
            secrets: Vec::new(),
        };
        let api = JobApi::new(
            self.gitlab.clone(),
            job.payload.id,
            job.payload.token.clone(),
            self.info.clone(),
            plan::debug_trace(&job),
        );
        let world = World {
            engine: self.shared.engine.clone(),
            api,
            directory: self.shared.options.state_dir.join(super::JOB_LOGS),
            pace: pace(&self.runner),
            interrupt: self.shared.shutdown.forceful().clone(),
        };
        let runner = self.runner.clone();
        self.jobs.spawn(async move {
            let api = world.api.clone();
            // A panic must end one job, and GitLab must hear of it.
            if AssertUnwindSafe(run_logged(job, world, &runner))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!(job_id = api.id().0, "bug in pipglr: a job's task panicked");
                report_without_log(&api).await;
            }
            drop((guard, slot));
        });
    }

    fn collect_finished(&mut self) {
        while let Some(result) = self.jobs.try_join_next() {
            log_broken(result);
        }
    }
}

fn pace(runner: &RunnerConfig) -> Pace {
    let tries = runner.job_status_final_update_retry_limit;
    Pace {
        dynamic_keep_alive: runner
            .feature_flags
            .get("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL")
            .is_some_and(|&on| on),
        final_tries: if tries == 0 { Pace::default().final_tries } else { tries },
        ..Pace::default()
    }
}

/// Certificates jobs get: those of `tls-ca-file`, else those the operator gave to the whole container.
fn ca_certificates(runner: &RunnerConfig, shared: &Shared) -> anyhow::Result<Option<String>> {
    let of_all = shared.engine.settings().ca_certificates.as_ref();
    let Some(path) = runner.tls_ca_file.as_ref().or(of_all) else {
        return Ok(None);
    };
    let pem = std::fs::read_to_string(path).with_context(|| format!("read certificates in {}", path.display()))?;
    Ok(Some(pem))
}

fn log_broken(result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result {
        tracing::error!(%error, "a job's task broke down");
    }
}
