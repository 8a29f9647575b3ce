//! The one way to run a program: what happens to its output is in the method's name, what failed is in the error.

use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Running commands with errors that say what was run.
pub trait CommandExt {
    /// Runs with our own output; fails unless it succeeds.
    ///
    /// # Errors
    /// It cannot be started or fails.
    fn run_inherited(&mut self) -> anyhow::Result<()>;
    /// Runs quietly and gives stdout; its stderr is in the error.
    ///
    /// # Errors
    /// It cannot be started or fails.
    fn run_text(&mut self) -> anyhow::Result<String>;
    /// Runs quietly with text on stdin and gives stdout.
    ///
    /// # Errors
    /// It cannot be started or fails.
    fn run_with_input(&mut self, input: &str) -> anyhow::Result<String>;
    /// Runs quietly and gives everything, whatever the outcome.
    ///
    /// # Errors
    /// It cannot be started.
    fn run_any(&mut self) -> anyhow::Result<Output>;
}

impl CommandExt for Command {
    fn run_inherited(&mut self) -> anyhow::Result<()> {
        let status = self.status().with_context(|| format!("start {}", shown(self)))?;
        if !status.success() {
            bail!("{}: {status}", shown(self));
        }
        Ok(())
    }

    fn run_text(&mut self) -> anyhow::Result<String> {
        text(self.stdin(Stdio::null()).run_any()?, self)
    }

    fn run_with_input(&mut self, input: &str) -> anyhow::Result<String> {
        let mut child = self
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", shown(self)))?;
        child
            .stdin
            .take()
            .context("stdin was asked for")?
            .write_all(input.as_bytes())?;
        text(child.wait_with_output()?, self)
    }

    fn run_any(&mut self) -> anyhow::Result<Output> {
        self.output().with_context(|| format!("start {}", shown(self)))
    }
}

fn text(output: Output, command: &Command) -> anyhow::Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}: {}\n{}{}",
            shown(command),
            output.status,
            stdout.trim_end(),
            stderr.trim_end()
        );
    }
    Ok(stdout)
}

/// The command line, without the set-up that puts it into the account.
fn shown(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    let from = words
        .iter()
        .position(|w| w.strip_suffix('=') == Some(crate::host::MARK))
        .map_or(0, |at| at + 1);
    words[from..].join(" ")
}
