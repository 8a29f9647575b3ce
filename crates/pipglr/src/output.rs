//! What commands say: results on stdout, messages on stderr.

use crate::error::{CliError, Kind};
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colours: bool,
}

impl Style {
    /// As standard output and `NO_COLOR` have it.
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            colours: wanted && able && std::io::stdout().is_terminal(),
        }
    }

    /// A text in a colour, by its SGR number.
    pub(crate) fn paint(self, sgr: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\x1b[{sgr}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Writes a line to stdout.
///
/// # Errors
/// It cannot be written. Where the reader went away, the program is to end without a word.
pub(crate) fn line(text: impl Display) -> Result<(), CliError> {
    raw(&format!("{text}\n"))
}

/// Writes text to stdout as it is.
///
/// # Errors
/// As [`line()`].
pub(crate) fn raw(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| CliError {
            kind: if error.kind() == io::ErrorKind::BrokenPipe {
                Kind::NobodyReads
            } else {
                Kind::Failed
            },
            source: anyhow::Error::new(error).context("write to standard output"),
            hints: Vec::new(),
        })
}

/// Writes a line to stderr. Who closed it does not want to hear it.
pub(crate) fn aside(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A message to stderr in the form scripts know: the text in 50 columns, then `name=value`s.
///
/// Compat: gitlab-runner log/runner_formatter.go.
pub(crate) fn message(text: &str, fields: &[(&str, &dyn Display)]) {
    aside(formed(text, fields));
}

/// As [`message`], about what went wrong while others go on.
pub(crate) fn problem(text: &str, fields: &[(&str, &dyn Display)]) {
    message(&format!("ERROR: {text}"), fields);
}

fn formed(text: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = format!("{text:<50} ");
    for (name, value) in fields {
        write!(line, " {name}={value}").expect("a text takes everything");
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::formed;

    #[test]
    fn messages_are_in_columns() {
        assert_eq!(
            formed("Verifying runner... is valid", &[("runner", &"abc"), ("id", &7)]),
            "Verifying runner... is valid                        runner=abc id=7"
        );
        assert_eq!(formed("Updated x", &[]), "Updated x");
    }
}
