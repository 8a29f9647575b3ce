//! `pipglr serve`.

use crate::support::pipglr;
use std::process::{Command, Stdio};

/// As in `pipglr serve | head`, once head has seen enough.
#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".gitlab-ci.yml"), "a: { script: [x] }\n").unwrap();
    for words in [
        &["init", "--quiet"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x",
            "commit",
            "--quiet",
            "-m",
            "x",
        ],
    ] {
        let git = Command::new("git")
            .args(words)
            .current_dir(directory.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .status();
        assert!(git.unwrap().success());
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = pipglr(directory.path(), &["serve", "--data-dir", "data"]);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.as_str()), (Some(141), ""));
}
