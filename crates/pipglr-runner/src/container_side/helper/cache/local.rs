//! The archive's place on disk: found, written beside and renamed, described.

use crate::job::plan::CACHE_INSIDE;
use anyhow::Context as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Starts the names of archives that are not whole yet.
const UNFINISHED: &str = "archive_";
/// An unfinished archive this old belongs to nobody any more.
const ABANDONED: Duration = Duration::from_hours(24);

/// An archive on its way to its place. Dropped before [`Unfinished::publish`], nothing of it stays.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    published: bool,
}

impl Unfinished {
    /// Opens a new file beside `archive`.
    pub(super) fn create(archive: &Path) -> anyhow::Result<(Self, File)> {
        let directory = directory_of(archive);
        create_shared(directory, Path::new(CACHE_INSIDE)).with_context(|| format!("create {}", directory.display()))?;
        remove_abandoned(directory);
        let name = format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple());
        let path = directory.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("create {}", path.display()))?;
        let published = false;
        Ok((Self { path, published }, file))
    }

    /// Puts the archive in its place, where others see the old one or the new one and nothing between.
    pub(super) fn publish(mut self, archive: &Path, key: &str) -> anyhow::Result<()> {
        fs::rename(&self.path, archive).with_context(|| format!("rename to {}", archive.display()))?;
        self.published = true;
        describe(archive, key).context("write metadata.json")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published {
            // It may never have been there, and what is left is removed by a later job.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates the directory of a key. In the project's place for caches, `top`, it and those above it are the group's as well:
/// that is how the runner, another user, removes a key nobody uses any more. Everybody else stays out.
fn create_shared(directory: &Path, top: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if !directory.starts_with(top) {
        return Ok(());
    }
    for directory in directory.ancestors().take_while(|d| *d != top) {
        // Whatever is otherwise is as it should be, or somebody else's.
        if fs::metadata(directory)?.mode() & 0o777 == 0o700 {
            fs::set_permissions(directory, Permissions::from_mode(0o770))?;
        }
    }
    Ok(())
}

/// What a killed job left.
fn remove_abandoned(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > ABANDONED);
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if unfinished && entry.metadata().and_then(|m| m.modified()).is_ok_and(old) {
            // Another job may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// `metadata.json` beside the archive tells people which key a directory belongs to.
fn describe(archive: &Path, key: &str) -> io::Result<()> {
    let path = directory_of(archive).join("metadata.json");
    let beside = directory_of(archive).join(format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple()));
    let mut file = File::options().write(true).create_new(true).open(&beside)?;
    file.set_permissions(Permissions::from_mode(0o640))?;
    file.write_all(serde_json::json!({ "cachekey": key }).to_string().as_bytes())?;
    fs::rename(&beside, path)
}

/// When the archive was last written; `None` if there is none.
pub(super) fn modified(archive: &Path) -> Option<SystemTime> {
    fs::metadata(archive).and_then(|m| m.modified()).ok()
}

fn directory_of(archive: &Path) -> &Path {
    archive.parent().unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::{Unfinished, create_shared};
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    #[test]
    fn an_archive_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("g/p/key/cache.zip");
        let names = || {
            let mut names: Vec<String> = fs::read_dir(archive.parent().unwrap())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let (unfinished, mut file) = Unfinished::create(&archive).unwrap();
        file.write_all(b"first").unwrap();
        assert!(!archive.exists());
        unfinished.publish(&archive, "key with \"quotes\"").unwrap();
        assert_eq!(fs::read(&archive).unwrap(), b"first");
        let metadata = fs::read_to_string(archive.with_file_name("metadata.json")).unwrap();
        assert_eq!(metadata, r#"{"cachekey":"key with \"quotes\""}"#);

        let (abandoned, _file) = Unfinished::create(&archive).unwrap();
        drop(abandoned);
        assert_eq!(names(), ["cache.zip", "metadata.json"]);
        assert_eq!(fs::read(&archive).unwrap(), b"first");
    }

    #[test]
    fn the_runner_may_remove_keys_of_a_project() {
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        create_shared(&root.path().join("cache/g/p/key"), &root.path().join("cache")).unwrap();
        create_shared(&root.path().join("builds/g/key"), &root.path().join("cache")).unwrap();
        let modes = [
            "cache",
            "cache/g",
            "cache/g/p",
            "cache/g/p/key",
            "builds/g",
            "builds/g/key",
        ]
        .map(mode);
        assert_eq!(modes, [0o700, 0o770, 0o770, 0o770, 0o700, 0o700]);
    }

    #[test]
    fn what_a_killed_job_left_goes_away_when_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| root.path().join(name);
        for (name, hours) in [("archive_old", 30), ("archive_new", 1), ("cache.zip", 30)] {
            let file = File::create(place(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_hours(hours))
                .unwrap();
        }
        let (_unfinished, _file) = Unfinished::create(&place("cache.zip")).unwrap();
        assert!(!place("archive_old").exists());
        assert!(place("archive_new").exists());
        assert!(place("cache.zip").exists());
    }
}
