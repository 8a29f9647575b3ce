//! Running git: its output goes straight to the container's, its exit code decides.

use crate::container_side::helper::{Environment, PhaseFailed, failed};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs git commands in one directory with the job's environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Git<'a> {
    pub(super) environment: &'a Environment,
    pub(super) directory: &'a Path,
}

impl<'a> Git<'a> {
    /// The same elsewhere.
    pub(super) fn at(self, directory: &'a Path) -> Self {
        Self { directory, ..self }
    }

    /// Runs a command whose failure ends the phase with git's exit code.
    pub(super) fn run<S: AsRef<str>>(self, arguments: &[S]) -> Result<(), PhaseFailed> {
        match self.command(arguments).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(PhaseFailed(status.code().unwrap_or(128))),
            Err(error) => Err(cannot_run(&error)),
        }
    }

    /// Runs a command quietly; true if it succeeded.
    pub(super) fn succeeds<S: AsRef<str>>(self, arguments: &[S]) -> bool {
        self.output(arguments).is_some()
    }

    /// What a command prints, if it succeeds. Its complaints are of no interest.
    pub(super) fn output<S: AsRef<str>>(self, arguments: &[S]) -> Option<Vec<u8>> {
        match self.command(arguments).stderr(Stdio::null()).output() {
            Ok(output) => output.status.success().then_some(output.stdout),
            Err(error) => {
                cannot_run(&error);
                None
            }
        }
    }

    fn command<S: AsRef<str>>(self, arguments: &[S]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .envs(self.environment)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GCM_INTERACTIVE", "Never");
        // Checkout must not smudge file by file; LFS content comes in one go afterwards.
        if !self.environment.contains_key("GIT_LFS_SKIP_SMUDGE") {
            command.env("GIT_LFS_SKIP_SMUDGE", "1");
        }
        command
    }
}

fn cannot_run(error: &std::io::Error) -> PhaseFailed {
    failed(&format!("cannot run git: {error}"))
}

/// A list of arguments from pieces of several kinds.
pub(super) fn arguments(start: &[&str], more: &[String]) -> Vec<String> {
    start
        .iter()
        .map(|a| (*a).to_owned())
        .chain(more.iter().cloned())
        .collect()
}
