//! `archive_cache` and `archive_cache_on_failure`.

use super::local::{Unfinished, modified};
use super::plan::{ArchiveEntry, ArchivePlan, CacheTarget};
use super::say;
use super::transfer::{Transfer, shown};
use crate::container_side::helper::selection::{TreeFormat, Wanted, describe, level, select_files};
use crate::container_side::helper::{Environment, PhaseFailed};
use crate::container_side::notice;
use anyhow::Context as _;
use pipglr_archive::{Entry, Level};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Size of the pieces the archive is written in.
const PIECE: usize = 256 * 1024;

pub(in crate::container_side::helper) async fn run(
    plan: &ArchivePlan,
    environment: &Environment,
) -> Result<(), PhaseFailed> {
    let transfer = Transfer::new(Duration::from_secs(plan.request_timeout), plan.ca.as_deref());
    for entry in &plan.entries {
        say(&entry.notices);
        let Some(target) = &entry.target else { continue };
        notice::info(&format!("Creating cache {}...", target.key));
        match keep(plan, entry, target, &transfer, environment).await {
            Ok(()) => notice::info("Created cache"),
            Err(error) => {
                notice::error(&describe(&*error));
                notice::caution("Failed to create cache");
            }
        }
        if target.temporary {
            discard(Path::new(&target.archive));
        }
    }
    Ok(())
}

async fn keep(
    plan: &ArchivePlan,
    entry: &ArchiveEntry,
    target: &CacheTarget,
    transfer: &Transfer,
    environment: &Environment,
) -> anyhow::Result<()> {
    let root = Path::new(&plan.project_dir);
    let wanted = Wanted {
        paths: &entry.paths,
        exclude: &[],
        untracked: entry.untracked,
    };
    let entries = select_files(root, &wanted, environment);
    if entries.is_empty() {
        notice::warning("No files to cache.");
        return Ok(());
    }
    let archive = Path::new(&target.archive);
    if modified(archive).is_some_and(|since| !is_any_newer(root, &entries, since)) {
        match &target.exists {
            None => notice::line("Archive is up to date!"),
            Some(request) if transfer.exists(request).await => {
                notice::line("Primary cache already exists remotely, skipping upload");
                return Ok(());
            }
            Some(_) => notice::line("Primary cache does not exist remotely, uploading existing archive"),
        }
    } else {
        create(plan, entries, target).await?;
    }
    upload(plan, target, transfer).await
}

/// Whether something changed since the archive was written. Directories are among the entries, so that what was removed
/// is noticed, too.
fn is_any_newer(root: &Path, entries: &[Entry], since: SystemTime) -> bool {
    entries.iter().any(|entry| {
        // What cannot be examined any more was removed meanwhile.
        std::fs::symlink_metadata(root.join(&entry.source))
            .and_then(|metadata| metadata.modified())
            .map_or(true, |modified| modified > since)
    })
}

async fn create(plan: &ArchivePlan, entries: Vec<Entry>, target: &CacheTarget) -> anyhow::Result<()> {
    let root = PathBuf::from(&plan.project_dir);
    let level = level(&plan.compression);
    // Compat: an unknown format is zip without a word.
    let format = TreeFormat::of(&plan.format.to_ascii_lowercase()).unwrap_or(TreeFormat::Zip);
    let (archive, key) = (PathBuf::from(&target.archive), target.key.clone());
    tokio::task::spawn_blocking(move || write(&root, &entries, (format, level), &archive, &key)).await?
}

fn write(
    root: &Path,
    entries: &[Entry],
    (format, level): (TreeFormat, Level),
    archive: &Path,
    key: &str,
) -> anyhow::Result<()> {
    let (unfinished, file) = Unfinished::create(archive)?;
    let mut out = BufWriter::with_capacity(PIECE, file);
    format.write(root, entries, level, &mut out)?;
    out.flush().context("write the archive")?;
    unfinished.publish(archive, key)
}

async fn upload(plan: &ArchivePlan, target: &CacheTarget, transfer: &Transfer) -> anyhow::Result<()> {
    let Some(request) = &target.upload else {
        notice::line(
            "No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.",
        );
        return Ok(());
    };
    let archive = Path::new(&target.archive);
    let size = std::fs::metadata(archive).context("examine the archive")?.len();
    if plan.max_upload_bytes > 0 && size > plan.max_upload_bytes {
        notice::line(&format!(
            "Cache archive size ({size}) is too big (Limit is set to {}). Cache will be stored only locally.",
            plan.max_upload_bytes
        ));
        return Ok(());
    }
    if let Some(limit) = request.limit.filter(|&limit| size > limit) {
        notice::warning(&format!(
            "Cache archive size ({size}) is more than the storage takes at once ({limit}). \
             Cache will be stored only locally."
        ));
        return Ok(());
    }
    notice::line("Using presigned URL for cache upload");
    notice::line(&format!("Uploading cache.zip to {}", shown(request)));
    transfer
        .upload(request, archive)
        .await
        .map_err(|reason| anyhow::anyhow!("upload the cache: {reason}"))
}

/// Removes an archive that was only made to be uploaded.
fn discard(archive: &Path) {
    let Some(directory) = archive.parent() else { return };
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            notice::warning(&format!("remove {}: {error}", directory.display()));
        }
        Ok(()) | Err(_) => {}
    }
}
