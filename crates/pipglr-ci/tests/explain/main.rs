//! Runs every folder of `tests/explain/cases/`: for each job that `jobs.txt` names, `NAME.json` has what is explained of
//! it and its variables.
//!
//! `UPDATE_CASES=1` writes the expected files; read them before keeping them.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the harness reads its cases; the crate itself does no I/O"
)]

#[path = "../evaluation/world.rs"]
mod world;

use pipglr_ci::explain::{explain, variables};
use pipglr_ci::{Request, SourceFile};
use std::fs;
use std::path::Path;
use world::CaseWorld;

#[test]
fn jobs_are_explained_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain/cases");
    let mut folders: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 8, "only {} cases found", folders.len());
    let differences: Vec<String> = folders.iter().flat_map(|folder| check(folder)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn check(folder: &Path) -> Vec<String> {
    let source = SourceFile {
        path: ".gitlab-ci.yml".to_owned(),
        text: fs::read_to_string(folder.join(".gitlab-ci.yml")).unwrap(),
    };
    let world = CaseWorld::open(folder);
    let request = Request {
        file: &source,
        inputs: &world.description.inputs,
        context: &world.context(),
        world: &world,
    };
    let jobs = fs::read_to_string(folder.join("jobs.txt")).unwrap();
    jobs.lines().filter_map(|job| compare(folder, &request, job)).collect()
}

fn compare(folder: &Path, request: &Request<'_>, job: &str) -> Option<String> {
    let told = serde_json::json!({
        "explanation": explain(request, job),
        "variables": variables(request, job),
    });
    let actual = serde_json::to_string_pretty(&told).unwrap() + "\n";
    let file = folder.join(format!("{}.json", job.replace(['/', ' ', ':'], "_")));
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(&file, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    (expected != actual).then(|| format!("== {}\n-- expected\n{expected}\n-- actual\n{actual}", file.display()))
}
