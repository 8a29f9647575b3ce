//! What a job that was cut off left on a volume that is kept: its temporary directory, with file variables and git's
//! credentials in it. `GIT_CLONE_PATH` lets every job choose another place, so a list on the volume keeps account: one
//! for each slot that sees the volume, as what another slot's job made may be in use.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path};

/// The list, in the builds directory; the slot follows, if there are several. A job can write what it wants there: it
/// only ever names directories to remove.
const LIST: &str = ".pipglr-temporary";
/// A list that is being written.
const UNFINISHED: &str = ".pipglr-unfinished";
/// Longest list that is read.
const LIMIT: u64 = 64 * 1024;

/// Removes what earlier jobs of this slot left and notes what this job is about to make. `slot` is empty if nobody else
/// sees the directory.
pub(super) fn remove(builds_dir: &Path, slot: &str, own: &[String]) -> io::Result<()> {
    let name = if slot.is_empty() {
        LIST.to_owned()
    } else {
        format!("{LIST}-{slot}")
    };
    let list = builds_dir.join(&name);
    let others = if slot.is_empty() {
        BTreeSet::new()
    } else {
        listed_by_others(builds_dir, &name)?
    };
    // What is on two lists is left to the slot that has not gone on yet.
    let is_left = |path: &&str| is_temporary(builds_dir, Path::new(path)) && !others.contains(*path);
    let earlier = read(&list)?;
    for path in earlier.lines().filter(is_left).chain(own.iter().map(String::as_str)) {
        remove_whatever(Path::new(path))?;
    }
    if !builds_dir.is_dir() {
        return Ok(());
    }
    // Other slots find the old list or the new one, and always one.
    let unfinished = builds_dir.join(format!("{UNFINISHED}-{slot}"));
    remove_whatever(&unfinished)?;
    fs::File::create_new(&unfinished)?.write_all(own.join("\n").as_bytes())?;
    if fs::symlink_metadata(&list).is_ok_and(|m| m.is_dir()) {
        fs::remove_dir_all(&list)?;
    }
    fs::rename(&unfinished, &list)
}

/// What the lists of other slots name.
fn listed_by_others(builds_dir: &Path, own: &str) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(builds_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut listed = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(&format!("{LIST}-")) && name != own {
            listed.extend(read(&entry.path())?.lines().map(str::to_owned));
        }
    }
    Ok(listed)
}

fn read(list: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(list, flags, Mode::empty()) {
        Ok(fd) => fs::File::from(fd),
        // There is none, or a link or a socket that a job put there.
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a path is a temporary directory as jobs have one: below the builds directory, with the right suffix.
fn is_temporary(builds_dir: &Path, path: &Path) -> bool {
    path.starts_with(builds_dir)
        && path != builds_dir
        && path.components().all(|c| c != Component::ParentDir)
        && path.extension().is_some_and(|e| e == "tmp")
}

/// Removes a directory with its content, or whatever else stands in its place.
pub(in crate::container_side::helper) fn remove_whatever(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::remove;
    use std::fs;

    #[test]
    fn only_temporary_directories_below_the_builds_directory_go() {
        let root = tempfile::tempdir().unwrap();
        let builds = root.path().join("builds");
        let dirs = [
            "builds/a.tmp",
            "builds/g/p.tmp",
            "builds/g/p",
            "elsewhere.tmp",
            "builds/own.tmp",
        ];
        for dir in dirs {
            fs::create_dir_all(root.path().join(dir).join("inside")).unwrap();
        }
        let path = |relative: &str| root.path().join(relative).display().to_string();
        let listed = [
            "builds/a.tmp",
            "builds/g/p.tmp",
            "builds/g/p",
            "elsewhere.tmp",
            "builds/../elsewhere.tmp",
        ];
        fs::write(builds.join(".pipglr-temporary"), listed.map(path).join("\n")).unwrap();
        remove(&builds, "", &[path("builds/own.tmp")]).unwrap();
        let left = dirs.map(|dir| root.path().join(dir).exists());
        assert_eq!(left, [false, false, true, true, false]);
        let list = fs::read_to_string(builds.join(".pipglr-temporary")).unwrap();
        assert_eq!(list, path("builds/own.tmp"));
    }

    #[test]
    fn slots_that_share_a_directory_leave_each_other_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        // (slot, its job's directory, those that are there once the job has made its own)
        for (slot, own, left) in [
            ("a", "a.tmp", &["a.tmp"][..]),
            ("b", "b.tmp", &["a.tmp", "b.tmp"]),
            // What is on both lists is left to the slot that has not gone on yet.
            ("a", "b.tmp", &["b.tmp"]),
            ("b", "c.tmp", &["b.tmp", "c.tmp"]),
            ("a", "a.tmp", &["a.tmp", "c.tmp"]),
        ] {
            remove(root.path(), slot, &[path(own)]).unwrap();
            fs::create_dir_all(path(own)).unwrap();
            let there = ["a.tmp", "b.tmp", "c.tmp"]
                .into_iter()
                .filter(|name| root.path().join(name).exists());
            assert_eq!(there.collect::<Vec<_>>(), left, "{slot} makes {own}");
        }
    }

    #[test]
    fn a_list_that_is_a_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("target"), "keep").unwrap();
        std::os::unix::fs::symlink("target", root.path().join(".pipglr-temporary")).unwrap();
        remove(root.path(), "", &[]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("target")).unwrap(), "keep");
    }
}
