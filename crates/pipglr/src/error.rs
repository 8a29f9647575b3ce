//! Errors as the user of the command line sees them: one line, hints, an exit code.

use std::fmt;
use std::process::ExitCode;

/// What went wrong, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The environment or the operation failed: 1.
    Failed,
    /// The command line is wrong: 2.
    Usage,
}

/// An error with what to do about it.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    pub(crate) source: anyhow::Error,
    pub(crate) hints: Vec<String>,
}

impl CliError {
    /// A failure with a hint.
    pub(crate) fn with_hint(source: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failed,
            source: source.into(),
            hints: vec![hint.into()],
        }
    }

    /// A mistake on the command line.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Usage,
            source: anyhow::anyhow!("{message}"),
            hints: Vec::new(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(source: E) -> Self {
        Self {
            kind: Kind::Failed,
            source: source.into(),
            hints: Vec::new(),
        }
    }
}

/// Prints an error and gives its exit code.
#[expect(clippy::print_stderr, reason = "the one place that prints errors")]
pub(crate) fn print(error: &CliError) -> ExitCode {
    eprintln!("error: {:#}", error.source);
    for hint in &error.hints {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(match error.kind {
        Kind::Failed => 1,
        Kind::Usage => 2,
    })
}

/// Prints what clap has to say: help on stdout, mistakes on stderr.
pub(crate) fn print_usage(usage: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed terminal.
    let _ = usage.print();
    ExitCode::from(if usage.use_stderr() { 2 } else { 0 })
}
