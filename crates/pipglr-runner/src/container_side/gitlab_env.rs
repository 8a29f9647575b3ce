//! The file at `$GITLAB_ENV`: `KEY=value` lines that are environment of later stages.
//!
//! Compat: gitlab-runner shells/bash.go exports each line as it is, nothing is unquoted or executed. There a line that is
//! no variable fails the next stage, and a last line without an end is lost; here the former is passed over.

use super::notice;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// More is not read.
const LIMIT: u64 = 1 << 20;

/// What earlier stages left. Scripts own that path: it may be anything, and must not hold this process up.
pub(super) fn read(path: &Path) -> String {
    let flags = rustix::fs::OFlags::NOFOLLOW
        | rustix::fs::OFlags::NONBLOCK
        | rustix::fs::OFlags::CLOEXEC
        | rustix::fs::OFlags::RDONLY;
    let read = || -> io::Result<Vec<u8>> {
        let file = File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            notice::warning(&format!("variables in {} are not used: {error}", path.display()));
            String::new()
        }
    }
}

/// The variables among the lines.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| !key.is_empty())
}

/// Leaves the variables for the helper that ends the job, readable for nobody else.
pub(super) fn hand_on(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Takes the variables that were handed on; nothing stays.
pub(super) fn take(path: &Path) -> String {
    let text = read(path);
    if let Some(parent) = path.parent().filter(|_| !text.is_empty())
        && let Err(error) = fs::remove_dir_all(parent)
    {
        notice::warning(&format!("remove {}: {error}", parent.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{hand_on, pairs, read, take};

    #[test]
    fn lines_are_taken_as_they_are() {
        for (name, text, expected) in [
            ("a variable", "hello=world\n", &[("hello", "world")][..]),
            ("not executed", "executed=$(echo yes)\n", &[("executed", "$(echo yes)")]),
            ("not unquoted", "a='b c'\n", &[("a", "'b c'")]),
            ("more of the sign", "a=b=c\n", &[("a", "b=c")]),
            ("blank and malformed", "\nnothing\n=x\na=1\n", &[("a", "1")]),
            ("no end of line", "a=1\nb=2", &[("a", "1"), ("b", "2")]),
            ("an empty value", "a=\n", &[("a", "")]),
        ] {
            assert_eq!(pairs(text).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_handed_on_is_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("project.tmp/gitlab_runner_env");
        hand_on(&path, "a=1\n").unwrap();
        assert_eq!(take(&path), "a=1\n");
        assert!(!path.parent().unwrap().exists());
        assert_eq!(take(&path), "");
        hand_on(&path, "").unwrap();
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        std::fs::write(&target, "secret=1").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!((read(&link), read(directory.path())), (String::new(), String::new()));
    }
}
