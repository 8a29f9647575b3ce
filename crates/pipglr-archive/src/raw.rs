//! The bytes of exactly one file, nothing around them.

use std::io::{self, Write};
use std::path::Path;

use crate::beneath::Beneath;
use crate::error::Error;
use crate::select::Entry;
use crate::write::copy_at_most;

/// Writes the only entry's bytes; returns how many.
///
/// # Errors
/// [`Error::NotExactlyOne`] unless there is exactly one entry, [`Error::NotRegular`] if it is not a file.
pub fn write_raw<W: Write>(root: &Path, entries: &[Entry], mut out: W) -> Result<u64, Error> {
    let [entry] = entries else {
        return Err(Error::NotExactlyOne { count: entries.len() });
    };
    let (mut file, _) = Beneath::open(root)?.open_file(&entry.source)?;
    let output = |source: io::Error| Error::Output { source };
    let bytes = copy_at_most(&mut file, &mut out, u64::MAX, &entry.name)?;
    out.flush().map_err(output)?;
    Ok(bytes)
}
