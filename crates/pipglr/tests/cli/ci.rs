//! `pipglr ci …`: no podman is there for any of these.

use crate::support::{Called, called, pipglr, repository};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

const FILE: &str = "\
include: base.yml
variables: { A: top }
workflow:
  rules:
    - if: $CI_COMMIT_TAG == null
unit:
  extends: .base
  script: [x]
  rules:
    - if: $CI_PIPELINE_SOURCE == \"schedule\"
      when: never
    - if: $CI_COMMIT_BRANCH
      variables: { A: rule }
tagged: { script: [x], rules: [{ if: $CI_COMMIT_TAG }] }
ship: { stage: deploy, script: [x], needs: [unit], when: manual }
";
const BASE: &str = ".base:\n  image: alpine\n";

fn project() -> tempfile::TempDir {
    repository(&[(".gitlab-ci.yml", FILE), ("base.yml", BASE), (".gitignore", ".local\n")])
}

fn ci(directory: &Path, line: &str) -> Called {
    let all: Vec<&str> = ["ci"].into_iter().chain(line.split(' ')).collect();
    called(pipglr(directory, &all).env("PATH", "/usr/local/bin:/usr/bin:/bin"))
}

/// A call that succeeds, and its standard output as JSON.
fn answer(directory: &Path, line: &str) -> Value {
    let told = ci(directory, line);
    assert_eq!(told.code, 0, "{line}: {}{}", told.out, told.err);
    serde_json::from_str(&told.out).unwrap()
}

#[test]
fn lint_counts_jobs_and_stages() {
    let told = ci(project().path(), "lint");
    assert_eq!(
        (told.code, told.out.as_str(), told.err.as_str()),
        (0, "valid: .gitlab-ci.yml: 2 jobs in 2 stages\n", "")
    );
}

#[test]
fn exit_codes_tell_mistakes_warnings_and_empty_pipelines_apart() {
    let twice = "a: { script: [x] }\na: { script: [x] }\n";
    let tags_only = "a: { script: [x], rules: [{ if: $CI_COMMIT_TAG }] }\n";
    for (text, line, code, last) in [
        ("a: { script: 1 }\n", "lint", 4, "not valid: .gitlab-ci.yml: 1 error\n"),
        (twice, "lint", 0, "valid: .gitlab-ci.yml: 1 job in 1 stage, 1 warning\n"),
        (
            twice,
            "lint --strict",
            4,
            "not valid: .gitlab-ci.yml: 1 warning (--strict)\n",
        ),
        (tags_only, "lint", 5, "choose another pipeline\n"),
        (
            tags_only,
            "lint --tag v1",
            0,
            "valid: .gitlab-ci.yml: 1 job in 1 stage\n",
        ),
        (tags_only, "lint --tag v1 --branch b", 2, ""),
    ] {
        let told = ci(repository(&[(".gitlab-ci.yml", text)]).path(), line);
        assert_eq!(told.code, code, "{line} of {text}: {}{}", told.out, told.err);
        assert!(told.out.ends_with(last), "{line} of {text}: {}", told.out);
    }
}

#[test]
fn lint_reads_other_files_and_standard_input() {
    let project = project();
    std::fs::write(project.path().join("other.yml"), "a: { script: [x], stage: no }\n").unwrap();
    let told = ci(project.path(), "lint ./other.yml");
    assert_eq!(told.code, 4);
    assert!(told.out.contains(" --> other.yml:1:26"), "{}", told.out);

    let mut child = pipglr(project.path(), &["ci", "lint", "-"])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"include: base.yml\na: { extends: .base, script: [x] }\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()),
        (Some(0), "valid: <stdin>: 1 job in 1 stage\n")
    );
}

#[test]
fn a_file_outside_of_a_repository_is_linted_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".gitlab-ci.yml"), "a: { script: [x] }\n").unwrap();
    let told = ci(directory.path(), "lint");
    assert_eq!(
        (told.code, told.out.as_str()),
        (0, "valid: .gitlab-ci.yml: 1 job in 1 stage\n")
    );
    assert!(
        told.err.starts_with("note: this is no git working tree: "),
        "{}",
        told.err
    );
    let told = ci(directory.path(), "lint nothing.yml");
    assert_eq!(told.code, 4, "{}", told.err);
    assert!(told.err.starts_with("error: read nothing.yml"), "{}", told.err);
}

#[test]
fn lint_as_json_has_places_and_hints() {
    let project = repository(&[(".gitlab-ci.yml", "a:\n  script: [x]\n  imag: alpine\n")]);
    let told = ci(project.path(), "lint --json");
    assert_eq!(told.code, 4);
    assert_eq!(
        serde_json::from_str::<Value>(&told.out).unwrap(),
        json!({
            "file": ".gitlab-ci.yml",
            "valid": false,
            "no_pipeline": null,
            "jobs": 0,
            "stages": 0,
            "files": [".gitlab-ci.yml"],
            "diagnostics": [{
                "severity": "error",
                "message": "jobs:a config contains unknown keys: imag",
                "hint": "did you mean `image`?",
                "path": ".gitlab-ci.yml",
                "line": 3,
                "column": 3,
            }],
        })
    );
}

#[test]
fn the_list_has_a_row_for_each_job() {
    let project = project();
    assert_eq!(
        ci(project.path(), "list").out,
        "\
STAGE   JOB   WHEN        NEEDS  ALLOW_FAILURE
test    unit  on_success  -      no
deploy  ship  manual      unit   yes
"
    );
    let list = answer(project.path(), "list --json");
    assert_eq!(list["jobs"][1]["needs"][0]["job"], "unit");
    assert_eq!(list["jobs"][1]["allow_failure"], "yes");
}

#[test]
fn the_graph_has_four_forms() {
    let project = project();
    for (format, first) in [
        ("text", "test\n  unit\n\ndeploy\n  ship (manual)  ← unit\n"),
        ("dot", "digraph pipeline {\n"),
        ("mermaid", "flowchart LR\n"),
    ] {
        let told = ci(project.path(), &format!("graph --format {format}"));
        assert!(told.code == 0 && told.out.starts_with(first), "{}", told.out);
    }
    let graph = answer(project.path(), "graph --json");
    assert_eq!(graph, answer(project.path(), "graph --format json"));
    assert_eq!(
        (&graph["edges"][0]["from"], &graph["edges"][0]["to"]),
        (&json!("unit"), &json!("ship"))
    );
}

#[test]
fn a_job_is_explained_by_places_and_rules() {
    let project = project();
    let told = ci(project.path(), "explain unit");
    assert_eq!(told.code, 0, "{}", told.err);
    for line in [
        "unit is in the pipeline.\n",
        "  1. does not match (.gitlab-ci.yml:10)\n     if: $CI_PIPELINE_SOURCE == \"schedule\"  is false\n",
        "  2. matches (.gitlab-ci.yml:12)\n",
        "image        \"alpine\"",
        "base.yml:2         .base, included\n",
        "variables:A  \"rule\"",
        "rule 2\n",
    ] {
        assert!(told.out.contains(line), "{line}\n{}", told.out);
    }
    let told = ci(project.path(), "explain unit --schedule");
    assert!(
        told.out
            .starts_with("unit is not in the pipeline: Rule 1 says `when: never`.\n"),
        "{}",
        told.out
    );
    let told = ci(project.path(), "explain tagged");
    assert!(
        told.out
            .starts_with("tagged is not in the pipeline: No rule matches.\n"),
        "{}",
        told.out
    );
    let told = ci(project.path(), "explain unit --tag v1");
    assert!(told.out.contains("filtered out by workflow rules"), "{}", told.out);
    let told = ci(project.path(), "explain Unit");
    assert_eq!(
        (told.code, told.err.as_str()),
        (2, "error: there is no job Unit\nhint: did you mean unit?\n")
    );
    assert_eq!(
        answer(project.path(), "explain unit --json")["presence"]["is"],
        "present"
    );
}

#[test]
fn variables_are_listed_with_what_sets_them() {
    let project = project();
    let told = ci(project.path(), "variables unit -e B=run");
    assert_eq!(told.code, 0, "{}", told.err);
    let rows: Vec<Vec<&str>> = told.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(
        rows.contains(&vec!["A", "rule", "rule", "2", ".gitlab-ci.yml:12"]),
        "{}",
        told.out
    );
    assert!(rows.contains(&vec!["B", "run", "this", "run"]), "{}", told.out);
    assert!(
        rows.contains(&vec!["CI_COMMIT_BRANCH", "main", "GitLab"]),
        "{}",
        told.out
    );
    let all = answer(project.path(), "variables unit --json");
    let of_a: Vec<&Value> = all["variables"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| v["key"] == "A")
        .collect();
    assert_eq!(of_a.len(), 2);
    assert_eq!(
        (&of_a[0]["value"], &of_a[0]["overridden"]),
        (&json!("top"), &json!(true))
    );
}

#[test]
fn options_say_what_is_evaluated() {
    let file = "spec: { inputs: { level: { type: number, default: 1 } } }\n---\n\"job $[[ inputs.level ]]\": { script: [x], rules: [{ if: $EXTRA }] }\n";
    let project = repository(&[("ci/other.yml", file)]);
    let list = answer(
        project.path(),
        "list --json --file ci/other.yml -e EXTRA=1 --input level=7",
    );
    assert_eq!(list["jobs"][0]["name"], "job 7");
    assert_eq!(
        ci(project.path(), "list --file ci/other.yml").code,
        5,
        "without the variable"
    );
    assert_eq!(ci(project.path(), "list").code, 4, "without the file");
}

#[test]
fn nobody_sees_a_masked_value() {
    let settings = "project:\n  KEY: { value: hidden-value, masked: true }\n";
    let project = project();
    std::fs::write(project.path().join("settings.yml"), settings).unwrap();
    for line in [
        "variables unit",
        "variables unit --json",
        "explain unit",
        "explain unit --json",
    ] {
        let told = ci(project.path(), &format!("{line} --variables-file settings.yml"));
        assert_eq!(told.code, 0, "{}", told.err);
        assert!(!told.out.contains("hidden-value"), "{}", told.out);
    }
}

#[test]
fn mistakes_keep_the_others_from_answering() {
    let project = repository(&[(".gitlab-ci.yml", "a: { script: 1 }\n")]);
    for line in ["list", "graph", "explain a", "variables a"] {
        let told = ci(project.path(), line);
        assert_eq!((told.code, told.out.as_str()), (4, ""), "{line}");
        assert!(
            told.err.starts_with("error: .gitlab-ci.yml has mistakes\n"),
            "{line}: {}",
            told.err
        );
    }
}
