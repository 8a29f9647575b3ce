//! `CACHE_COMPRESSION_FORMAT` and `CACHE_COMPRESSION_LEVEL`.

use crate::place::{NO_URL_UP, Place};
use pipglr_runner::container_side::helper::Phase;
use std::fs;
use std::os::unix::fs::symlink;

/// What the archive is told by.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Zip,
    ZipZstd,
    TarZst,
}

/// By the first bytes, and for zip by the method of the first entry.
fn told(archive: &[u8]) -> Told {
    match archive {
        [b'P', b'K', 3, 4, _, _, _, _, 93, 0, ..] => Told::ZipZstd,
        [b'P', b'K', 3, 4, _, _, _, _, 0 | 8, 0, ..] => Told::Zip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Told::TarZst,
        other => panic!("no archive: {:?}", &other[..other.len().min(16)]),
    }
}

#[test]
fn formats_are_those_of_the_variable() {
    for (name, format, expected) in [
        ("default format", "", Told::Zip),
        ("zip", "zip", Told::Zip),
        ("zipzstd", "zipzstd", Told::ZipZstd),
        ("tarzstd", "tarzstd", Told::TarZst),
        ("case does not count", "TarZSTD", Told::TarZst),
        ("unknown format is zip", "rar", Told::Zip),
    ] {
        let place = Place::new();
        place.write("dir/file", "content");
        symlink("file", place.project().join("dir/link")).unwrap();
        let mut plan = place.archive_plan(place.target("k"), &["dir/file", "dir/link"]);
        plan.format = format.to_owned();
        let log = place.run(Phase::ArchiveCache(plan));
        assert_eq!(log[3..], [NO_URL_UP, "+ Created cache"], "{name}");
        // The name is the same whatever the format: the next job tells it by the content.
        assert_eq!(told(&fs::read(place.archive("k")).unwrap()), expected, "{name}");
        place.empty_project();
        let log = place.restore(vec![place.source("k")]);
        assert_eq!(log.last().unwrap(), "+ Successfully extracted cache", "{name}: {log:?}");
        assert_eq!(place.read("dir/link").as_deref(), Some("content"), "{name}");
    }
}

#[test]
fn levels_are_those_of_the_variable() {
    let text: String = (0..20_000_u64)
        .map(|n| format!("line {}\n", n * n * 7919 % 10_007))
        .collect();
    let kept = |format: &str, level: &str| {
        let place = Place::new();
        place.write("file", &text);
        // A time is a part of the archive, and of its size.
        let file = fs::File::open(place.project().join("file")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let mut plan = place.archive_plan(place.target("k"), &["file"]);
        (plan.format, plan.compression) = (format.to_owned(), level.to_owned());
        let log = place.run(Phase::ArchiveCache(plan));
        (fs::metadata(place.archive("k")).unwrap().len(), log)
    };
    for format in ["zip", "zipzstd", "tarzstd"] {
        let sizes = ["fastest", "fast", "default", "slow", "slowest"].map(|level| kept(format, level).0);
        assert!(
            sizes.is_sorted_by(|a, b| a >= b) && sizes[0] > sizes[4],
            "{format}: {sizes:?}"
        );
        assert_eq!(kept(format, "").0, sizes[2], "{format}: the default");
        // Names of levels are written in lower case.
        let (size, log) = kept(format, "Slowest");
        assert_eq!(size, sizes[2], "{format}: no level");
        let warning = "! WARNING: compression level \"Slowest\" is invalid, falling back to default";
        assert!(log.contains(&warning.to_owned()), "{log:?}");
    }
}
