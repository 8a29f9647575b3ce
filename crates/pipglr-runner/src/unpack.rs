//! A job's artifacts, unpacked outside of any container: nothing is written through a link, nothing outside the
//! directory.

use anyhow::Context as _;
use pipglr_archive::ExtractOptions;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

/// Unpacks an archive of any format artifacts have into `directory`, which is made if it is missing.
///
/// # Errors
/// It is no archive, or something in it cannot be written.
pub fn unpack(archive: &Path, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let file = File::open(archive).with_context(|| format!("open {}", archive.display()))?;
    pipglr_archive::extract(directory, BufReader::new(file), &ExtractOptions::default())
        .with_context(|| format!("unpack {}", archive.display()))?;
    Ok(())
}
