//! A manager between a fake GitLab and a fake podman, with a config.toml that may change.

use crate::support::{PATIENCE, SYSTEM_ID, requests};
use pipglr_runner::config::{ConfigSource, TokenStore};
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::disk::{Disk, DiskOptions};
use pipglr_runner::manager::{
    self, Bounds, Contacts, Ended, Following, LastAnswer, ManagerOptions, Rotation, Shutdown, ShutdownLevel,
};
use pipglr_runner::metrics::Metrics;
use pipglr_testkit::gitlab::{FakeGitLab, JobBuilder};
use pipglr_testkit::podman::{FakePodman, Record};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const SECOND_RUNNER: &str = "glrt-t1_second0runner";
/// Nobody looks at the file by themselves in tests, unless they say so.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

pub(crate) type Running = JoinHandle<anyhow::Result<Ended>>;

pub(crate) struct House {
    pub(crate) gitlab: FakeGitLab,
    pub(crate) podman: FakePodman,
    pub(crate) directory: TempDir,
    pub(crate) shutdown: Shutdown,
    pub(crate) reload: Arc<Notify>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contacts: Contacts,
    /// Where the storage volume is, if disks are looked after.
    pub(crate) storage: Option<PathBuf>,
    /// Held requests are given up at once, unless a test says otherwise.
    pub(crate) last_answer: LastAnswer,
}

impl House {
    /// GitLab knows its usual runner and [`SECOND_RUNNER`].
    pub(crate) async fn new() -> Self {
        let gitlab = FakeGitLab::start().await;
        gitlab.add_runner(SECOND_RUNNER);
        Self {
            gitlab,
            podman: FakePodman::start(),
            directory: tempfile::tempdir().unwrap(),
            shutdown: Shutdown::default(),
            reload: Arc::default(),
            metrics: Arc::default(),
            contacts: Contacts::default(),
            storage: None,
            last_answer: LastAnswer::NONE,
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    /// Writes global keys and one entry for each `(token, keys)`.
    pub(crate) fn write(&self, global: &str, runners: &[(&str, &str)]) {
        let mut text = format!("check_interval = 1\n{global}\n");
        for (token, keys) in runners {
            let url = self.gitlab.url();
            text.push_str(&format!(
                "[[runners]]\nurl = \"{url}\"\ntoken = \"{token}\"\nexecutor = \"docker\"\n{keys}\n"
            ));
        }
        std::fs::write(self.file(), text).unwrap();
    }

    /// Writes the file and starts the manager with it.
    pub(crate) fn start(&self, global: &str, runners: &[(&str, &str)]) -> Running {
        self.write(global, runners);
        self.follow(NEVER)
    }

    /// Starts the manager with the file, which is looked at every `interval`.
    pub(crate) fn follow(&self, interval: Duration) -> Running {
        let mut source = ConfigSource::new(&self.file(), self.directory.path());
        let config = source.load().unwrap().config;
        let counts = self.metrics.reloads.clone();
        let configs = source.follow(config, interval, self.reload.clone(), counts.clone());
        let engine = Engine::new(EngineSettings {
            socket: self.podman.socket(),
            ..EngineSettings::default()
        });
        let disk = self.storage.clone().map(|storage| {
            let state_dir = self.directory.path().to_owned();
            Disk::new(DiskOptions { storage, state_dir }, &engine, configs.clone())
        });
        let following = Following {
            sessions: None,
            hold: None,
            disk,
            configs,
            rotation: Some(Rotation {
                tokens: TokenStore::new(self.directory.path()),
                config_file: self.file(),
                reload: self.reload.clone(),
                counts,
            }),
            metrics: self.metrics.clone(),
            bounds: Bounds::default(),
            contacts: self.contacts.clone(),
            last_answer: self.last_answer,
        };
        let options = ManagerOptions {
            state_dir: self.directory.path().to_owned(),
            system_id: SYSTEM_ID.to_owned(),
        };
        tokio::spawn(manager::run_following(
            following,
            engine,
            options,
            self.shutdown.clone(),
        ))
    }

    /// Stops taking jobs and waits for those that run.
    pub(crate) async fn stop(&self, running: Running) {
        self.shutdown.request(ShutdownLevel::Graceful);
        assert_eq!(ended(running).await, Ended::Clean);
        assert_eq!(self.gitlab.record().violations, Vec::<String>::new());
        assert_eq!(self.podman.record().violations, Vec::<String>::new());
        assert_eq!(self.podman.containers(), Vec::<String>::new());
        assert!(self.podman.volumes().is_empty());
    }

    /// Waits until a runner has asked for a job more often than this.
    pub(crate) async fn asked(&self, token: &'static str, more_than: usize) {
        self.gitlab
            .wait_for("another request", move |r| requests(r, token) > more_than)
            .await;
    }

    pub(crate) async fn scripts_begun(&self, count: usize) {
        self.podman
            .wait_for(&format!("{count} scripts"), |r| scripts(r) >= count)
            .await;
    }
}

/// How the manager ended, which it does in good time.
pub(crate) async fn ended(running: Running) -> Ended {
    tokio::time::timeout(PATIENCE, running)
        .await
        .expect("the manager comes to an end")
        .unwrap()
        .unwrap()
}

/// A job of one command, without sources.
pub(crate) fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["x"])
}

/// Scripts that were begun.
pub(crate) fn scripts(record: &Record) -> usize {
    let has_script = |stages: &[String]| stages.iter().any(|s| s == "step_script");
    record.created.iter().filter(|c| has_script(&c.stages)).count()
}
