//! Where a run keeps what it needs: a directory of the project's own that stays, and one that goes with the process.

use crate::error::CliError;
use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs of one project at the same time.
const SLOTS: u32 = 64;

/// Directories of one run.
#[derive(Debug)]
pub(in crate::commands) struct Places {
    /// Top of the working tree.
    pub(in crate::commands) repo: PathBuf,
    /// The directory's name and what tells it from others of the same name; start of the names of its volumes.
    pub(super) project: String,
    /// What stays between runs. No other run has it.
    pub(super) slot: PathBuf,
    /// Sockets; goes with the process. The next run in the slot makes it anew.
    pub(super) runtime: PathBuf,
    /// Nobody else has the slot while this is open.
    _lock: File,
}

impl Places {
    /// Takes a slot of the project whose working tree has this top.
    pub(in crate::commands) fn take(repo: PathBuf) -> Result<Self, CliError> {
        let project = project_of(&repo);
        let root = state_root()?.join(&project);
        let (slot, lock) = free_slot(&root)?;
        let runtime = runtime_directory(&project, &slot);
        private_directory(&runtime)?;
        Ok(Self {
            runtime,
            repo,
            project,
            slot,
            _lock: lock,
        })
    }

    /// Empties the directory of sockets, for another run of this process.
    pub(super) fn renew_runtime(&self) -> Result<(), CliError> {
        private_directory(&self.runtime)
    }

    /// Start of the names of the project's volumes.
    pub(super) fn volume_prefix(project: &str) -> String {
        format!("pipglr-local-{project}-")
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.runtime) {
            tracing::warn!(directory = %self.runtime.display(), %error, "a directory is left");
        }
    }
}

/// The top of the git working tree we are in.
pub(in crate::commands) fn top_level() -> Result<PathBuf, CliError> {
    let output = Command::new("git").args(["rev-parse", "--show-toplevel"]).output();
    let output = output.map_err(|error| {
        let hint = "install git: jobs get their sources by it";
        CliError::with_hint(anyhow::Error::new(error).context("git cannot be started"), hint)
    })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = stderr
            .lines()
            .next()
            .unwrap_or("git rev-parse failed")
            .trim()
            .to_owned();
        let hint = "pipglr local runs the pipeline of the git working tree you are in: change to one, or make one with \
                    git init";
        return Err(CliError::with_hint(anyhow::anyhow!("{message}"), hint));
    }
    let path = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

/// `name-0123456789ab`, from the name and the whole path of the working tree.
pub(super) fn project_of(repo: &Path) -> String {
    let name = repo.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let digest = Sha256::digest(repo.as_os_str().as_bytes());
    let number: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{number}", name.trim_matches('-'))
}

/// `$XDG_STATE_HOME/pipglr/local`.
pub(super) fn state_root() -> Result<PathBuf, CliError> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        CliError::with_hint(
            anyhow::anyhow!("this account has no home directory"),
            "set HOME or XDG_STATE_HOME",
        )
    })?;
    Ok(state.join("pipglr/local"))
}

/// The first slot nobody has.
fn free_slot(root: &Path) -> Result<(PathBuf, File), CliError> {
    for number in 0..SLOTS {
        let slot = root.join(number.to_string());
        create_private(&slot).with_context(|| format!("create {}", slot.display()))?;
        if let Some(lock) = lock(&slot)? {
            return Ok((slot, lock));
        }
    }
    Err(anyhow::anyhow!("{SLOTS} pipelines of this project run already").into())
}

/// The slot is the caller's while the file is open; `None` if a run has it.
pub(super) fn lock(slot: &Path) -> Result<Option<File>, CliError> {
    let path = slot.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(anyhow::Error::new(error)
            .context(format!("lock {}", path.display()))
            .into()),
    }
}

/// Where the sockets of a run in this slot are. The name is short: a socket's path has at most 108 bytes.
pub(super) fn runtime_directory(project: &str, slot: &Path) -> PathBuf {
    let digest = project.rsplit('-').next().unwrap_or(project);
    let slot = slot.file_name().unwrap_or_default().to_string_lossy();
    let parent = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let parent = parent.filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
    parent.join(format!("pipglr-local-{digest}-{slot}"))
}

/// A new directory only we can enter, for sockets.
pub(super) fn private_directory(path: &Path) -> Result<(), CliError> {
    remove_tree(path)?;
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("create {}", path.display()))?;
    Ok(())
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove_tree(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(anyhow::Error::new(error).context(format!("remove {}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Makes a directory of ours anew, with nothing in it.
pub(super) fn renew(path: &Path) -> anyhow::Result<()> {
    remove_tree(path)?;
    create_private(path).with_context(|| format!("create {}", path.display()))
}

pub(super) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

#[cfg(test)]
mod tests {
    use super::project_of;
    use std::path::Path;

    #[test]
    fn projects_of_one_name_are_told_apart() {
        let (a, b) = (project_of(Path::new("/a/My App")), project_of(Path::new("/b/My App")));
        assert_ne!(a, b);
        assert!(a.starts_with("my-app-") && a.len() == "my-app-".len() + 12, "{a}");
    }
}
