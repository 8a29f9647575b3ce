//! What is generated from the command line's description.

use crate::support::{called, pipglr};

/// Commands that people call.
const COMMANDS: [&str; 12] = [
    "ci",
    "ci-explain",
    "ci-graph",
    "ci-lint",
    "ci-list",
    "ci-variables",
    "completion",
    "config",
    "health",
    "local",
    "runner",
    "serve",
];

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let told = called(&mut pipglr(directory.path(), &["man", "pages/1"]));
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "", ""));
    let page = |name: &str| std::fs::read_to_string(directory.path().join("pages/1").join(name)).unwrap();
    let first = page("pipglr.1");
    for command in COMMANDS {
        assert!(page(&format!("pipglr-{command}.1")).contains(".TH"), "{command}");
        if !command.contains('-') {
            assert!(first.contains(&format!("pipglr\\-{command}(1)")), "{command}: {first}");
        }
    }
    for hidden in ["pipglr-helper.1", "pipglr-job-init.1"] {
        assert!(!directory.path().join("pages/1").join(hidden).exists(), "{hidden}");
    }
}

#[test]
fn every_shell_completes_every_command() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let told = called(&mut pipglr(directory.path(), &["completion", shell]));
        assert_eq!((told.code, told.err.as_str()), (0, ""));
        for word in [
            "explain",
            "graph",
            "lint",
            "local",
            "serve",
            "variables",
            "shell-on-failure",
        ] {
            assert!(told.out.contains(word), "{shell}: {word}");
        }
    }
}
