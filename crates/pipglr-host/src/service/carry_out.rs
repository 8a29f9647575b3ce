//! Doing what a plan says, as the account. Every step can be done again.

use super::DIRECTORY;
use super::plan::Step;
use crate::account::Account;
use crate::podman::{Podman, PodmanError, output_of};
use crate::running::{drain_and_stop, remove_stopped};
use std::io;
use std::process::Command;

/// Beside the file, then in its place: the generator never sees half of one.
const WRITE: &str = "umask 077 && mkdir -p \"$1\" && cat >\"$1/.$2.new\" && mv \"$1/.$2.new\" \"$1/$2\"";

/// A step failed. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error("{program} cannot be started")]
    Start { program: &'static str, source: io::Error },
    #[error("{what}: {said}")]
    Failed { what: String, said: String },
}

impl Step {
    /// Takes the step for `account`.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn take(&self, account: &Account) -> Result<(), ServiceError> {
        let podman = Podman::of(account);
        match self {
            Self::Write { file, text } => {
                let mut command = account.command("sh");
                command
                    .args(["-c", WRITE, "sh"])
                    .arg(account.home.join(DIRECTORY))
                    .arg(file);
                run("sh", command, Some(text.as_bytes()), self)
            }
            Self::Remove { file } => {
                let mut command = account.command("rm");
                command.arg("-f").arg(account.home.join(DIRECTORY).join(file));
                run("rm", command, None, self)
            }
            Self::EnableLinger { account: name } => {
                // Ours may be done by us or by root; the same command either way.
                let mut command = Command::new("loginctl");
                command.args(["enable-linger", name]);
                run("loginctl", command, None, self)
            }
            Self::Reload => systemctl(account, &["daemon-reload"], self),
            Self::StopContainer { name, limit } => Ok(drain_and_stop(&podman, name, *limit)?),
            Self::RemoveContainer { name } => Ok(remove_stopped(&podman, name)?),
            Self::Start { unit } => systemctl(account, &["start", unit], self),
            Self::Restart { unit, .. } => systemctl(account, &["restart", unit], self),
            Self::Stop { unit, .. } => systemctl(account, &["stop", unit], self),
        }
    }
}

fn systemctl(account: &Account, arguments: &[&str], step: &Step) -> Result<(), ServiceError> {
    let mut command = account.command("systemctl");
    command.arg("--user").args(arguments);
    run("systemctl", command, None, step)
}

fn run(program: &'static str, command: Command, input: Option<&[u8]>, step: &Step) -> Result<(), ServiceError> {
    let output = output_of(command, input).map_err(|source| ServiceError::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty());
    Err(ServiceError::Failed {
        what: step.to_string(),
        said: said.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()),
    })
}
