//! What is generated from the command line's description.

use crate::support::{called, pipglr, repository};
use std::process::Command;

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
        assert!(!told.out.contains("Process 1 of a"), "{shell} offers what nobody calls");
    }
}

#[test]
fn names_of_jobs_are_completed_where_a_command_takes_them() {
    let text = "unit: { script: [x] }\nui test: { script: [x], rules: [{ when: never }] }\nlint: { script: [x] }\n";
    let project = repository(&[(".gitlab-ci.yml", text), (".gitignore", ".local\n")]);
    for (line, expected) in [
        ("ci explain u", "unit|ui\\ test|"),
        ("local --needs l", "lint|"),
        ("local --from u", "unit|ui\\ test|"),
        ("ci lin", "lint|"),
        ("ci variables --off", "--offline|"),
        ("ci j", "|"),
        ("job", "|"),
        ("loc", "local|"),
    ] {
        let program = env!("CARGO_BIN_EXE_pipglr");
        let script = format!(
            "source <({program} completion bash); COMP_WORDS=({program} {line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _pipglr_with_jobs {program} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s|' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(project.path()).env_clear();
        bash.env("HOME", project.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let told = called(&mut bash);
        assert_eq!((told.out.as_str(), told.err.as_str()), (expected, ""), "{line}");
    }
}

#[test]
fn zsh_and_fish_ask_for_names_of_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let script = |shell: &str| called(&mut pipglr(directory.path(), &["completion", shell])).out;
    let zsh = script("zsh");
    assert!(zsh.starts_with("#compdef pipglr\n"), "{zsh}");
    // JOB of three commands, --from and --manual, and the function itself.
    assert_eq!(zsh.matches("_pipglr_jobs").count(), 6);
    assert_eq!(script("fish").matches("(pipglr ci jobs 2>/dev/null)").count(), 4);
}
