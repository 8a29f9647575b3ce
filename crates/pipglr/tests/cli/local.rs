//! `pipglr local`, as far as it goes without podman.

use crate::support::{Called, called, pipglr, repository};
use std::path::Path;

fn local(directory: &Path, arguments: &[&str]) -> Called {
    let all: Vec<&str> = ["local"].iter().chain(arguments).copied().collect();
    called(pipglr(directory, &all).env("PATH", "/usr/local/bin:/usr/bin:/bin"))
}

#[test]
fn outside_of_a_working_tree_it_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let told = local(directory.path(), &[]);
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    assert!(
        told.err.starts_with("error: fatal: not a git repository"),
        "{}",
        told.err
    );
    assert!(
        told.err
            .contains("\nhint: pipglr local runs the pipeline of the git working tree"),
        "{}",
        told.err
    );
}

#[test]
fn a_project_without_a_configuration_is_told_to_write_one() {
    let told = local(repository(&[("a", "")]).path(), &[]);
    assert_eq!((told.code, told.out.as_str()), (4, ""));
    assert!(told.err.starts_with("error: no .gitlab-ci.yml"), "{}", told.err);
    assert!(told.err.contains("\nhint: write a .gitlab-ci.yml"), "{}", told.err);
}

#[test]
fn mistakes_in_the_configuration_are_shown_where_they_are() {
    let project = repository(&[(".gitlab-ci.yml", "a:\n  script: [x]\n  stage: nowhere\n")]);
    let told = local(project.path(), &[]);
    assert_eq!((told.code, told.out.as_str()), (4, ""));
    assert!(
        told.err.starts_with("error: .gitlab-ci.yml has mistakes\n"),
        "{}",
        told.err
    );
    assert!(told.err.contains("nowhere"), "{}", told.err);
}

#[test]
fn a_wrong_command_line_is_told_from_a_failed_pipeline() {
    let project = repository(&[(".gitlab-ci.yml", "a: { script: [x] }\n")]);
    for (arguments, word) in [
        (&["--pull", "sometimes"][..], "if-not-present"),
        (&["--timeout", "soon"], "write 90s, 10m or 1h30m"),
        (&["--concurrent", "0"], "--concurrent"),
        (&["--shell-on-failure"], "needs a terminal"),
        (&["--offline", "--pull", "always"], "cannot be used with"),
    ] {
        let told = local(project.path(), arguments);
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.err);
        assert!(told.err.contains(word), "{arguments:?}: {}", told.err);
    }
}

#[test]
fn the_help_says_what_exit_codes_mean() {
    let directory = tempfile::tempdir().unwrap();
    let help = local(directory.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for code in [
        "    3  the pipeline failed",
        "    5  there is nothing to run",
        "  130  it was canceled",
    ] {
        assert!(help.out.contains(code), "{}", help.out);
    }
}
