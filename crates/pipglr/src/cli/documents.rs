//! What is made of the command line's own description: shell completion and manual pages.

use super::tables::command;
use clap_complete::Shell;
use std::io;
use std::path::Path;

/// A script that makes a shell complete commands and options.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "pipglr", &mut script);
    script
}

/// Writes a page for each command to a directory: `pipglr.1`, `pipglr-local.1`, …
///
/// # Errors
/// A file cannot be written.
pub(crate) fn manual_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command(), directory)
}
