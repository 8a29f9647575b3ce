//! Mistakes that strangers make: each folder of `tests/mistakes` has a `.gitlab-ci.yml` and what `pipglr ci lint` says of
//! it. `UPDATE_CASES=1` writes what it says now; read it before keeping it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What all projects have beside the mistake.
const OTHERS: [(&str, &str); 2] = [
    ("ci/base.yml", ".base: &base\n  image: alpine\n"),
    (".gitignore", "home\n"),
];

#[test]
fn every_mistake_gets_an_answer_with_place_and_remedy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 30, "only {} mistakes found", folders.len());
    let project = project();
    let complaints: Vec<String> = folders
        .iter()
        .filter_map(|folder| check(project.path(), folder))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is not as expected of a mistake.
fn check(project: &Path, folder: &Path) -> Option<String> {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    fs::copy(folder.join(".gitlab-ci.yml"), project.join(".gitlab-ci.yml")).unwrap();
    let said = lint(project);
    let file = folder.join("expected.txt");
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(&file, &said).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if said != expected {
        return Some(format!("{name}: expected\n{expected}\nfound\n{said}"));
    }
    // One hint may stand for several problems of the same kind, but something has to help.
    (!said.contains("= help: ") && !said.contains("hint: "))
        .then(|| format!("{name}: no word about what to do\n{said}"))
}

fn lint(project: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pipglr"))
        .args(["ci", "lint"])
        .current_dir(project)
        .env_clear()
        .env("HOME", project.join("home"))
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .unwrap();
    format!(
        "{}{}exit code {}\n",
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap()
    )
}

fn project() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    pipglr_testkit::working_tree::commit(directory.path(), &OTHERS);
    directory
}
