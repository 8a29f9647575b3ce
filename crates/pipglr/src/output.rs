//! What commands say: results on stdout, messages on stderr.

use crate::error::{CliError, Kind};
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

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
