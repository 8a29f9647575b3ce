//! Manual pages, made of the command line's own description.

use super::tables::command;
use std::io;
use std::path::Path;

/// Writes a page for each command to a directory: `pipglr.1`, `pipglr-local.1`, …
///
/// # Errors
/// A file cannot be written.
pub(crate) fn manual_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command(), directory)
}
