//! Selection of entries from real trees.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pipglr_archive::glob::Problem;
use pipglr_archive::{EntryKind, Note, Selection, select};

/// Creates files (and, for names ending in `/`, directories) below a new directory.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in names {
        let path = root.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }
    root
}

fn paths(paths: &[&str]) -> Selection {
    Selection {
        paths: paths.iter().map(ToString::to_string).collect(),
        ..Selection::default()
    }
}

fn found(pattern: &str, count: usize) -> Note {
    Note::Found {
        pattern: pattern.into(),
        count,
    }
}

fn no_match(pattern: &str) -> Note {
    Note::NoMatch {
        pattern: pattern.into(),
    }
}

fn excluded(pattern: &str, count: usize) -> Note {
    Note::Excluded {
        pattern: pattern.into(),
        count,
    }
}

fn outside(path: &str) -> Note {
    Note::OutsideRoot { path: path.into() }
}

#[track_caller]
fn check(root: &Path, selection: &Selection, names: &[&str], notes: &[Note]) {
    let (entries, got) = select(root, selection);
    let entries: Vec<_> = entries.iter().map(|e| e.name.to_str().unwrap()).collect();
    assert_eq!(entries, names);
    assert_eq!(got, notes);
}

#[test]
fn a_matched_directory_is_taken_with_everything_in_it() {
    let root = tree(&["d/a", "d/.b", "d/e/f", "other", "d.x"]);
    let whole = ["d", "d/.b", "d/a", "d/e", "d/e/f"];
    for path in ["d", "d/", "./d", "x/../d", "d/."] {
        check(root.path(), &paths(&[path]), &whole, &[found("d", 5)]);
    }
    check(root.path(), &paths(&["d/**"]), &whole, &[found("d/**", 5)]);
    check(root.path(), &paths(&["[d]"]), &whole, &[found("[d]", 5)]);
}

#[test]
fn names_are_sorted_by_bytes_and_listed_once() {
    let root = tree(&["d/a", "d.x", "d-y"]);
    check(
        root.path(),
        &paths(&["d*", "**/*", "d"]),
        &["d", "d-y", "d.x", "d/a"],
        &[found("d*", 4), found("**/*", 4), found("d", 2)],
    );
}

#[test]
fn patterns_match_relative_to_the_root() {
    let root = tree(&["m.o", "src/m.o", "src/m.c", "src/x/.o", "empty/"]);
    check(root.path(), &paths(&["*.o"]), &["m.o"], &[found("*.o", 1)]);
    check(
        root.path(),
        &paths(&["**/*.o"]),
        &["m.o", "src/m.o", "src/x/.o"],
        &[found("**/*.o", 3)],
    );
    check(
        root.path(),
        &paths(&["src/{m.c,x/*}"]),
        &["src/m.c", "src/x/.o"],
        &[found("src/{m.c,x/*}", 2)],
    );
    check(root.path(), &paths(&["empty"]), &["empty"], &[found("empty", 1)]);
    check(
        root.path(),
        &paths(&["src/\\m.o"]),
        &["src/m.o"],
        &[found("src/\\m.o", 1)],
    );
    check(root.path(), &paths(&["src[^x]m.o"]), &[], &[no_match("src[^x]m.o")]);
}

#[test]
fn the_root_stands_for_all_it_contains_and_is_no_entry_itself() {
    let root = tree(&["a", "d/b"]);
    let absolute = root.path().to_str().unwrap();
    for path in [".", "./", "d/..", absolute] {
        check(root.path(), &paths(&[path]), &["a", "d", "d/b"], &[found(".", 3)]);
    }
}

#[test]
fn absolute_paths_count_if_they_are_inside() {
    let root = tree(&["d/a"]);
    let inside = root.path().join("d/*");
    let selection = paths(&[
        inside.to_str().unwrap(),
        "/etc/passwd",
        "../x",
        "d/../../x",
        "*/../../x",
    ]);
    let notes = [
        found("d/*", 1),
        outside("/etc/passwd"),
        outside("../x"),
        outside("d/../../x"),
        outside("*/../../x"),
    ];
    check(root.path(), &selection, &["d/a"], &notes);
}

#[test]
fn what_cannot_be_used_is_noted() {
    let root = tree(&["a"]);
    let (entries, notes) = select(root.path(), &paths(&["", "[a", "none", "none/*"]));
    assert_eq!(entries, []);
    let [Note::EmptyPath, Note::BadPattern { pattern, error }, rest @ ..] = &notes[..] else {
        panic!("{notes:?}");
    };
    assert_eq!((pattern.as_str(), error.position), ("[a", 0));
    assert_eq!(error.problem, Problem::UnclosedClass);
    assert_eq!(rest, [no_match("none"), no_match("none/*")]);
}

#[test]
fn a_missing_root_is_noted() {
    let (entries, notes) = select(Path::new("/nonexistent/root"), &paths(&["a"]));
    assert_eq!(entries, []);
    let error = std::io::ErrorKind::NotFound;
    let path = PathBuf::from("/nonexistent/root");
    assert_eq!(notes, [Note::Unreadable { path, error }]);
}

#[test]
fn excludes_match_whole_relative_paths_and_not_contents() {
    let root = tree(&["d/a.o", "d/b", "d/e/c.o"]);
    let select = |exclude: &[&str]| Selection {
        exclude: exclude.iter().map(ToString::to_string).collect(),
        ..paths(&["d"])
    };
    let only_directory = select(&["d"]);
    check(
        root.path(),
        &only_directory,
        &["d/a.o", "d/b", "d/e", "d/e/c.o"],
        &[found("d", 4), excluded("d", 1)],
    );
    check(
        root.path(),
        &select(&["./d/e/**", "**/*.o", "*.o"]),
        &["d", "d/b"],
        &[found("d", 2), excluded("./d/e/**", 2), excluded("**/*.o", 1)],
    );
    let absolute = root.path().join("d/b");
    check(
        root.path(),
        &select(&["/etc", absolute.to_str().unwrap(), "d/**"]),
        &[],
        &[
            outside("/etc"),
            no_match("d"),
            excluded(absolute.to_str().unwrap(), 1),
            excluded("d/**", 4),
        ],
    );
}

#[test]
fn links_are_entries_and_never_entered() {
    let root = tree(&["real/f"]);
    symlink("real", root.path().join("link")).unwrap();
    symlink("nowhere", root.path().join("broken")).unwrap();
    let (entries, notes) = select(root.path(), &paths(&["**"]));
    let got: Vec<_> = entries.iter().map(|e| (e.name.to_str().unwrap(), e.kind)).collect();
    let expected = [
        ("broken", EntryKind::Symlink),
        ("link", EntryKind::Symlink),
        ("real", EntryKind::Directory),
        ("real/f", EntryKind::File),
    ];
    assert_eq!(got, expected);
    assert_eq!(notes, [found("**", 4)]);
    check(root.path(), &paths(&["*/f"]), &["real/f"], &[found("*/f", 1)]);
    check(root.path(), &paths(&["link"]), &["link"], &[found("link", 1)]);
}

#[test]
fn a_literal_path_may_pass_a_link_that_stays_inside() {
    let root = tree(&["real/f"]);
    symlink("real", root.path().join("link")).unwrap();
    let (entries, notes) = select(root.path(), &paths(&["link/*", "link"]));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name, Path::new("link/f"));
    assert_eq!(entries[0].source, Path::new("real/f"));
    let left_out = Note::LinkLeftOut { path: "link".into() };
    assert_eq!(notes, [found("link/*", 1), found("link", 1), left_out]);
}

#[test]
fn a_literal_path_through_a_link_out_of_the_root_takes_nothing() {
    let outer = tree(&["secret/key", "root/a"]);
    let root = outer.path().join("root");
    symlink("../secret", root.join("out")).unwrap();
    symlink(outer.path().join("secret"), root.join("absolute")).unwrap();
    let selection = Selection {
        extra: Some(vec![
            "out/key".into(),
            "a".into(),
            "gone".into(),
            "../secret/key".into(),
        ]),
        ..paths(&["out/key", "out/*", "absolute/**", "out/../a"])
    };
    let notes = [
        outside("out/key"),
        outside("out/*"),
        outside("absolute/**"),
        found("a", 1),
        outside("out/key"),
        outside("../secret/key"),
        Note::Extra { count: 1 },
    ];
    check(&root, &selection, &["a"], &notes);
}

#[test]
fn extra_files_are_taken_alone_and_pass_the_excludes() {
    let root = tree(&["d/a", "b.log", "c*"]);
    let selection = Selection {
        exclude: vec!["*.log".into()],
        extra: Some(vec!["d/".into(), "b.log".into(), "c*".into(), "c*".into()]),
        ..Selection::default()
    };
    let notes = [Note::Extra { count: 3 }, excluded("*.log", 1)];
    check(root.path(), &selection, &["c*", "d"], &notes);
    let nothing = Selection {
        extra: Some(Vec::new()),
        ..Selection::default()
    };
    check(root.path(), &nothing, &[], &[Note::Extra { count: 0 }]);
}

#[test]
fn sockets_are_entries_of_their_own_kind() {
    let root = tree(&[]);
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("s")).unwrap();
    let (entries, _) = select(root.path(), &paths(&["s"]));
    assert_eq!(entries[0].kind, EntryKind::Special);
}
