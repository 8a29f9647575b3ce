//! Compressed tar archives made to write outside: nothing outside changes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use crate::scene::{NAMES_THAT_LEAD_OUT, Scene, assert_refused};
use pipglr_archive::{Error, ExtractNote, Extracted};
use tar::{EntryType, Header};

use EntryType::{Directory, Link, Regular, Symlink};

/// Kind, name, content; of a link, the content is its target.
type Item<'a> = (EntryType, &'a [u8], &'a [u8]);

/// A tar archive with names no honest writer would take, not compressed.
fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, content) in items {
        let is_link = matches!(kind, Symlink | Link);
        // A name with NUL bytes only fits an entry of its own.
        let long = [(EntryType::GNULongName, *name), (EntryType::GNULongLink, *content)];
        for (kind, text) in long.into_iter().take(if is_link { 2 } else { 1 }) {
            if text.len() > 100 || text.contains(&0) {
                block(&mut out, kind, b"././@LongLink", b"", text);
            }
        }
        if is_link {
            block(&mut out, *kind, name, content, b"");
        } else {
            block(&mut out, *kind, name, b"", content);
        }
    }
    out.extend([0; 1024]);
    out
}

fn block(out: &mut Vec<u8>, kind: EntryType, name: &[u8], target: &[u8], content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o640);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(content.len() as u64);
    let fields = header.as_old_mut();
    fields.name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    fields.linkname[..target.len().min(100)].copy_from_slice(&target[..target.len().min(100)]);
    header.set_cksum();
    out.extend(header.as_bytes());
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::copy(&mut &tar[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}

impl Scene {
    fn untar(&self, items: &[Item<'_>]) -> Result<Extracted, Error> {
        self.extract(packed(&tar(items)))
    }
}

#[test]
fn the_builder_builds_archives() {
    let scene = Scene::new();
    let extracted = scene
        .untar(&[
            (Directory, b"d/", b""),
            (Regular, b"d/f", b"content"),
            (Link, b"h", b"d/f"),
        ])
        .unwrap();
    assert_eq!((extracted.files, extracted.directories, extracted.links), (1, 1, 1));
    assert_eq!(fs::read(scene.root().join("h")).unwrap(), b"content");
    assert_eq!(fs::metadata(scene.root().join("h")).unwrap().nlink(), 2);
}

#[test]
fn names_that_lead_out_are_refused() {
    for (name, expected) in NAMES_THAT_LEAD_OUT {
        for kind in [Regular, Symlink, Directory, Link] {
            let scene = Scene::new();
            let error = scene
                .untar(&[(Regular, b"first", b"1"), (kind, name, b"first")])
                .unwrap_err();
            assert_refused(&error, expected, name);
            assert_eq!(scene.names(), ["first"]);
        }
        // As what a hard link is to.
        let scene = Scene::new();
        let error = scene.untar(&[(Link, b"h", name)]).unwrap_err();
        assert_refused(&error, expected, name);
        assert_eq!(scene.names(), [""; 0]);
    }
}

#[test]
fn hard_links_are_made_to_files_inside_only() {
    let scene = Scene::new();
    symlink("../outside", scene.root().join("l")).unwrap();
    symlink("../outside/victim", scene.root().join("f")).unwrap();
    fs::create_dir(scene.root().join("d")).unwrap();
    for (target, refused) in [
        (
            &b"l/victim"[..],
            "`l/victim` lies behind something that is not a real directory",
        ),
        (b"f", "`f` is not a regular file"),
        (b"d", "`d` is not a regular file"),
        (b"gone", "cannot create the link `h`"),
        (b"d/gone", "cannot create the link `h`"),
        (b".", "`` lies behind something that is not a real directory"),
    ] {
        let error = scene.untar(&[(Link, b"h", target)]).unwrap_err();
        assert_eq!(error.to_string(), refused);
        assert!(!scene.root().join("h").exists());
    }
    // Through a link of the archive: it does not exist yet.
    let error = scene
        .untar(&[(Symlink, b"new", b"../outside"), (Link, b"h", b"new/victim")])
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    // Its own name, and what is linked is not written through.
    let items: [Item<'_>; 4] = [
        (Regular, b"a", b"1"),
        (Link, b"a", b"a"),
        (Link, b"h", b"a"),
        (Regular, b"h", b"2"),
    ];
    scene.untar(&items).unwrap();
    assert_eq!(fs::read(scene.root().join("a")).unwrap(), b"1");
    assert_eq!(fs::read(scene.root().join("h")).unwrap(), b"2");
}

#[test]
fn a_hard_link_in_the_tree_is_neither_written_through_nor_changed() {
    let scene = Scene::new();
    fs::hard_link(scene.outer.path().join("outside/victim"), scene.root().join("f")).unwrap();
    // The new name is inside; mode and time of the file stay, as `extract` checks.
    scene.untar(&[(Link, b"h", b"f"), (Regular, b"f", b"bad")]).unwrap();
    assert_eq!(fs::read(scene.root().join("f")).unwrap(), b"bad");
}

#[test]
fn a_file_through_a_link_of_the_archive_stays_inside() {
    for target in [&b"../outside"[..], b"/tmp"] {
        let scene = Scene::new();
        let error = scene
            .untar(&[(Symlink, b"l", target), (Regular, b"l/victim", b"bad")])
            .unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path == Path::new("l")),
            "{error:?}"
        );
        assert_eq!(fs::read(scene.root().join("l/victim")).unwrap(), b"bad");
        let scene = Scene::new();
        let error = scene
            .untar(&[(Symlink, b"l", target), (Symlink, b"l/new", b"x")])
            .unwrap_err();
        assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
    }
}

#[test]
fn links_already_in_the_tree_are_not_followed() {
    let scene = Scene::new();
    symlink("../outside", scene.root().join("l")).unwrap();
    symlink("../outside/victim", scene.root().join("f")).unwrap();
    for kind in [Regular, Directory, Symlink, Link] {
        let items: [Item<'_>; 2] = [(Regular, b"ok", b"x"), (kind, b"l/victim", b"ok")];
        let error = scene.untar(&items).unwrap_err();
        assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
    }
    scene.untar(&[(Regular, b"f", b"new"), (Directory, b"l", b"")]).unwrap();
    assert!(fs::symlink_metadata(scene.root().join("f")).unwrap().is_file());
    assert!(fs::symlink_metadata(scene.root().join("l")).unwrap().is_dir());
}

#[test]
fn link_targets_that_cannot_be_are_damage() {
    let long = vec![b'x'; 5000];
    for target in [&b""[..], b"a\0b", &long] {
        let scene = Scene::new();
        let error = scene.untar(&[(Symlink, b"l", target)]).unwrap_err();
        assert!(matches!(error, Error::DamagedEntry { .. }), "{error:?}");
    }
}

#[test]
fn devices_are_skipped_with_a_note() {
    let scene = Scene::new();
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::new(b'Z')] {
        let extracted = scene.untar(&[(kind, b"n", b"")]).unwrap();
        let note = ExtractNote::SpecialSkipped { path: "n".into() };
        assert_eq!(extracted.notes, [note]);
    }
    assert_eq!(scene.names(), [""; 0]);
}

#[test]
fn bombs_stop_at_the_limit() {
    let scene = Scene::new();
    let bytes = packed(&tar(&[(Regular, b"a", &[0; 600]), (Regular, b"b", &[0; 600])]));
    scene.assert_limited(&bytes);
    // A name is held in memory, and therefore bounded.
    let error = scene.untar(&[(Regular, &[b'n'; 2 * 1024 * 1024], b"")]).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn what_ends_early_is_damage() {
    let scene = Scene::new();
    let whole = tar(&[
        (Directory, b"d/", b""),
        (Regular, b"d/f", b"content"),
        (Symlink, b"l", b"d"),
    ]);
    let compressed = packed(&whole);
    for length in 0..compressed.len() {
        scene.extract(compressed[..length].to_vec()).unwrap_err();
    }
    // The end of the tar archive itself is not missed, as it is nowhere else; the end of a file is.
    scene.extract(packed(&whole[..whole.len() - 1024])).unwrap();
    for length in [100, 512 + 100, 1024 + 3] {
        let error = scene.extract(packed(&whole[..length])).unwrap_err();
        assert!(
            matches!(error, Error::Damaged { .. } | Error::DamagedEntry { .. }),
            "{length}: {error:?}"
        );
    }
}

#[test]
fn any_changed_byte_stays_inside() {
    let scene = Scene::new();
    let whole = tar(&[
        (Directory, b"d/", b""),
        (Regular, b"d/f", b"content"),
        (Link, b"h", b"d/f"),
        (Symlink, b"l", b"d"),
    ]);
    let compressed = packed(&whole);
    // Whether that is an error depends on where it was; `extract` checks that nothing outside changed.
    for at in 0..compressed.len() {
        let mut bytes = compressed.clone();
        bytes[at] ^= 0x2f;
        let _either = scene.extract(bytes);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x2f;
        let _either = scene.extract(packed(&bytes));
    }
}
