//! Trees through our writer and back, and past other people's programs.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use pipglr_archive::{
    Entry, Error, ExtractOptions, Extracted, Format, Level, Selection, WriteNote, Written, extract, select, write_zip,
};

fn everything(root: &Path) -> Vec<Entry> {
    let selection = Selection {
        paths: vec![".".into()],
        ..Selection::default()
    };
    select(root, &selection).0
}

fn zip(root: &Path, level: Level) -> (Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let written = write_zip(root, &everything(root), level, &mut bytes).unwrap();
    (bytes, written)
}

fn set(path: &Path, mode: u32, seconds: u64) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// A tree with everything an archive must keep.
fn sample() -> tempfile::TempDir {
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
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
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

fn unpack(bytes: &[u8], into: &Path) -> Result<Extracted, Error> {
    extract(into, Cursor::new(bytes), &ExtractOptions::default())
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let tree = sample();
    for level in [Level::Fastest, Level::Fast, Level::Default, Level::Slow, Level::Slowest] {
        let (bytes, written) = zip(tree.path(), level);
        assert_eq!((written.entries, &written.notes[..]), (18, &[][..]));
        let target = tempfile::tempdir().unwrap();
        let extracted = unpack(&bytes, target.path()).unwrap();
        assert_eq!((extracted.files, extracted.directories, extracted.links), (8, 7, 3));
        assert_eq!(extracted.bytes, written.bytes);
        assert_eq!(snapshot(target.path()), snapshot(tree.path()));
    }
}

#[test]
fn unpacking_again_replaces_and_changes_nothing() {
    let tree = sample();
    let (bytes, _) = zip(tree.path(), Level::Fast);
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("kept"), "k").unwrap();
    unpack(&bytes, target.path()).unwrap();
    fs::set_permissions(target.path().join("big"), Permissions::from_mode(0o600)).unwrap();
    fs::write(target.path().join("big"), "spoilt").unwrap();
    // Only a superuser may write into a read-only directory, which is what the sample contains.
    fs::set_permissions(target.path().join("deep/er"), Permissions::from_mode(0o755)).unwrap();
    unpack(&bytes, target.path()).unwrap();
    let mut expected = snapshot(tree.path());
    let mut got = snapshot(target.path());
    assert_eq!(got.remove(Path::new("kept")).unwrap().2, b"k");
    // Re-creating a link touches nothing else: directories got their times last.
    expected.retain(|path, _| got.contains_key(path));
    assert_eq!(got, expected);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let tree = sample();
    assert_eq!(zip(tree.path(), Level::Default).0, zip(tree.path(), Level::Default).0);
    assert_eq!(Format::detect(&zip(tree.path(), Level::Default).0), Some(Format::Zip));
}

#[test]
fn levels_are_used() {
    let tree = tempfile::tempdir().unwrap();
    let text: String = (0..20_000).map(|n| format!("line {}\n", n * 7919 % 1000)).collect();
    fs::write(tree.path().join("t"), &text).unwrap();
    let size = |level| zip(tree.path(), level).0.len();
    assert!(size(Level::Fastest) > text.len());
    assert!(size(Level::Fast) > size(Level::Default));
    assert!(size(Level::Default) > size(Level::Slowest));
}

#[test]
fn hard_metadata_is_in_the_central_directory() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("f");
    fs::write(&file, "f").unwrap();
    set(&file, 0o4711, 1_700_000_001);
    let (bytes, _) = zip(tree.path(), Level::Default);
    let archive = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let metadata = archive.metadata();
    let entry = metadata.entry(0).unwrap();
    assert_eq!(entry.external_attributes() >> 16, 0o104_711);
    let owner = fs::metadata(&file).unwrap();
    let mut field = vec![0x75, 0x78, 11, 0, 1, 4];
    field.extend(owner.uid().to_le_bytes());
    field.push(4);
    field.extend(owner.gid().to_le_bytes());
    let mut time = vec![0x55, 0x54, 5, 0, 1];
    time.extend(1_700_000_001_u32.to_le_bytes());
    // Once in the local header, once in the central directory.
    for wanted in [field, time] {
        assert_eq!(bytes.windows(wanted.len()).filter(|w| *w == wanted).count(), 2);
    }
}

#[test]
fn special_files_are_skipped_with_a_note() {
    let tree = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("s")).unwrap();
    let (_, written) = zip(tree.path(), Level::Default);
    let note = WriteNote::SpecialSkipped { path: "s".into() };
    assert_eq!((written.entries, written.notes), (0, vec![note]));
}

/// Changes a file the moment the first byte of its entry is written.
struct Meddler<'a> {
    out: Vec<u8>,
    file: &'a Path,
    change: fn(&Path),
    done: bool,
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !std::mem::replace(&mut self.done, true) {
            (self.change)(self.file);
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_changing_size_leaves_the_archive_whole() {
    let grow = |path: &Path| {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[b'+'; 500_000]).unwrap();
    };
    let shrink = |path: &Path| {
        File::options().write(true).open(path).unwrap().set_len(10).unwrap();
    };
    for (change, stored) in [(grow as fn(&Path), 300_000), (shrink, 10)] {
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join("f");
        fs::write(&file, vec![b'-'; 300_000]).unwrap();
        fs::write(tree.path().join("g"), "after").unwrap();
        let mut out = Meddler {
            out: Vec::new(),
            file: &file,
            change,
            done: false,
        };
        let entries = everything(tree.path());
        let written = write_zip(tree.path(), &entries, Level::Default, &mut out).unwrap();
        let note = WriteNote::SizeChanged {
            path: "f".into(),
            expected: 300_000,
            stored,
        };
        assert_eq!(written.notes, [note]);
        let target = tempfile::tempdir().unwrap();
        unpack(&out.out, target.path()).unwrap();
        let length = fs::metadata(target.path().join("f")).unwrap().len();
        assert_eq!(length, stored);
        assert_eq!(fs::read(target.path().join("g")).unwrap(), b"after");
    }
}

#[test]
fn after_a_failure_nothing_more_is_written() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("a"), "a").unwrap();
    fs::write(tree.path().join("b"), "b").unwrap();
    let entries = everything(tree.path());
    fs::remove_file(tree.path().join("b")).unwrap();
    let mut out = Vec::new();
    let error = write_zip(tree.path(), &entries, Level::Default, &mut out).unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, .. } if path == Path::new("b")),
        "{error:?}"
    );
    let target = tempfile::tempdir().unwrap();
    let error = unpack(&out, target.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn a_failing_output_is_told_from_a_failing_tree() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let tree = sample();
    let error = write_zip(tree.path(), &everything(tree.path()), Level::Default, Full).unwrap_err();
    assert!(matches!(error, Error::Output { source } if source.kind() == std::io::ErrorKind::StorageFull));
    let error = write_zip(tree.path(), &[], Level::Default, Full).unwrap_err();
    assert!(matches!(error, Error::Output { .. }));
}

#[test]
fn a_directory_exchanged_for_a_link_is_not_read_through() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("d")).unwrap();
    fs::create_dir(outer.path().join("secret")).unwrap();
    fs::write(root.join("d/key"), "mine").unwrap();
    fs::write(outer.path().join("secret/key"), "theirs").unwrap();
    let entries = everything(&root);
    fs::remove_dir_all(root.join("d")).unwrap();
    symlink("../secret", root.join("d")).unwrap();
    let mut out = Vec::new();
    let error = write_zip(&root, &entries[1..], Level::Fastest, &mut out).unwrap_err();
    assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
    assert!(!out.windows(6).any(|w| w == b"theirs"));
}

#[test]
fn nothing_selected_is_an_empty_archive() {
    let tree = tempfile::tempdir().unwrap();
    let (bytes, written) = zip(tree.path(), Level::Default);
    assert_eq!(written, Written::default());
    assert_eq!(unpack(&bytes, tree.path()).unwrap(), Extracted::default());
}

#[test]
#[ignore = "reads and writes 4 GiB"]
fn a_file_over_four_gibibytes_uses_zip64() {
    let tree = tempfile::tempdir().unwrap();
    let size = (1_u64 << 32) + 5;
    File::create(tree.path().join("huge")).unwrap().set_len(size).unwrap();
    fs::write(tree.path().join("z"), "after").unwrap();
    let (bytes, written) = zip(tree.path(), Level::Fast);
    assert_eq!(written.bytes, size + 5);
    let mut archive = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(archive.by_name("huge").unwrap().size(), size);
    let mut after = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("z").unwrap(), &mut after).unwrap();
    assert_eq!(after, "after");
}

/// Runs python3, or says that it is not here.
#[expect(clippy::print_stdout, reason = "a skipped check must be said aloud")]
fn python(script: &str, arguments: &[&Path]) -> Option<String> {
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

#[test]
fn other_programs_read_our_archives() {
    let tree = sample();
    let file = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
    fs::write(file.path(), zip(tree.path(), Level::Default).0).unwrap();
    let list = "
import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
for i in z.infolist():
    print(i.filename.encode('utf-8', 'replace').hex() if not i.filename.isascii() else i.filename,
          oct(i.external_attr >> 16), i.file_size, i.date_time[0])
";
    if let Some(listed) = python(list, &[file.path()]) {
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 18);
        for line in [
            "bin/ 0o41777 0 2001",
            "bin/tool 0o100755 10 2020",
            "deep/broken 0o120777 17 ".trim_end(),
            "empty 0o100644 0 2023",
        ] {
            assert!(lines.iter().any(|l| l.starts_with(line)), "{line}\n{listed}");
        }
        let snow: String = "größe/☃.txt".bytes().map(|b| format!("{b:02x}")).collect();
        assert!(lines.iter().any(|l| l.starts_with(&snow)), "{listed}");
    }
    match Command::new("unzip").arg("-t").arg(file.path()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
            assert!(text.contains("No errors detected"), "{text}");
        }
        Err(e) => println!("SKIPPED: unzip cannot be run ({e})"),
    }
}

#[test]
fn archives_of_python_unpack_here() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.zip");
    let make = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('plain', 'hello' * 1000)
    i = zipfile.ZipInfo('d/é', (2020, 2, 29, 12, 30, 8)); i.external_attr = 0o100640 << 16
    z.writestr(i, 'x')
    i = zipfile.ZipInfo('nomode', (2001, 1, 1, 0, 0, 0)); i.create_system = 0
    z.writestr(i, b'')
    i = zipfile.ZipInfo('l'); i.external_attr = 0o120777 << 16
    z.writestr(i, 'plain')
    i = zipfile.ZipInfo('d/e/'); i.external_attr = 0o40711 << 16
    z.writestr(i, '')
";
    if python(make, &[&file]).is_none() {
        return;
    }
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let extracted = extract(&root, File::open(&file).unwrap(), &ExtractOptions::default()).unwrap();
    assert_eq!((extracted.files, extracted.directories, extracted.links), (3, 1, 1));
    assert_eq!(fs::read_to_string(root.join("l")).unwrap(), "hello".repeat(1000));
    let accented = fs::metadata(root.join("d/é")).unwrap();
    assert_eq!((accented.mode(), accented.mtime()), (0o100_640, 1_582_979_408));
    assert_eq!(fs::metadata(root.join("d/e")).unwrap().mode(), 0o40_711);
    assert_eq!(fs::read(root.join("nomode")).unwrap(), b"");
}
