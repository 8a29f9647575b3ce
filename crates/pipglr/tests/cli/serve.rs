//! `pipglr serve`.

use crate::support::{pipglr, repository};
use std::process::Stdio;

/// As in `pipglr serve | head`, once head has seen enough.
#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    let directory = repository(&[(".gitlab-ci.yml", "a: { script: [x] }\n")]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = pipglr(directory.path(), &["serve", "--data-dir", "data"]);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.as_str()), (Some(141), ""));
}
