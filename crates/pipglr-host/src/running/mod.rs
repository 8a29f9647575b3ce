//! A runner that is set up: stopping it, and looking into its container.

mod drain;
pub mod logs;
pub mod status;
pub mod usage;

pub(crate) use drain::{drain, drain_and_stop, remove_stopped};

use crate::account::Account;
use crate::podman::{Podman, PodmanError};
use crate::sandbox::{CACHE_VOLUME, STATE_VOLUME, STOP_TIMEOUT, STORAGE_VOLUME};
use std::process::Command;

/// The engine of the jobs, as a client inside the container reaches it.
pub(crate) const ENGINE: &str = "--env=CONTAINER_HOST=unix:///run/podman/podman.sock";

/// A runner's container.
#[derive(Debug, Clone)]
pub struct Running {
    account: Account,
    podman: Podman,
    name: String,
}

/// The container does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    #[error("there is no container {0}")]
    Missing(String),
    #[error("the container {0} does not run")]
    Stopped(String),
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error("systemctl --user {verb} {unit}: {reason}")]
    Unit {
        verb: &'static str,
        unit: String,
        reason: String,
    },
    #[error("{what}: the answer from inside the container cannot be read")]
    Answer {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("what the container says cannot be passed on")]
    Stream(#[source] std::io::Error),
}

impl Running {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(account: &Account, name: &str) -> Self {
        Self {
            account: account.clone(),
            podman: Podman::of(account),
            name: name.to_owned(),
        }
    }

    /// Whether there is a container, and whether it runs.
    ///
    /// # Errors
    /// podman does not answer.
    pub fn state(&self) -> Result<Option<bool>, RunningError> {
        Ok(self.podman.is_running(&self.name)?)
    }

    /// # Errors
    /// It does not run, or is not there.
    pub fn must_run(&self) -> Result<(), RunningError> {
        match self.state()? {
            None => Err(RunningError::Missing(self.name.clone())),
            Some(false) => Err(RunningError::Stopped(self.name.clone())),
            Some(true) => Ok(()),
        }
    }

    /// A command inside, with the jobs' engine in its environment.
    #[must_use]
    pub fn exec(&self, options: &[&str], command: &[&str]) -> Command {
        let mut all = vec!["exec", ENGINE];
        all.extend(options);
        all.push(&self.name);
        all.extend(command);
        self.podman.command(&all)
    }

    fn inside(&self, command: &[&str]) -> Result<std::process::Output, RunningError> {
        let mut all = vec!["exec", ENGINE, &self.name];
        all.extend(command);
        Ok(self.podman.output(&all, None)?)
    }

    /// No more jobs are taken; those that run come to their end, for at most `limit` seconds, or [`STOP_TIMEOUT`]. Then the
    /// container is removed.
    ///
    /// # Errors
    /// [`RunningError`].
    pub fn down(&self, limit: Option<u32>) -> Result<(), RunningError> {
        if let Some(unit) = self.unit()? {
            return self.through_the_unit("stop", unit, limit);
        }
        self.stop(limit)?;
        Ok(remove_stopped(&self.podman, &self.name)?)
    }

    /// As [`Running::down`], and the same container is started again.
    ///
    /// # Errors
    /// [`RunningError`].
    pub fn restart(&self, limit: Option<u32>) -> Result<(), RunningError> {
        if let Some(unit) = self.unit()? {
            return self.through_the_unit("restart", unit, limit);
        }
        self.stop(limit)?;
        self.podman.text(&["start", &self.name])?;
        Ok(())
    }

    /// systemd waits for jobs as long as the unit says: who wants it otherwise has the runner inside drained first.
    fn through_the_unit(&self, verb: &'static str, unit: String, limit: Option<u32>) -> Result<(), RunningError> {
        if let Some(limit) = limit {
            drain(&self.podman, &self.name, limit)?;
        }
        self.systemctl(verb, unit)
    }

    fn stop(&self, limit: Option<u32>) -> Result<(), RunningError> {
        Ok(drain_and_stop(&self.podman, &self.name, limit.unwrap_or(STOP_TIMEOUT))?)
    }

    /// Removes the volumes of a runner that is down: images, caches and the runner's identity. Gives their names.
    ///
    /// # Errors
    /// One is in use.
    pub fn remove_volumes(&self) -> Result<Vec<&'static str>, RunningError> {
        let mut removed = Vec::new();
        for volume in [STORAGE_VOLUME, CACHE_VOLUME, STATE_VOLUME] {
            if self.podman.says_yes(&["volume", "exists", volume])? {
                self.podman.text(&["volume", "rm", volume])?;
                removed.push(volume);
            }
        }
        Ok(removed)
    }

    fn inspect(&self, format: &str) -> Result<String, RunningError> {
        let format = format!("--format={format}");
        Ok(self.podman.text(&["container", "inspect", &format, &self.name])?)
    }

    fn unit(&self) -> Result<Option<String>, RunningError> {
        let unit = self.inspect("{{index .Config.Labels \"PODMAN_SYSTEMD_UNIT\"}}")?;
        Ok(Some(unit).filter(|unit| !unit.is_empty() && unit != "<no value>"))
    }

    fn systemctl(&self, verb: &'static str, unit: String) -> Result<(), RunningError> {
        self.account
            .systemctl(&[verb, &unit])
            .map_err(|reason| RunningError::Unit { verb, unit, reason })
    }
}
