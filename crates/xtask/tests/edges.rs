//! The dependency edges of ARCHITECTURE.md, checked against what cargo sees.

#![expect(clippy::unwrap_used, reason = "a test")]
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate → crates of ours it may depend on, development dependencies included.
const ALLOWED: [(&str, &[&str]); 11] = [
    (
        "pipglr",
        &[
            "pipglr-coordinator",
            "pipglr-host",
            "pipglr-protocol",
            "pipglr-runner",
            "pipglr-testkit",
        ],
    ),
    (
        "pipglr-runner",
        &["pipglr-archive", "pipglr-podman", "pipglr-protocol", "pipglr-testkit"],
    ),
    (
        "pipglr-coordinator",
        &["pipglr-ci", "pipglr-protocol", "pipglr-testkit"],
    ),
    ("pipglr-host", &[]),
    ("pipglr-ci", &[]),
    ("pipglr-protocol", &[]),
    ("pipglr-podman", &[]),
    ("pipglr-archive", &[]),
    ("pipglr-testkit", &[]),
    (
        "pipglr-e2e",
        &["pipglr-coordinator", "pipglr-protocol", "pipglr-testkit"],
    ),
    ("xtask", &["pipglr-e2e"]),
];
/// Crates that must not be able to do I/O.
const PURE: [&str; 2] = ["pipglr-ci", "pipglr-protocol"];
const IO_CRATES: [&str; 7] = ["tokio", "hyper", "reqwest", "axum", "rustix", "tempfile", "hyper-util"];

fn dependencies() -> BTreeMap<String, BTreeSet<(String, bool)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let named = dependencies.map(|d| {
                (
                    d["name"].as_str().unwrap().to_owned(),
                    d["kind"].as_str() == Some("dev"),
                )
            });
            (package["name"].as_str().unwrap().to_owned(), named.collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_on_what_the_picture_shows() {
    let found = dependencies();
    let ours: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "crates of the workspace and of the table");
    for (name, allowed) in ALLOWED {
        let edges: BTreeSet<&str> = found[name]
            .iter()
            .map(|(d, _)| d.as_str())
            .filter(|d| ours.contains(d))
            .collect();
        let wrong: Vec<&&str> = edges.iter().filter(|d| !allowed.contains(d)).collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}");
    }
}

#[test]
fn pure_crates_cannot_do_io() {
    let found = dependencies();
    for name in PURE {
        let io: Vec<&String> = found[name]
            .iter()
            .filter(|(d, dev)| !dev && IO_CRATES.contains(&d.as_str()))
            .map(|(d, _)| d)
            .collect();
        assert!(io.is_empty(), "{name} depends on {io:?}");
    }
}

#[test]
fn the_test_kit_is_for_tests_only() {
    for (name, dependencies) in dependencies() {
        let shipped = dependencies.contains(&("pipglr-testkit".to_owned(), false));
        assert!(!shipped || name == "pipglr-e2e", "{name} ships pipglr-testkit");
    }
}
