//! `restore_cache`.

use super::plan::{CacheSource, RestorePlan};
use super::transfer::{Download, Transfer};
use super::{local, say};
use crate::container_side::helper::PhaseFailed;
use crate::container_side::helper::selection::describe;
use crate::container_side::notice;
use pipglr_archive::{ExtractNote, ExtractOptions};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A try that did not work out; its words have been printed.
struct Missed;

pub(in crate::container_side::helper) async fn run(plan: &RestorePlan) -> Result<(), PhaseFailed> {
    let transfer = Transfer::new(Duration::from_secs(plan.request_timeout), plan.ca.as_deref());
    for entry in &plan.entries {
        say(&entry.notices);
        for source in &entry.sources {
            notice::info(&format!("Checking cache for {}...", source.key));
            match try_source(plan, source, &transfer).await {
                Ok(()) => {
                    notice::info("Successfully extracted cache");
                    break;
                }
                Err(Missed) => {
                    notice::caution("Failed to extract cache");
                    remove(&plan.project_dir, &entry.remove_after_failure);
                }
            }
        }
    }
    Ok(())
}

async fn try_source(plan: &RestorePlan, source: &CacheSource, transfer: &Transfer) -> Result<(), Missed> {
    let archive = Path::new(&source.archive);
    match &source.download {
        Some(request) => {
            notice::line("Using presigned URL for cache download");
            let wanted = Download {
                request,
                archive,
                key: &source.key,
                have: local::modified(archive),
            };
            transfer.download(&wanted).await.map_err(|reason| {
                notice::warning(&reason);
                Missed
            })?;
        }
        None => notice::line(
            "No URL provided, cache will not be downloaded from shared cache server. \
             Instead a local version of cache will be extracted.",
        ),
    }
    let file = File::open(archive).map_err(|error| {
        match error.kind() {
            io::ErrorKind::NotFound => notice::warning("Cache file does not exist"),
            _ => notice::error(&format!("open {}: {error}", archive.display())),
        }
        Missed
    })?;
    let project = PathBuf::from(&plan.project_dir);
    match tokio::task::spawn_blocking(move || extract(file, &project)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            notice::error(&format!("unpack the cache: {}", describe(&*error)));
            Err(Missed)
        }
        Err(error) => {
            notice::error(&format!("unpack the cache: {error}"));
            Err(Missed)
        }
    }
}

fn extract(file: File, project: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(project)?;
    let options = ExtractOptions::default();
    let extracted = pipglr_archive::extract(project, BufReader::new(file), &options)?;
    for ExtractNote::SpecialSkipped { path } in extracted.notes {
        notice::warning(&format!("{}: not a file, directory or link; left out", path.display()));
    }
    Ok(())
}

/// `FF_CLEAN_UP_FAILED_CACHE_EXTRACT`: what a failed try may have left of it.
fn remove(project: &str, paths: &[String]) {
    for path in paths {
        let Some(full) = inside(Path::new(project), path) else {
            continue;
        };
        notice::line(&format!("Removing {path}"));
        if let Err(error) = crate::container_side::helper::leftovers::remove_whatever(&full) {
            notice::warning(&format!("{path}: {error}"));
        }
    }
}

/// A path below the project directory that no link leads out of; the directory itself is never one.
fn inside(project: &Path, path: &str) -> Option<PathBuf> {
    let project = project.canonicalize().ok()?;
    let full = project.join(path);
    let name = full.file_name()?.to_owned();
    let parent = full.parent()?.canonicalize().ok()?;
    parent
        .starts_with(&project)
        .then(|| parent.join(name))
        .filter(|full| *full != project)
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn only_what_lies_in_the_project_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        std::fs::create_dir_all(project.join("dir")).unwrap();
        std::os::unix::fs::symlink(root.path(), project.join("out")).unwrap();
        for (path, expected) in [
            ("dir", true),
            ("dir/file", true),
            ("out", true),
            ("out/file", false),
            ("../other", false),
            ("/etc/passwd", false),
            ("nowhere/file", false),
            ("", false),
            (".", false),
            ("..", false),
            ("dir/..", false),
        ] {
            assert_eq!(inside(&project, path).is_some(), expected, "{path:?}");
        }
    }
}
