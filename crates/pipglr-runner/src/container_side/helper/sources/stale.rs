//! What an earlier job can have left in a repository to disturb or hijack git: locks, configuration, hooks, and links
//! to places where those are not removed. Nothing here runs git, which would already obey them.
//!
//! Compat: gitlab-runner shells/abstract.go `writeGitCleanup`; more is covered than there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files that are never wanted.
const STALE: [&str; 7] = [
    "index.lock",
    "shallow.lock",
    "HEAD.lock",
    "config.lock",
    "packed-refs.lock",
    "packed-refs.new",
    "hooks/post-checkout",
];

/// Whether a git directory leads elsewhere, where configuration and hooks would be found that are not removed.
pub(super) fn is_hijacked(git_dir: &Path) -> bool {
    let metadata = fs::symlink_metadata(git_dir);
    let elsewhere = ["commondir", "worktrees"]
        .iter()
        .any(|name| fs::symlink_metadata(git_dir.join(name)).is_ok());
    metadata.is_ok_and(|m| !m.is_dir() || elsewhere)
}

/// The git directories of submodules that were cleaned, by their real paths.
#[derive(Debug, Default)]
pub(super) struct Cleaned(BTreeSet<PathBuf>);

impl Cleaned {
    /// Whether `.git` of a submodule's work tree is what git makes it: absent, or a file that leads to one of these.
    pub(super) fn is_honest_submodule(&self, work_tree: &Path) -> bool {
        let link = work_tree.join(".git");
        match fs::symlink_metadata(&link) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(metadata) if !metadata.is_file() => false,
            Ok(_) => fs::read_to_string(&link).is_ok_and(|text| {
                let target = text.strip_prefix("gitdir: ").map(|t| t.trim_end_matches(['\n', '\r']));
                let target = target.and_then(|target| work_tree.join(target).canonicalize().ok());
                target.is_some_and(|target| self.0.contains(&target))
            }),
        }
    }
}

/// Cleans a git directory and those of its submodules.
pub(super) fn clean(git_dir: &Path, with_config: bool) -> io::Result<Cleaned> {
    let mut cleaned = Cleaned::default();
    clean_one(git_dir, with_config, &mut cleaned)?;
    Ok(cleaned)
}

fn clean_one(git_dir: &Path, with_config: bool, cleaned: &mut Cleaned) -> io::Result<()> {
    if !git_dir.is_dir() {
        return Ok(());
    }
    for name in STALE {
        remove_file(&git_dir.join(name))?;
    }
    remove_locks(&git_dir.join("refs"))?;
    if with_config {
        remove_config(git_dir)?;
    }
    clean_modules(&git_dir.join("modules"), with_config, cleaned)
}

/// `modules` holds git directories by name, and a name may have several components.
fn clean_modules(dir: &Path, with_config: bool, cleaned: &mut Cleaned) -> io::Result<()> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_dir() => return fs::remove_file(dir),
        Ok(_) => {}
    }
    if fs::symlink_metadata(dir.join("HEAD")).is_ok() {
        if is_hijacked(dir) {
            return fs::remove_dir_all(dir);
        }
        cleaned.0.insert(dir.canonicalize()?);
        return clean_one(dir, with_config, cleaned);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_symlink() {
            clean_modules(&entry.path(), with_config, cleaned)?;
        }
    }
    Ok(())
}

fn remove_config(git_dir: &Path) -> io::Result<()> {
    let sha256 = head_is_sha256(git_dir);
    remove_file(&git_dir.join("config"))?;
    remove_file(&git_dir.join("config.worktree"))?;
    match fs::remove_dir_all(git_dir.join("hooks")) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => remove_file(&git_dir.join("hooks"))?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if sha256 {
        // Without this git takes the repository for one of SHA-1 and does not understand its own files.
        fs::write(
            git_dir.join("config"),
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n",
        )?;
    }
    Ok(())
}

/// Whether a commit is checked out whose name is as long as SHA-256 makes it.
fn head_is_sha256(git_dir: &Path) -> bool {
    fs::read_to_string(git_dir.join("HEAD")).is_ok_and(|head| {
        let head = head.trim_end();
        head.len() == 64 && head.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn remove_locks(dir: &Path) -> io::Result<()> {
    match fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_locks(&entry.path())?;
        } else if entry.path().extension().is_some_and(|e| e == "lock") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
