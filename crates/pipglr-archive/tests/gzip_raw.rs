//! The two formats for single files.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::fs::{self, File, FileTimes};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use flate2::bufread::GzDecoder;
use pipglr_archive::{Entry, Error, Selection, select, write_gzip, write_raw};

fn entries(root: &Path, pattern: &str) -> Vec<Entry> {
    let selection = Selection {
        paths: vec![pattern.into()],
        ..Selection::default()
    };
    select(root, &selection).0
}

fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    for (name, content) in [("d/a b.xml", "<a/>"), ("d/ü%", ""), ("x", "xx")] {
        fs::write(root.path().join(name), content).unwrap();
        let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_001));
        File::open(root.path().join(name)).unwrap().set_times(times).unwrap();
    }
    symlink("x", root.path().join("l")).unwrap();
    root
}

#[test]
fn gzip_has_one_member_per_file_with_its_names_and_time() {
    let root = tree();
    let mut bytes = Vec::new();
    assert_eq!(
        write_gzip(root.path(), &entries(root.path(), "{d/*,x}"), &mut bytes).unwrap(),
        6
    );
    let mut members = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let mut member = GzDecoder::new(rest);
        let mut content = String::new();
        member.read_to_string(&mut content).unwrap();
        let header = member.header().unwrap().clone();
        let text = |field: Option<&[u8]>| String::from_utf8(field.unwrap().to_vec()).unwrap();
        assert_eq!((header.mtime(), header.operating_system()), (1_700_000_001, 255));
        members.push((text(header.filename()), text(header.comment()), content));
        rest = member.into_inner();
    }
    let row = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let expected = [
        row("a b.xml", "d/a b.xml", "<a/>"),
        row("e:%C3%BC%25", "e:d%2F%C3%BC%25", ""),
        row("x", "x", "xx"),
    ];
    assert_eq!(members, expected);
}

#[test]
fn gzip_takes_regular_files_only_and_writes_nothing_otherwise() {
    let root = tree();
    for (pattern, name) in [("d", "d"), ("{l,x}", "l")] {
        let mut bytes = Vec::new();
        let error = write_gzip(root.path(), &entries(root.path(), pattern), &mut bytes).unwrap_err();
        assert!(matches!(error, Error::NotRegular { path } if path == Path::new(name)));
        assert_eq!(bytes, b"");
    }
}

#[test]
fn raw_is_the_bytes_of_one_file() {
    let root = tree();
    let raw = |pattern: &str| {
        let mut bytes = Vec::new();
        write_raw(root.path(), &entries(root.path(), pattern), &mut bytes).map(|n| (n, bytes))
    };
    assert_eq!(raw("x").unwrap(), (2, b"xx".to_vec()));
    assert!(matches!(raw("d/*"), Err(Error::NotExactlyOne { count: 2 })));
    assert!(matches!(raw("none"), Err(Error::NotExactlyOne { count: 0 })));
    assert!(matches!(raw("l"), Err(Error::NotRegular { .. })));
}
