//! Archives and trees made to write outside: nothing outside changes.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::scene::{NAMES_THAT_LEAD_OUT, Scene, assert_refused};
use pipglr_archive::{Error, ExtractNote, ExtractOptions, Extracted, extract};

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const DIRECTORY: u32 = 0o40_755;

/// A zip of stored entries, byte by byte, with names no honest writer would take.
fn zip(entries: &[(&[u8], u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut central = Vec::new();
    for (name, mode, content) in entries {
        let offset = u32::try_from(out.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x50];
        common.extend(crc32(content).to_le_bytes());
        common.extend(size);
        common.extend(size);
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(*name);
        out.extend(*content);
        central.extend(b"PK\x01\x02\x14\x03");
        central.extend(&common);
        central.extend([0; 6]);
        central.extend((mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(*name);
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let offset = u32::try_from(out.len()).unwrap();
    let size = u32::try_from(central.len()).unwrap();
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(size.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

impl Scene {
    fn unpack(&self, entries: &[(&[u8], u32, &[u8])]) -> Result<Extracted, Error> {
        self.extract(zip(entries))
    }
}

#[test]
fn the_builder_builds_archives() {
    let scene = Scene::new();
    let extracted = scene
        .unpack(&[(b"d/", DIRECTORY, b""), (b"d/f", FILE, b"content")])
        .unwrap();
    assert_eq!((extracted.files, extracted.directories, extracted.bytes), (1, 1, 7));
    assert_eq!(fs::read(scene.root().join("d/f")).unwrap(), b"content");
}

#[test]
fn names_that_lead_out_are_refused_before_anything_is_written() {
    for (name, expected) in NAMES_THAT_LEAD_OUT {
        for mode in [FILE, LINK, DIRECTORY] {
            let scene = Scene::new();
            let error = scene.unpack(&[(b"first", FILE, b"1"), (name, mode, b"x")]).unwrap_err();
            assert_refused(&error, expected, name);
            assert_eq!(scene.names(), [""; 0]);
        }
    }
}

#[test]
fn backslashes_and_drive_letters_are_ordinary_characters() {
    let scene = Scene::new();
    let entries: [(&[u8], u32, &[u8]); 3] = [
        (b"..\\..\\outside\\victim", FILE, b"1"),
        (b"C:\\x", FILE, b"2"),
        (b"C:/y", FILE, b"3"),
    ];
    scene.unpack(&entries).unwrap();
    assert_eq!(scene.names(), ["..\\..\\outside\\victim", "C:", "C:\\x"]);
}

#[test]
fn a_file_through_a_link_of_the_archive_stays_inside() {
    for target in ["../outside", "/tmp"] {
        let scene = Scene::new();
        let link = target.as_bytes();
        // The link comes last, onto the directory that the file made: an error, and no file outside.
        let error = scene
            .unpack(&[(b"l", LINK, link), (b"l/victim", FILE, b"bad")])
            .unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path == Path::new("l")),
            "{error:?}"
        );
        assert_eq!(fs::read(scene.root().join("l/victim")).unwrap(), b"bad");
        // A link through a link.
        let scene = Scene::new();
        let error = scene.unpack(&[(b"l", LINK, link), (b"l/new", LINK, b"x")]).unwrap_err();
        assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
        // A directory through a link, and over one.
        let scene = Scene::new();
        let directories: [(&[u8], u32, &[u8]); 2] = [(b"l", LINK, link), (b"l/", DIRECTORY, b"")];
        let error = scene.unpack(&directories).unwrap_err();
        assert!(
            matches!(error, Error::NotBeneath { .. } | Error::Io { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn links_already_in_the_tree_are_not_followed() {
    let scene = Scene::new();
    symlink("../outside", scene.root().join("l")).unwrap();
    symlink("../outside/victim", scene.root().join("f")).unwrap();
    for name in [&b"l/victim"[..], b"l/new/deep", b"l/d/"] {
        let error = scene.unpack(&[(name, FILE, b"bad")]).unwrap_err();
        assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
    }
    // At the target itself a link is replaced.
    scene
        .unpack(&[(b"f", 0o100_600, b"new"), (b"l/", 0o40_711, b"")])
        .unwrap();
    let file = fs::symlink_metadata(scene.root().join("f")).unwrap();
    assert!(file.is_file());
    let directory = fs::symlink_metadata(scene.root().join("l")).unwrap();
    assert_eq!(directory.mode(), 0o40_711);
}

#[test]
fn links_inside_the_tree_are_not_followed_either() {
    let scene = Scene::new();
    fs::create_dir(scene.root().join("real")).unwrap();
    symlink("real", scene.root().join("l")).unwrap();
    let error = scene.unpack(&[(b"l/x", FILE, b"x")]).unwrap_err();
    assert!(matches!(error, Error::NotBeneath { path } if path == Path::new("l/x")));
}

#[test]
fn a_link_may_point_anywhere_and_is_only_a_link() {
    let scene = Scene::new();
    scene
        .unpack(&[(b"l", LINK, b"../outside/victim"), (b"m", LINK, b"/etc/passwd")])
        .unwrap();
    assert_eq!(
        fs::read_link(scene.root().join("l")).unwrap(),
        Path::new("../outside/victim")
    );
    // Its mode and time were not applied to what it points to: checked by `unpack`. Again, over itself:
    let extracted = scene.unpack(&[(b"l", LINK, b"elsewhere")]).unwrap();
    assert_eq!(extracted.links, 1);
    assert_eq!(fs::read_link(scene.root().join("l")).unwrap(), Path::new("elsewhere"));
}

#[test]
fn link_targets_that_cannot_be_are_damage() {
    let long = vec![b'x'; 5000];
    for target in [&b""[..], b"a\0b", &long] {
        let scene = Scene::new();
        let error = scene.unpack(&[(b"l", LINK, target)]).unwrap_err();
        assert!(matches!(error, Error::DamagedEntry { .. }), "{error:?}");
    }
}

#[test]
fn a_hard_link_in_the_tree_is_replaced_not_written_through() {
    let scene = Scene::new();
    fs::hard_link(scene.outer.path().join("outside/victim"), scene.root().join("f")).unwrap();
    scene.unpack(&[(b"f", 0o100_777, b"bad")]).unwrap();
    assert_eq!(fs::read(scene.root().join("f")).unwrap(), b"bad");
}

#[test]
fn names_for_the_same_path_replace_one_another() {
    let scene = Scene::new();
    let entries: [(&[u8], u32, &[u8]); 4] = [
        (b"a", FILE, b"1"),
        (b"./a", FILE, b"2"),
        (b".//a", FILE, b"3"),
        (b"./", 0o40_000, b""),
    ];
    scene.unpack(&entries).unwrap();
    assert_eq!(scene.names(), ["a"]);
    assert_eq!(fs::read(scene.root().join("a")).unwrap(), b"3");
    // The very same name twice: the last one counts.
    scene.unpack(&[(b"a", FILE, b"x"), (b"a", FILE, b"y")]).unwrap();
    assert_eq!(fs::read(scene.root().join("a")).unwrap(), b"y");
}

#[test]
fn a_file_as_a_parent_is_refused() {
    let scene = Scene::new();
    let error = scene.unpack(&[(b"a", FILE, b"1"), (b"a/b", FILE, b"2")]).unwrap_err();
    assert!(matches!(error, Error::NotBeneath { .. }), "{error:?}");
}

#[test]
fn devices_are_skipped_with_a_note() {
    let scene = Scene::new();
    let modes = [0o10_644, 0o20_644, 0o60_644, 0o140_644];
    for mode in modes {
        let extracted = scene.unpack(&[(b"n", mode, b"")]).unwrap();
        let note = ExtractNote::SpecialSkipped { path: "n".into() };
        assert_eq!(extracted.notes, [note]);
    }
    assert_eq!(scene.names(), [""; 0]);
}

#[test]
fn a_size_bomb_stops_at_the_limit() {
    let scene = Scene::new();
    let bytes = zip(&[(b"a", FILE, &[0; 600]), (b"b", FILE, &[0; 600])]);
    scene.assert_limited(&bytes);
}

#[test]
fn damage_is_told_by_entry() {
    let scene = Scene::new();
    let mut bytes = zip(&[(b"a", FILE, b"content")]);
    let at = bytes.windows(7).position(|w| w == b"content").unwrap();
    bytes[at] = b'C';
    let error = extract(&scene.root(), Cursor::new(bytes), &ExtractOptions::default()).unwrap_err();
    assert!(matches!(error, Error::DamagedEntry { name, .. } if name == "a"));
}

#[test]
fn other_formats_are_recognised_and_refused() {
    let scene = Scene::new();
    let unpack = |bytes: &'static [u8]| {
        extract(&scene.root(), Cursor::new(bytes), &ExtractOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(unpack(b"\x1f\x8b\x08\0"), "unpacking a gzip archive is not supported");
    assert_eq!(unpack(b"\x28\xb5\x2f\xfd"), "the archive is damaged or not an archive");
    assert_eq!(unpack(b"ustar"), "the archive's format is not recognised");
    assert_eq!(unpack(b""), "the archive's format is not recognised");
    assert_eq!(unpack(b"PK\x03\x04junk"), "the archive is damaged or not an archive");
}

#[test]
fn every_truncation_is_an_error_and_never_a_panic() {
    let scene = Scene::new();
    let whole = zip(&[(b"d/", DIRECTORY, b""), (b"d/f", FILE, b"content"), (b"l", LINK, b"d")]);
    for length in 0..whole.len() {
        let cut = Cursor::new(&whole[..length]);
        extract(&scene.root(), cut, &ExtractOptions::default()).unwrap_err();
    }
    // Any single changed byte may do anything but leave the root.
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x2f;
        let _either = extract(&scene.root(), Cursor::new(bytes), &ExtractOptions::default());
        scene.assert_outside_untouched();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(scene.root(), open).unwrap();
    }
}
