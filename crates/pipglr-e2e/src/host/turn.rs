//! One run at a time: runs share the account, and each ends its processes.

use crate::command::CommandExt as _;
use anyhow::Context as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// How often it is looked whether killed processes are gone, and the pause between.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to an account, for this process and those it starts; it ends with this value.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` within the turn of a process that started this one.
    held: Option<File>,
}

impl Turn {
    /// Waits until no other run uses the account.
    pub(super) fn take(account: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/run/lock/{account}.turn"));
        let reason = || format!("lock {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).with_context(reason)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(reason),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).with_context(reason)?;
                if ancestors().any(|pid| pid == holder.trim()) {
                    return Ok(Self { held: None });
                }
                say(&format!(
                    "waiting for process {} to be done with the account {account}",
                    holder.trim()
                ));
                file.lock().with_context(reason)?;
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).with_context(reason)?;
        write!(file, "{}", std::process::id()).with_context(reason)?;
        Ok(Self { held: Some(file) })
    }

    /// Whether no process that started this one has the account.
    pub(super) const fn is_outermost(&self) -> bool {
        self.held.is_some()
    }
}

/// The process IDs of what started us, nearest first.
fn ancestors() -> impl Iterator<Item = String> {
    std::iter::successors(parent("self"), |pid| parent(pid))
}

fn parent(pid: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Some(line.trim().to_owned()).filter(|pid| pid != "0")
}

/// Makes the account as it is after a restart of the machine: podman takes containers of its records that are without
/// a process for running ones until its runtime directory is gone.
pub(super) fn clear_leftovers(uid: u32) -> anyhow::Result<()> {
    let mut kill = Command::new("pkill");
    kill.args(["--signal", "KILL", "--uid", &uid.to_string()]);
    let mut looks = 0;
    while kill.run_any()?.status.success() {
        looks += 1;
        anyhow::ensure!(looks < LOOKS, "processes of user {uid} cannot be killed");
        sleep(PAUSE);
    }
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    if let Ok(entries) = fs::read_dir(&runtime) {
        for entry in entries {
            remove(&entry?.path())?;
        }
    }
    remove(Path::new(&format!("/dev/shm/libpod_rootless_lock_{uid}")))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(());
    };
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("remove {}, left by an earlier run", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Turn, ancestors};

    #[test]
    fn a_turn_includes_what_it_starts_but_nobody_else() {
        let name = format!("pipglr-turn-{}", std::process::id());
        let mut words = Vec::new();
        let mut say = |text: &str| words.push(text.to_owned());
        let first = Turn::take(&name, &mut say).unwrap();
        assert!(first.is_outermost());
        // As if a process that started this one had it.
        let path = format!("/run/lock/{name}.turn");
        std::fs::write(&path, ancestors().next().unwrap()).unwrap();
        assert!(!Turn::take(&name, &mut say).unwrap().is_outermost());
        std::fs::write(&path, "stranger").unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut heard = None;
                let turn = Turn::take(&name, &mut |text| heard = Some(text.to_owned()));
                (turn.unwrap().is_outermost(), heard)
            });
            drop(first);
            let (outermost, _) = other.join().unwrap();
            assert!(outermost);
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(words, Vec::<String>::new());
    }
}
