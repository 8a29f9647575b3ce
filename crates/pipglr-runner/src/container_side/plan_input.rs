//! Reads the plan the engine writes to stdin.

use serde::de::DeserializeOwned;
use std::io::{self, BufRead as _};

/// Reads one line of JSON.
///
/// # Errors
/// Stdin ended early (the engine died before it had written the plan: nothing has run yet) or the line is no plan.
/// The error never shows the content, which holds secrets.
pub(super) fn read_plan<T: DeserializeOwned>() -> io::Result<T> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the plan did not arrive in full; nothing was run",
        ));
    }
    serde_json::from_slice(&line).map_err(|e| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the plan is not readable (column {}): {:?}", e.column(), e.classify()),
        )
    })
}
