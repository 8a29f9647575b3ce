//! Every row of docs/compatibility.md has a state and a test, and the test is there.
use std::path::Path;

const STATES: [&str; 4] = ["honoured", "differs", "ignored", "refused"];

/// What is wrong with a row, if anything.
fn complaint(repository: &Path, row: &str) -> Option<String> {
    let row = row.trim().replace("\\|", "/");
    let inner = row.strip_prefix('|').and_then(|r| r.strip_suffix('|')).unwrap_or(&row);
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let [what, state, tests, note] = cells.as_slice() else {
        return Some(format!("{} columns, not 4", cells.len()));
    };
    if !STATES.contains(state) {
        return Some(format!("{what}: state {state:?}"));
    }
    if *state != "honoured" && note.is_empty() {
        return Some(format!("{what}: {state} without a note"));
    }
    let references: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    if references.is_empty() {
        return Some(format!("{what}: no test"));
    }
    references
        .into_iter()
        .find_map(|reference| missing(repository, reference).map(|why| format!("{what}: {why}")))
}

fn missing(repository: &Path, reference: &str) -> Option<String> {
    let Some((file, name)) = reference.split_once("::") else {
        return Some(format!("{reference} is not file::name"));
    };
    let Ok(text) = std::fs::read_to_string(repository.join(file)) else {
        return Some(format!("{file} is not there"));
    };
    let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("{name:?}"));
    (!there).then(|| format!("{file} has no test or case {name}"))
}

#[test]
fn every_row_has_a_state_and_a_test() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let text = std::fs::read_to_string(repository.join("docs/compatibility.md")).unwrap();
    let areas = text.split("\n## ").skip(1);
    let rows = areas.flat_map(|area| {
        area.lines()
            .filter(|l| l.starts_with("| ") && !l.starts_with("| what |"))
    });
    let wrong: Vec<String> = rows.filter_map(|row| complaint(repository, row)).collect();
    assert!(wrong.is_empty(), "docs/compatibility.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_row_without_a_test_is_noticed() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for (row, expected) in [
        ("| a | honoured | |", "3 columns, not 4"),
        ("| a | honoured | | |", "a: no test"),
        ("| a | honoured | none | |", "a: no test"),
        ("| a | fine | `x::y` | |", "a: state \"fine\""),
        ("| a | ignored | `x::y` | |", "a: ignored without a note"),
        ("| a | honoured | `x::y` | |", "a: x is not there"),
        (
            "| a | honoured | `README.md::nothing_like_it` | |",
            "a: README.md has no test or case nothing_like_it",
        ),
    ] {
        assert_eq!(complaint(repository, row).as_deref(), Some(expected), "{row}");
    }
    let good = "| a | honoured | `crates/xtask/tests/compatibility.rs::a_row_without_a_test_is_noticed` | |";
    assert_eq!(complaint(repository, good), None);
}
