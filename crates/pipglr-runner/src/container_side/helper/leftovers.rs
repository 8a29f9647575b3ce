//! What a job that was cut off left on a volume that is kept: its temporary directory, with file variables and git's
//! credentials in it. `GIT_CLONE_PATH` lets every job choose another place, so a list on the volume keeps account.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path};

/// The list, in the builds directory. A job can write what it wants there: it only ever names directories to remove.
const LIST: &str = ".pipglr-temporary";
/// Longest list that is read.
const LIMIT: u64 = 64 * 1024;

/// Removes what earlier jobs left and notes what this job is about to make.
pub(super) fn remove(builds_dir: &Path, own: &[String]) -> io::Result<()> {
    let list = builds_dir.join(LIST);
    for path in read(&list)?.lines().chain(own.iter().map(String::as_str)) {
        if own.iter().any(|o| o == path) || is_temporary(builds_dir, Path::new(path)) {
            remove_whatever(Path::new(path))?;
        }
    }
    if !builds_dir.is_dir() {
        return Ok(());
    }
    remove_whatever(&list)?;
    let mut file = fs::File::create_new(&list)?;
    file.write_all(own.join("\n").as_bytes())
}

fn read(list: &Path) -> io::Result<String> {
    match fs::symlink_metadata(list) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(String::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    fs::File::open(list)?.take(LIMIT).read_to_end(&mut bytes)?;
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
        remove(&builds, &[path("builds/own.tmp")]).unwrap();
        let left = dirs.map(|dir| root.path().join(dir).exists());
        assert_eq!(left, [false, false, true, true, false]);
        let list = fs::read_to_string(builds.join(".pipglr-temporary")).unwrap();
        assert_eq!(list, path("builds/own.tmp"));
    }

    #[test]
    fn a_list_that_is_a_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("target"), "keep").unwrap();
        std::os::unix::fs::symlink("target", root.path().join(".pipglr-temporary")).unwrap();
        remove(root.path(), &[]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("target")).unwrap(), "keep");
    }
}
