//! Caches on the machine.

use crate::place::{NO_URL_DOWN, NO_URL_UP, Place};
use pipglr_runner::container_side::helper::{ArchiveEntry, ArchivePlan, Notice, Phase, RestoreEntry, RestorePlan};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

#[test]
fn what_was_kept_is_restored() {
    let place = Place::new();
    place.write("vendor/deep/file", "content");
    place.write("other", "not cached");
    symlink("deep/file", place.project().join("vendor/link")).unwrap();
    let kept = place.keep(place.target("a/key"), &["$DIRECTORY/"]);
    assert_eq!(
        kept,
        [
            "+ Creating cache a/key...",
            "vendor: found 4 matching artifact files and directories",
            NO_URL_UP,
            "+ Created cache"
        ]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let archive = place.archive("a/key");
    assert_eq!((mode(&archive), mode(archive.parent().unwrap())), (0o600, 0o700));
    let metadata = archive.with_file_name("metadata.json");
    assert_eq!(mode(&metadata), 0o640);
    assert_eq!(fs::read_to_string(metadata).unwrap(), r#"{"cachekey":"a/key"}"#);

    place.empty_project();
    let restored = place.restore(vec![place.source("a/key")]);
    assert_eq!(
        restored,
        [
            "+ Checking cache for a/key...",
            NO_URL_DOWN,
            "+ Successfully extracted cache"
        ]
    );
    assert_eq!(place.read("vendor/link").as_deref(), Some("content"));
    assert_eq!(place.read("other"), None);
}

#[test]
fn keys_are_tried_in_order_until_one_is_there() {
    let place = Place::new();
    place.write("file", "from b");
    place.keep(place.target("b"), &["file"]);
    place.keep(place.target("c"), &["file"]);
    place.empty_project();
    let sources = ["a", "b", "c"].map(|key| place.source(key)).to_vec();
    assert_eq!(
        place.restore(sources),
        [
            "+ Checking cache for a...",
            NO_URL_DOWN,
            "! WARNING: Cache file does not exist",
            "! Failed to extract cache",
            "+ Checking cache for b...",
            NO_URL_DOWN,
            "+ Successfully extracted cache"
        ]
    );
    assert_eq!(place.read("file").as_deref(), Some("from b"));
}

#[test]
fn notices_come_first_and_entries_without_keys_do_nothing() {
    let place = Place::new();
    let notices = vec![
        Notice::Caution("changed".to_owned()),
        Notice::Info("skipped".to_owned()),
    ];
    let restore = RestorePlan {
        entries: vec![RestoreEntry {
            notices: notices.clone(),
            ..RestoreEntry::default()
        }],
        ..RestorePlan::default()
    };
    assert_eq!(place.run(Phase::RestoreCache(restore)), ["! changed", "+ skipped"]);
    let archive = ArchivePlan {
        entries: vec![ArchiveEntry {
            notices,
            ..ArchiveEntry::default()
        }],
        ..ArchivePlan::default()
    };
    assert_eq!(place.run(Phase::ArchiveCache(archive)), ["! changed", "+ skipped"]);
}

#[test]
fn an_unchanged_tree_keeps_its_archive() {
    let place = Place::new();
    place.write("dir/a", "1");
    place.write("dir/b", "1");
    place.keep(place.target("k"), &["dir"]);
    // (what is done to the tree, whether the archive is made anew)
    type Change = fn(&Place);
    let changes: [(&str, Change, bool); 3] = [
        ("nothing", |_| {}, false),
        ("a changed file", |p| p.write("dir/a", "2"), true),
        (
            "a removed file",
            |p| fs::remove_file(p.project().join("dir/b")).unwrap(),
            true,
        ),
    ];
    for (name, change, anew) in changes {
        // Times of files are compared: what was archived lies in the past, what changes now is newer.
        let archive = File::options().write(true).open(place.archive("k")).unwrap();
        let past = SystemTime::now() - Duration::from_secs(100);
        archive.set_modified(past).unwrap();
        for path in ["dir/a", "dir/b", "dir"] {
            if let Ok(file) = File::open(place.project().join(path)) {
                file.set_modified(past - Duration::from_secs(100)).unwrap();
            }
        }
        change(&place);
        let log = place.keep(place.target("k"), &["dir"]);
        assert_eq!(
            log.contains(&"Archive is up to date!".to_owned()),
            !anew,
            "{name}: {log:?}"
        );
        let modified = fs::metadata(place.archive("k")).unwrap().modified().unwrap();
        assert_eq!(modified > past + Duration::from_secs(1), anew, "{name}");
    }
    let restored = Place::new();
    fs::create_dir_all(restored.archive("k").parent().unwrap()).unwrap();
    fs::copy(place.archive("k"), restored.archive("k")).unwrap();
    restored.restore(vec![restored.source("k")]);
    let log = restored.keep(restored.target("k"), &["dir"]);
    assert!(
        log.contains(&"Archive is up to date!".to_owned()),
        "a restored tree: {log:?}"
    );
    assert_eq!(
        (restored.read("dir/a").as_deref(), restored.read("dir/b")),
        (Some("2"), None)
    );
}

#[test]
fn nothing_to_keep_is_no_failure() {
    let place = Place::new();
    assert_eq!(
        place.keep(place.target("k"), &["nowhere"]),
        [
            "+ Creating cache k...",
            "! WARNING: nowhere: no matching files. Ensure that the artifact path is relative to the working directory (ROOT/project)",
            "! WARNING: No files to cache.",
            "+ Created cache"
        ]
    );
    assert!(!place.archive("k").exists());
}

#[test]
fn a_failure_is_said_and_fails_nothing() {
    let place = Place::new();
    place.write("file", "x");
    fs::write(place.root.path().join("cache"), "in the way").unwrap();
    let log = place.keep(place.target("k"), &["file"]);
    assert!(log[2].starts_with("!! ERROR: create ROOT/cache/k: "), "{log:?}");
    assert_eq!(log[3..], ["! Failed to create cache"]);

    let place = Place::new();
    fs::create_dir_all(place.archive("k").parent().unwrap()).unwrap();
    fs::write(place.archive("k"), "PK is not enough").unwrap();
    let log = place.restore(vec![place.source("k")]);
    assert!(log[2].starts_with("!! ERROR: unpack the cache: "), "{log:?}");
    assert_eq!(log[3..], ["! Failed to extract cache"]);
}

#[test]
fn a_cache_cannot_be_unpacked_through_a_link() {
    let place = Place::new();
    place.write("dir/file", "from the cache");
    place.keep(place.target("k"), &["dir/file"]);
    place.empty_project();
    let outside = place.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, place.project().join("dir")).unwrap();
    let log = place.restore(vec![place.source("k")]);
    assert_eq!(log.last().unwrap(), "! Failed to extract cache", "{log:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_failed_try_is_cleaned_up_if_asked() {
    let place = Place::new();
    place.write("dir/file", "half of it");
    place.write("kept", "x");
    let mut plan = place.restore_plan(vec![place.source("k")]);
    plan.entries[0].remove_after_failure = vec!["dir".to_owned(), "../cache".to_owned()];
    fs::create_dir(place.root.path().join("cache")).unwrap();
    let log = place.run(Phase::RestoreCache(plan));
    assert_eq!(
        log[3..],
        ["! Failed to extract cache", "Removing dir"].map(str::to_owned)[..].to_vec(),
        "{log:?}"
    );
    assert_eq!(
        (place.read("dir/file"), place.read("kept").as_deref()),
        (None, Some("x"))
    );
    assert!(place.root.path().join("cache").exists());
}

#[test]
fn untracked_files_are_kept() {
    let place = Place::new();
    place.write("tracked", "x");
    place.write("untracked", "y");
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(place.project())
            .status();
        assert!(status.unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "tracked"]);
    let mut plan = place.archive_plan(place.target("k"), &[]);
    plan.entries[0].untracked = true;
    let log = place.run(Phase::ArchiveCache(plan));
    assert_eq!(log[1], "untracked: found 1 files", "{log:?}");
    place.empty_project();
    place.restore(vec![place.source("k")]);
    assert_eq!(
        (place.read("tracked"), place.read("untracked").as_deref()),
        (None, Some("y"))
    );
}
