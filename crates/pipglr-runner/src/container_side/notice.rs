//! The program's own lines in a container's output, in the colours the job log uses. All go to stdout: between two streams
//! their order would be left to chance.

use std::io::{self, Write as _};

/// A line in bold green.
pub(super) fn info(text: &str) {
    say(&format!("\x1b[32;1m{text}\x1b[0;m\n"));
}

/// A plain line.
pub(super) fn line(text: &str) {
    say(&format!("{text}\x1b[0;m\n"));
}

/// A yellow line.
pub(super) fn caution(text: &str) {
    say(&format!("\x1b[0;33m{text}\x1b[0;m\n"));
}

/// A yellow warning.
pub(super) fn warning(text: &str) {
    caution(&format!("WARNING: {text}"));
}

/// A red error.
pub(super) fn error(text: &str) {
    say(&format!("\x1b[31;1mERROR: {text}\x1b[0;m\n"));
}

/// How much a line with facts matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Info,
    Warning,
    Error,
    /// The last word of a phase.
    Fatal,
}

/// A line with facts behind it, in the order of their names; empty ones are left out.
///
/// Compat: gitlab-runner log/runner_formatter.go.
pub(super) fn report(weight: Weight, text: &str, facts: &[(&str, &str)]) {
    say(&with_facts(weight, text, facts));
}

fn with_facts(weight: Weight, text: &str, facts: &[(&str, &str)]) -> String {
    let (colour, prefix) = match weight {
        Weight::Info => ("", ""),
        Weight::Warning => ("\x1b[0;33m", "WARNING: "),
        Weight::Error => ("\x1b[31;1m", "ERROR: "),
        Weight::Fatal => ("\x1b[31;1m", "FATAL: "),
    };
    let mut facts: Vec<_> = facts.iter().filter(|(_, value)| !value.is_empty()).collect();
    facts.sort_unstable();
    let mut line = format!("{prefix}{text}");
    if !facts.is_empty() {
        line = format!("{line:<50}");
    }
    line = format!("{colour}{line}\x1b[0;m");
    if !facts.is_empty() {
        line.push(' ');
    }
    for (name, value) in facts {
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    line
}

/// Writes and flushes. If the container's output is gone there is nobody left to tell.
pub(super) fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a marker to both streams, after everything written before it.
pub(super) fn marker(event: &super::marker::Event, nonce: &str) {
    let bytes = event.encode(nonce);
    for result in [
        io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()),
        io::stderr().write_all(&bytes),
    ] {
        // As above: no output, nobody to tell.
        let _ = result;
    }
}

#[cfg(test)]
mod tests {
    use super::{Weight, with_facts};

    #[test]
    fn facts_stand_behind_the_fiftieth_column() {
        let ok = "Downloading artifacts from coordinator... ok";
        for (weight, text, facts, expected) in [
            (
                Weight::Info,
                ok,
                vec![("token", "64_x"), ("id", "7"), ("host", "")],
                "Downloading artifacts from coordinator... ok      \x1b[0;m  id=7 token=64_x\n",
            ),
            (
                Weight::Warning,
                "Retrying...",
                vec![("error", "too bad")],
                "\x1b[0;33mWARNING: Retrying...                              \x1b[0;m  error=too bad\n",
            ),
            (Weight::Error, "x", vec![], "\x1b[31;1mERROR: x\x1b[0;m\n"),
            (
                Weight::Fatal,
                "too large",
                vec![],
                "\x1b[31;1mFATAL: too large\x1b[0;m\n",
            ),
        ] {
            assert_eq!(with_facts(weight, text, &facts), expected);
        }
    }
}
