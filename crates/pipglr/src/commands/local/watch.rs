//! `--watch`: has a file of the working tree changed? Files git ignores do not count.

use anyhow::{Context as _, ensure};
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::sleep;

/// Pause between two looks. Watching every directory of a large tree costs more than a look at its files.
const LOOK: Duration = Duration::from_millis(500);

/// Stands for the state of all files: another number is another state.
pub(super) async fn fingerprint(repo: &Path) -> anyhow::Result<u64> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repo)
        .kill_on_drop(true);
    let output = git.output().await.context("list the files of the working tree")?;
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut hasher = DefaultHasher::new();
    for name in output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        name.hash(&mut hasher);
        // A file that was removed is listed until that is staged.
        let seen = fs::symlink_metadata(repo.join(OsStr::from_bytes(name))).ok();
        let seen = seen.map(|file| {
            (
                file.len(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
                file.mode(),
            )
        });
        seen.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Waits until the files are different and stay as they are for one look.
pub(super) async fn changed(repo: &Path, before: u64) -> anyhow::Result<()> {
    let mut last = before;
    loop {
        let now = fingerprint(repo).await?;
        if now != before && now == last {
            return Ok(());
        }
        last = now;
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;
    use std::fs;
    use std::process::Command;

    #[tokio::test]
    async fn contents_new_files_and_removed_ones_are_changes_and_ignored_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let repo = directory.path();
        let git = Command::new("git").args(["init", "--quiet"]).current_dir(repo).status();
        assert!(git.unwrap().success());
        fs::write(repo.join(".gitignore"), "ignored\n").unwrap();
        fs::write(repo.join("a"), "1").unwrap();
        let mut seen = vec![fingerprint(repo).await.unwrap()];
        for change in [
            &|| fs::write(repo.join("a"), "23").unwrap(),
            &|| fs::write(repo.join("b"), "").unwrap(),
            &|| fs::remove_file(repo.join("a")).unwrap(),
        ] as [&dyn Fn(); 3]
        {
            change();
            let now = fingerprint(repo).await.unwrap();
            assert!(!seen.contains(&now));
            seen.push(now);
        }
        fs::write(repo.join("ignored"), "x").unwrap();
        assert_eq!(fingerprint(repo).await.unwrap(), seen[3]);
    }
}
