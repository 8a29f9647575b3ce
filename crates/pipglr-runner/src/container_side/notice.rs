//! The program's own lines in a container's output, in the colours the job log uses.

use std::io::{self, Write as _};

/// A line in bold green on stdout.
pub(super) fn info(text: &str) {
    write(&mut io::stdout(), &format!("\x1b[32;1m{text}\x1b[0;m\n"));
}

/// A line in yellow on stdout.
pub(super) fn yellow(text: &str) {
    write(&mut io::stdout(), &format!("\x1b[0;33m{text}\x1b[0;m\n"));
}

/// A plain line on stdout.
pub(super) fn line(text: &str) {
    write(&mut io::stdout(), &format!("{text}\x1b[0;m\n"));
}

/// A yellow line on stdout.
pub(super) fn caution(text: &str) {
    write(&mut io::stdout(), &format!("\x1b[0;33m{text}\x1b[0;m\n"));
}

/// A yellow warning on stderr.
pub(super) fn warning(text: &str) {
    write(&mut io::stderr(), &format!("\x1b[0;33mWARNING: {text}\x1b[0;m\n"));
}

/// A red error on stderr.
pub(super) fn error(text: &str) {
    write(&mut io::stderr(), &format!("\x1b[31;1mERROR: {text}\x1b[0;m\n"));
}

/// Writes and flushes. If the container's output is gone there is nobody left to tell.
pub(super) fn write(out: &mut impl io::Write, text: &str) {
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
