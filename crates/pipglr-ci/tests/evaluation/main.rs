//! Runs every folder of `tests/cases/<keyword>/<rule>/`: its `.gitlab-ci.yml` must give exactly its `expected.json` (the
//! pipeline, or why there is none), its `diagnostics.txt` (as rendered for a user), or both when there are warnings only.
//!
//! Other files of a folder are the project's, and `world.json` says what else there is (`world.rs`).
//!
//! `UPDATE_CASES=1` writes the expected files; read them before keeping them.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the harness reads its cases; the crate itself does no I/O"
)]

mod world;

use pipglr_ci::{Request, SourceFile, evaluate, render};
use std::fs;
use std::path::{Path, PathBuf};
use world::CaseWorld;

#[test]
fn every_case_evaluates_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders: Vec<PathBuf> = subfolders(&root)
        .iter()
        .flat_map(|keyword| subfolders(keyword))
        .collect();
    assert!(folders.len() >= 60, "only {} cases found", folders.len());
    let failures: Vec<String> = folders.iter().filter_map(|folder| check(&root, folder)).collect();
    assert!(
        failures.is_empty(),
        "{} cases differ:\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// Says what differs, if anything does.
fn check(root: &Path, folder: &Path) -> Option<String> {
    let name = folder.strip_prefix(root).unwrap().display().to_string();
    let text = fs::read_to_string(folder.join(".gitlab-ci.yml")).unwrap();
    // A file that is about its own first bytes cannot start with a comment; it has a `source.txt` instead.
    let source_is_stated = text.starts_with("# Source: ") || folder.join("source.txt").is_file();
    assert!(
        source_is_stated,
        "{name}: the first line must be a comment `# Source: …`"
    );

    let source = SourceFile {
        path: ".gitlab-ci.yml".to_owned(),
        text,
    };
    let world = CaseWorld::open(folder);
    let evaluation = evaluate(&Request {
        file: &source,
        inputs: &world.description.inputs,
        context: &world.context(),
        world: &world,
    });
    let no_pipeline = evaluation
        .no_pipeline
        .map(|reason| serde_json::to_string_pretty(&serde_json::json!({ "no_pipeline": reason.to_string() })).unwrap());
    let pipeline = evaluation
        .pipeline
        .as_ref()
        .map(|pipeline| serde_json::to_string_pretty(pipeline).unwrap())
        .or(no_pipeline)
        .map(|outcome| outcome + "\n");
    let diagnostics = Some(render(&evaluation.diagnostics, &evaluation.sources)).filter(|text| !text.is_empty());

    let mut differences = String::new();
    for (file, actual) in [("expected.json", pipeline), ("diagnostics.txt", diagnostics)] {
        let path = folder.join(file);
        if std::env::var_os("UPDATE_CASES").is_some() {
            match &actual {
                Some(text) => fs::write(&path, text).unwrap(),
                None if path.exists() => fs::remove_file(&path).unwrap(),
                None => {}
            }
            continue;
        }
        let expected = fs::read_to_string(&path).ok();
        if expected != actual {
            differences += &format!(
                "== {name}/{file}\n-- expected\n{}\n-- actual\n{}\n",
                expected.as_deref().unwrap_or("(no file)"),
                actual.as_deref().unwrap_or("(nothing)")
            );
        }
    }
    (!differences.is_empty()).then_some(differences)
}
