//! A tree with everything an archive must keep, and what is there after it was unpacked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use pipglr_archive::{Entry, Error, ExtractOptions, Extracted, Selection, extract, select};

pub(crate) fn everything(root: &Path) -> Vec<Entry> {
    let selection = Selection {
        paths: vec![".".into()],
        ..Selection::default()
    };
    select(root, &selection).0
}

pub(crate) fn set(path: &Path, mode: u32, seconds: u64) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// A tree with everything an archive must keep.
pub(crate) fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for name in ["bin", "deep/er/est", "empty dir", "größe"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let big: Vec<u8> = (0..60_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let files: [(&str, &[u8], u32, u64); 7] = [
        ("bin/tool", b"#!/bin/sh\n", 0o755, 1_600_000_001),
        ("deep/er/est/x", b"x", 0o640, 1),
        ("empty", b"", 0o644, 1_700_000_000),
        ("größe/☃.txt", "schnee".as_bytes(), 0o600, 4_000_000_000),
        ("big", &big, 0o444, 1_234_567_890),
        ("back\\slash", b"b", 0o644, 1_500_000_000),
        ("zeros", &[0; 100_000], 0o666, 1_500_000_000),
    ];
    for (name, content, mode, seconds) in files {
        fs::write(root.join(name), content).unwrap();
        set(&root.join(name), mode, seconds);
    }
    fs::write(root.join(OsStr::from_bytes(b"latin\xe9")), "l").unwrap();
    fs::create_dir(root.join(OsStr::from_bytes(b"dir\xff"))).unwrap();
    symlink("bin/tool", root.join("link")).unwrap();
    symlink("/absolute/nowhere", root.join("deep/broken")).unwrap();
    symlink("..", root.join("größe/up")).unwrap();
    set(&root.join("empty dir"), 0o700, 1_000_000_000);
    set(&root.join("deep/er"), 0o555, 1_000_000_001);
    set(&root.join("bin"), 0o1777, 1_000_000_002);
    dir
}

/// Type, mode, seconds (not of links: selecting may not be able to set them), content or target.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let describe = |entry: Entry| {
        let path = root.join(&entry.name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match metadata.file_type() {
            t if t.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            t if t.is_file() => fs::read(&path).unwrap(),
            _ => Vec::new(),
        };
        (entry.name, (metadata.mode(), metadata.mtime(), content))
    };
    everything(root).into_iter().map(describe).collect()
}

pub(crate) fn unpack(bytes: &[u8], into: &Path) -> Result<Extracted, Error> {
    extract(into, Cursor::new(bytes), &ExtractOptions::default())
}

/// Runs python3, or says that it is not here.
#[expect(clippy::print_stdout, reason = "a skipped check must be said aloud")]
pub(crate) fn python(script: &str, arguments: &[&Path]) -> Option<String> {
    let output = match Command::new("python3").arg("-c").arg(script).args(arguments).output() {
        Ok(output) => output,
        Err(e) => {
            println!("SKIPPED: python3 cannot be run ({e})");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
