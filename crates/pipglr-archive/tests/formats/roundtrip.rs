//! Trees through our writers and back, the same for every format that keeps trees.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::tree::{everything, sample, set, snapshot, unpack};
use pipglr_archive::{Entry, Error, Extracted, Format, Level, WriteNote, Written, ZipMethod, write_tar_zst, write_zip};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    ZipZstd,
    TarZst,
}

const KINDS: [Kind; 3] = [Kind::Zip, Kind::ZipZstd, Kind::TarZst];
const LEVELS: [Level; 5] = [Level::Fastest, Level::Fast, Level::Default, Level::Slow, Level::Slowest];

impl Kind {
    fn write<W: Write>(self, root: &Path, entries: &[Entry], level: Level, out: W) -> Result<Written, Error> {
        match self {
            Self::Zip => write_zip(root, entries, ZipMethod::Deflate, level, out),
            Self::ZipZstd => write_zip(root, entries, ZipMethod::Zstd, level, out),
            Self::TarZst => write_tar_zst(root, entries, level, out),
        }
    }

    fn archive(self, root: &Path, level: Level) -> (Vec<u8>, Written) {
        let mut bytes = Vec::new();
        let written = self.write(root, &everything(root), level, &mut bytes).unwrap();
        (bytes, written)
    }
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let tree = sample();
    for kind in KINDS {
        for level in LEVELS {
            let (bytes, written) = kind.archive(tree.path(), level);
            assert_eq!((written.entries, &written.notes[..]), (18, &[][..]));
            let target = tempfile::tempdir().unwrap();
            let extracted = unpack(&bytes, target.path()).unwrap();
            assert_eq!((extracted.files, extracted.directories, extracted.links), (8, 7, 3));
            assert_eq!(extracted.bytes, written.bytes);
            assert_eq!(snapshot(target.path()), snapshot(tree.path()), "{kind:?} {level:?}");
        }
    }
}

#[test]
fn unpacking_again_replaces_and_changes_nothing() {
    for kind in KINDS {
        let tree = sample();
        let (bytes, _) = kind.archive(tree.path(), Level::Fast);
        let target = tempfile::tempdir().unwrap();
        fs::write(target.path().join("kept"), "k").unwrap();
        unpack(&bytes, target.path()).unwrap();
        fs::write(target.path().join("zeros"), "spoilt").unwrap();
        // Only a superuser may write into a read-only directory, which is what the sample contains.
        set(&target.path().join("deep/er"), 0o755, 1);
        unpack(&bytes, target.path()).unwrap();
        let mut got = snapshot(target.path());
        assert_eq!(got.remove(Path::new("kept")).unwrap().2, b"k");
        assert_eq!(got, snapshot(tree.path()), "{kind:?}");
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let tree = sample();
    for kind in KINDS {
        let bytes = kind.archive(tree.path(), Level::Default).0;
        assert_eq!(bytes, kind.archive(tree.path(), Level::Default).0);
        let format = if kind == Kind::TarZst {
            Format::Zstd
        } else {
            Format::Zip
        };
        assert_eq!(Format::detect(&bytes), Some(format));
    }
}

#[test]
fn levels_of_zstd_are_used() {
    let tree = tempfile::tempdir().unwrap();
    let text: String = (0..20_000_u64)
        .map(|n| format!("line {}\n", n * n * 7919 % 10_007))
        .collect();
    fs::write(tree.path().join("t"), &text).unwrap();
    let size = |kind: Kind, level| kind.archive(tree.path(), level).0.len();
    // A zip can store, a stream of zstd cannot.
    assert!(size(Kind::ZipZstd, Level::Fastest) > text.len());
    assert_eq!(size(Kind::TarZst, Level::Fastest), size(Kind::TarZst, Level::Fast));
    for kind in [Kind::ZipZstd, Kind::TarZst] {
        let sizes = LEVELS[1..].iter().map(|&level| size(kind, level));
        let sizes: Vec<_> = sizes.collect();
        assert!(
            sizes.is_sorted_by(|a, b| a >= b) && sizes[0] > sizes[3],
            "{kind:?} {sizes:?}"
        );
    }
}

#[test]
fn special_files_are_skipped_with_a_note() {
    let tree = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("s")).unwrap();
    for kind in KINDS {
        let (_, written) = kind.archive(tree.path(), Level::Default);
        let note = WriteNote::SpecialSkipped { path: "s".into() };
        assert_eq!((written.entries, written.notes), (0, vec![note]));
    }
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
    // In a tar archive the size is told before: what is missing is zeros. Its first byte is only written when much of
    // the file was read.
    for (kind, change, stored, unpacked) in [
        (Kind::Zip, grow as fn(&Path), 300_000..=300_000, 300_000),
        (Kind::Zip, shrink, 10..=10, 10),
        (Kind::ZipZstd, shrink, 10..=10, 10),
        (Kind::TarZst, grow, 300_000..=300_000, 300_000),
        (Kind::TarZst, shrink, 10..=299_999, 300_000),
    ] {
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
        let written = kind.write(tree.path(), &entries, Level::Default, &mut out).unwrap();
        let [
            WriteNote::SizeChanged {
                path,
                expected: 300_000,
                stored: was,
            },
        ] = &written.notes[..]
        else {
            panic!("{kind:?}: {:?}", written.notes);
        };
        assert_eq!(path, Path::new("f"));
        assert!(stored.contains(was), "{kind:?}: {was}");
        let target = tempfile::tempdir().unwrap();
        unpack(&out.out, target.path()).unwrap();
        let length = fs::metadata(target.path().join("f")).unwrap().len();
        assert_eq!(length, unpacked, "{kind:?}");
        assert_eq!(fs::read(target.path().join("g")).unwrap(), b"after");
    }
}

#[test]
fn after_a_failure_nothing_makes_the_archive_look_whole() {
    for kind in KINDS {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("a"), "a").unwrap();
        fs::write(tree.path().join("b"), "b").unwrap();
        let entries = everything(tree.path());
        fs::remove_file(tree.path().join("b")).unwrap();
        let mut out = Vec::new();
        let error = kind.write(tree.path(), &entries, Level::Default, &mut out).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path == Path::new("b")),
            "{error:?}"
        );
        let target = tempfile::tempdir().unwrap();
        let error = unpack(&out, target.path()).unwrap_err();
        // Of a small stream, not even the beginning was written.
        assert!(
            matches!(error, Error::Damaged { .. } | Error::UnknownFormat),
            "{error:?}"
        );
    }
}

#[test]
fn a_failing_output_is_told_from_a_failing_tree() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tree = sample();
    for kind in KINDS {
        let error = kind
            .write(tree.path(), &everything(tree.path()), Level::Default, Full)
            .unwrap_err();
        assert!(matches!(error, Error::Output { source } if source.kind() == io::ErrorKind::StorageFull));
        let error = kind.write(tree.path(), &[], Level::Default, Full).unwrap_err();
        assert!(matches!(error, Error::Output { .. }));
    }
}

#[test]
fn a_directory_exchanged_for_a_link_is_not_read_through() {
    for kind in KINDS {
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
        let error = kind.write(&root, &entries[1..], Level::Fastest, &mut out).unwrap_err();
        assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
        assert!(!out.windows(6).any(|w| w == b"theirs"));
    }
}

#[test]
fn nothing_selected_is_an_empty_archive() {
    let tree = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let (bytes, written) = kind.archive(tree.path(), Level::Default);
        assert_eq!(written, Written::default());
        assert_eq!(unpack(&bytes, tree.path()).unwrap(), Extracted::default());
    }
}

/// Something to put into a tree.
#[derive(Debug, Clone)]
enum Thing {
    File(Vec<u8>),
    Directory,
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let any = proptest::collection::vec(any::<u8>(), 1..20);
    // Together, long ones pass what a header of tar can hold.
    let long = (1_usize..250).prop_map(|length| vec![b'n'; length]);
    let common = proptest::sample::select(vec!["a", "b", "ä", "..b", ".c", "d ", "\\", "C:"]);
    prop_oneof![
        4 => common.prop_map(|name| name.as_bytes().to_vec()),
        2 => any.prop_filter("a name", |name| {
            !name.contains(&0) && !name.contains(&b'/') && name != b"." && name != b".."
        }),
        1 => long,
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    let content = proptest::collection::vec(any::<u8>(), 0..2000);
    let repeated = (0_usize..200_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    let target = proptest::collection::vec(1..=255_u8, 1..300);
    prop_oneof![
        content.prop_map(Thing::File),
        repeated.prop_map(Thing::File),
        Just(Thing::Directory),
        target.prop_map(Thing::Link),
    ]
}

/// Puts what can be there into a tree: not what lies below a file, or where something is already.
fn plant(root: &Path, path: &[Vec<u8>], thing: &Thing, mode: u32, time: u32) {
    let path: PathBuf = path.iter().map(|c| std::ffi::OsString::from_vec(c.clone())).collect();
    let path = root.join(path);
    let inside = path.parent().unwrap().ancestors().all(|p| !p.is_symlink());
    if !inside || fs::create_dir_all(path.parent().unwrap()).is_err() || fs::symlink_metadata(&path).is_ok() {
        return;
    }
    match thing {
        Thing::File(content) => {
            fs::write(&path, content).unwrap();
            set(&path, mode & 0o7777 | 0o400, time.into());
        }
        Thing::Directory => {
            fs::create_dir(&path).unwrap();
            set(&path, mode & 0o1777 | 0o700, time.into());
        }
        Thing::Link(target) => symlink(std::ffi::OsString::from_vec(target.clone()), &path).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_as_it_was(
        things in proptest::collection::vec(
            (proptest::collection::vec(name(), 1..4), thing(), any::<u32>(), any::<u32>()), 0..12),
        level in proptest::sample::select(&LEVELS[..]),
    ) {
        let tree = tempfile::tempdir().unwrap();
        for (path, thing, mode, time) in &things {
            plant(tree.path(), path, thing, *mode, *time);
        }
        for kind in KINDS {
            let (bytes, written) = kind.archive(tree.path(), level);
            prop_assert_eq!(&written.notes, &[]);
            let target = tempfile::tempdir().unwrap();
            unpack(&bytes, target.path()).unwrap();
            prop_assert_eq!(snapshot(target.path()), snapshot(tree.path()), "{:?}", kind);
        }
    }
}
