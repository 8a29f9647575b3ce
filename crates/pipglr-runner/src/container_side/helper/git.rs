//! Running git: its output goes straight to the container's, its exit code decides.

use super::{Environment, PhaseFailed};
use crate::container_side::notice;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a command's output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Shown,
    Hidden,
}

/// Runs git commands in one directory with the job's environment.
#[derive(Debug)]
pub(super) struct Git<'a> {
    pub(super) environment: &'a Environment,
    pub(super) directory: &'a Path,
}

impl Git<'_> {
    /// Runs a command whose failure ends the phase with git's exit code.
    pub(super) fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Result<(), PhaseFailed> {
        match self.status(arguments, Output::Shown) {
            Some(0) => Ok(()),
            Some(code) => Err(PhaseFailed(code)),
            None => Err(PhaseFailed(1)),
        }
    }

    /// Runs a command quietly; true if it succeeded.
    pub(super) fn succeeds<S: AsRef<str>>(&self, arguments: &[S]) -> bool {
        self.status(arguments, Output::Hidden) == Some(0)
    }

    fn status<S: AsRef<str>>(&self, arguments: &[S], output: Output) -> Option<i32> {
        let mut command = Command::new("git");
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.directory)
            .stdin(Stdio::null());
        command
            .envs(self.environment)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GCM_INTERACTIVE", "Never");
        // Checkout must not smudge file by file; LFS content comes in one go afterwards.
        if !self.environment.contains_key("GIT_LFS_SKIP_SMUDGE") {
            command.env("GIT_LFS_SKIP_SMUDGE", "1");
        }
        if output == Output::Hidden {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        match command.status() {
            Ok(status) => Some(status.code().unwrap_or(128)),
            Err(error) => {
                notice::error(&format!("cannot run git: {error}"));
                None
            }
        }
    }
}
