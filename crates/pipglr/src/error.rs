//! Errors as the user of the command line sees them: one line, hints, an exit code.

use crate::cli::CalledAs;
use crate::output;
use std::fmt;
use std::process::ExitCode;

/// What shells show for a program that ended because nobody read its output.
const NOBODY_READ: u8 = 141;

/// What went wrong, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The environment or the operation failed: 1.
    Failed,
    /// The command line is wrong: 2, or 1 under the name `gitlab-runner`.
    Usage,
    /// Whoever read the output went away: 141, without a word.
    NobodyReads,
    /// A command's own code for what it says in its help.
    Code(u8),
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
pub(crate) fn print(error: &CliError, called_as: CalledAs) -> ExitCode {
    ExitCode::from(tell(error, called_as))
}

/// As [`print()`], with the bare code.
pub(crate) fn tell(error: &CliError, called_as: CalledAs) -> u8 {
    let code = match error.kind {
        Kind::Failed => 1,
        Kind::Usage => called_as.usage_code(),
        Kind::Code(code) => code,
        Kind::NobodyReads => return NOBODY_READ,
    };
    output::aside(format_args!("error: {:#}", error.source));
    for hint in &error.hints {
        output::aside(format_args!("hint: {hint}"));
    }
    code
}

/// Prints what clap has to say: help on stdout, mistakes on stderr.
pub(crate) fn print_usage(usage: &clap::Error, called_as: CalledAs) -> ExitCode {
    // Nothing can be done about a closed terminal.
    let _ = usage.print();
    ExitCode::from(if usage.use_stderr() { called_as.usage_code() } else { 0 })
}
