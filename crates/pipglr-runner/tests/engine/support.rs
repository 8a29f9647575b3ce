//! Putting an engine between the fakes, and reading what it left with them.

use pipglr_protocol::Secret;
use pipglr_runner::config::RunnerConfig;
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::gitlab::{Connection, GitLab, JobApi, TlsFiles};
use pipglr_runner::job::plan::AcceptedJob;
use pipglr_runner::job::{self, Seed, SlotNumbers, World};
use pipglr_runner::manager::runner_info;
use pipglr_runner::trace::sender::Pace;
use pipglr_testkit::gitlab::{Endpoint, FakeGitLab, JobBuilder, JobRecord, RUNNER_TOKEN, Record};
use pipglr_testkit::podman::FakePodman;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const SYSTEM_ID: &str = "r_0123456789ab";

/// No job of a test takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// As fast as a test wants it; no keep-alive gets in the way.
pub(crate) const FAST: Pace = Pace {
    interval: Duration::from_millis(5),
    keep_alive: Duration::from_secs(600),
    shortest_silence: Duration::from_secs(600),
    dynamic_keep_alive: false,
    backoff: Duration::from_millis(5),
    final_tries: 10,
};

/// reqwest wants a TLS provider even where there is no TLS.
pub(crate) fn http() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let provider = rustls::crypto::ring::default_provider();
        provider.install_default().expect("nobody else installs one");
    });
    reqwest::Client::builder().no_proxy()
}

pub(crate) fn connect(url: &str) -> GitLab {
    GitLab::connect(&Connection {
        url: url.to_owned(),
        tls: TlsFiles::default(),
    })
    .unwrap()
}

/// The API of a job of [`JobBuilder`].
pub(crate) fn job_api(url: &str, id: u64) -> JobApi {
    let token = Secret::new(JobBuilder::token_of(id));
    JobApi::new(
        connect(url),
        pipglr_protocol::payload::JobId(id),
        token,
        Arc::new(runner_info(None)),
        false,
    )
}

/// One job between a fake GitLab and a fake podman.
pub(crate) struct Bench {
    pub(crate) gitlab: FakeGitLab,
    pub(crate) podman: FakePodman,
    pub(crate) runner: RunnerConfig,
    pub(crate) interrupt: CancellationToken,
    pub(crate) directory: TempDir,
}

/// What became of it.
pub(crate) struct Ran {
    pub(crate) record: job::JobRecord,
    pub(crate) at_gitlab: JobRecord,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let gitlab = FakeGitLab::start().await;
        let runner = RunnerConfig {
            name: "bench".to_owned(),
            url: gitlab.url(),
            token: Secret::new(RUNNER_TOKEN),
            executor: "docker".to_owned(),
            // Most tests read the log as the job's author means it.
            feature_flags: [("FF_TIMESTAMPS".to_owned(), false)].into(),
            ..RunnerConfig::default()
        };
        let directory = tempfile::tempdir().unwrap();
        Self {
            gitlab,
            podman: FakePodman::start(),
            runner,
            interrupt: CancellationToken::new(),
            directory,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(EngineSettings {
            socket: self.podman.socket(),
            cache_directory: self.directory.path().join("cache"),
            ..EngineSettings::default()
        })
    }

    /// Runs a job as if it had just been handed out.
    pub(crate) async fn run(&self, builder: JobBuilder) -> Ran {
        self.run_payload(builder.into()).await
    }

    /// As [`Bench::run`], for what [`JobBuilder`] has no word for.
    pub(crate) async fn run_payload(&self, payload: Value) -> Ran {
        let payload = self.gitlab.assign(payload);
        let id = payload["id"].as_u64().unwrap();
        let running = Box::pin(job::run_job(self.accepted(payload), self.world(id)));
        let record = tokio::time::timeout(PATIENCE, running)
            .await
            .expect("the job comes to an end");
        let at_gitlab = self.gitlab.record().jobs[&id].clone();
        Ran { record, at_gitlab }
    }

    pub(crate) fn accepted(&self, payload: Value) -> AcceptedJob {
        AcceptedJob {
            seed: Seed::now(),
            payload: Arc::new(serde_json::from_value(payload).unwrap()),
            runner: Arc::new(self.runner.clone()),
            slot: SlotNumbers::default(),
            system_id: SYSTEM_ID.to_owned(),
            nested_privileged: true,
            ca_certificates: None,
            registry_auth: Vec::new(),
            operator_certificates: None,
            registries: Vec::new(),
            secrets: Vec::new(),
            client_identity: None,
            correlation_id: String::new(),
        }
    }

    pub(crate) fn world(&self, id: u64) -> World {
        World {
            engine: self.engine(),
            api: job_api(&self.gitlab.url(), id),
            directory: self.directory.path().join("jobs"),
            pace: FAST,
            interrupt: self.interrupt.clone(),
            progress: pipglr_runner::metrics::Progress::default(),
            session: None,
            hold: None,
        }
    }

    /// Nobody broke the protocol, nothing of the job is left: no container, no volume but the ones to keep, no file.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.gitlab.record().violations, Vec::<String>::new());
        assert_eq!(self.podman.record().violations, Vec::<String>::new());
        assert_eq!(self.podman.containers(), Vec::<String>::new());
        assert_eq!(self.podman.networks_and_secrets(), Vec::<String>::new());
        let temporary: Vec<String> = self.podman.volumes().into_keys().filter(|v| !is_reusable(v)).collect();
        assert_eq!(temporary, Vec::<String>::new());
        assert_eq!(files_in(&self.directory.path().join("jobs")), Vec::<String>::new());
    }
}

/// Volumes that are kept are named by a digest, those of one job by the job's unique name.
pub(crate) fn is_reusable(volume: &str) -> bool {
    !volume.contains("-concurrent-")
}

fn files_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

impl Ran {
    /// Final `(state, failure_reason, exit_code)` as GitLab has it.
    pub(crate) fn ending(&self) -> (String, String, i64) {
        self.at_gitlab.ending()
    }

    /// The log without colours, section markers, header lines and what differs between machines.
    pub(crate) fn log(&self) -> String {
        readable(&self.at_gitlab.text())
    }

    #[track_caller]
    pub(crate) fn assert_ending(&self, state: &str, reason: &str, exit_code: i64) {
        let wanted = (state.to_owned(), reason.to_owned(), exit_code);
        assert_eq!(self.ending(), wanted, "{}", self.log());
        assert!(self.at_gitlab.is_complete(), "size and checksum are those of the trace");
    }

    #[track_caller]
    pub(crate) fn assert_log_has(&self, part: &str) {
        assert!(self.log().contains(part), "{part:?} is not in:\n{}", self.log());
    }
}

/// A log without colours; the host's name, random names and the version are replaced.
pub(crate) fn readable(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let end = rest[at + 2..].find(|c: char| c.is_ascii_alphabetic()).unwrap();
        rest = &rest[at + 2 + end + 1..];
    }
    plain.push_str(rest);
    anonymous(&plain)
}

/// Replaces the host's name and the version.
pub(crate) fn anonymous(text: &str) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let version = format!(
        "{} {} ({})",
        pipglr_runner::NAME,
        pipglr_runner::VERSION,
        pipglr_runner::REVISION
    );
    text.replace(&format!(" via {host}..."), " via HOST...")
        .replace(&version, "VERSION")
}

pub(crate) fn ending(state: &str, reason: &str, exit_code: i64) -> (String, String, i64) {
    (state.to_owned(), reason.to_owned(), exit_code)
}

/// How often a job was asked for with this token.
pub(crate) fn requests(record: &Record, token: &str) -> usize {
    record
        .calls(Endpoint::JobRequest)
        .filter(|c| c.json()["token"] == token)
        .count()
}
