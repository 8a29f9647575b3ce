//! `pipglr config check`.

use crate::support::{Called, called, pipglr};

const USABLE: &str = "concurrent = 2\nsentry_dsn = \"x\"\n\n[[runners]]\nurl = \"https://x\"\ntoken = \"t\"\nlimt = 1\nexecutor = \"docker\"\n";

#[test]
fn a_usable_file_is_reported_key_by_key() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.toml"), USABLE).unwrap();
    let said = called(&mut pipglr(directory.path(), &["config", "check", "config.toml"]));
    assert_eq!(
        said.out,
        "config.toml:2:1: warning: `sentry_dsn` has no effect: errors are logged and counted in the metrics, not sent to a third party\n\
         config.toml:7:1: warning: there is no key `runners.limt`: did you mean `runners.limit`?\n\
         config.toml:8:1: note: `runners.executor` differs: `docker` means containers of podman; the name of another executor is warned about and means the same\n\
         config.toml: usable, runners: 1; keys honoured: 4, differing: 1, without effect: 1\n"
    );
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[test]
fn a_file_that_cannot_be_used_fails() {
    for (text, expected) in [
        (
            "concurrent = 0\n",
            "config.toml:1:14: error: `concurrent` must be at least 1\n",
        ),
        (
            "concurrent = [\n",
            "config.toml:1:15: error: unclosed array, expected `]`\n",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.toml"), text).unwrap();
        let said = called(&mut pipglr(directory.path(), &["config", "check", "config.toml"]));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.starts_with(expected), "{said:?}");
        assert!(said.out.contains("not usable, errors: 1"), "{said:?}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let said = called(&mut pipglr(nowhere.path(), &["config", "check", "none.toml"]));
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: cannot read none.toml: "), "{said:?}");
}

#[test]
fn programs_read_the_report_as_json() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.toml"), USABLE).unwrap();
    let said = called(&mut pipglr(
        directory.path(),
        &["config", "check", "--json", "config.toml"],
    ));
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &report["usable"]), (0, &true.into()));
    assert_eq!(report["findings"][1]["line"], 7);
    assert_eq!(report["keys"][0]["key"], "concurrent");
    assert_eq!(report["keys"][1]["state"], "ignored");
}

#[test]
fn lint_refuses_unknown_keys() {
    let directory = tempfile::tempdir().unwrap();
    let lint = || {
        called(&mut pipglr(
            directory.path(),
            &["runner", "lint", "--config", "config.toml"],
        ))
    };
    std::fs::write(directory.path().join("config.toml"), USABLE).unwrap();
    let said = lint();
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            1,
            "config.toml:7:1: there is no key `runners.limt`: did you mean `runners.limit`?\n"
        )
    );
    std::fs::write(directory.path().join("config.toml"), USABLE.replace("limt", "limit")).unwrap();
    let said = lint();
    assert_eq!((said.code, said.out.as_str()), (0, "Configuration file is valid.\n"));
    assert!(!directory.path().join(".runner_system_id").exists());
}

const KEPT: &str = "# mine\nconcurrent = 2 # at most\n\n[[runners]]\n  name = \"first\"\n  url = \"https://x\"\n  \
                    token = \"glrt-abcdefghij\"\n  executor = \"docker\"\n  [runners.docker]\n    image = \"alpine\"\n";

/// `pipglr config …` on a file with this text: what it says, and the file after that.
fn on_file(text: &str, arguments: &[&str], input: &str) -> (Called, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(directory.path().join("new.toml"), text.replace("= 2", "= 3")).unwrap();
    std::fs::write(directory.path().join("input"), input).unwrap();
    let mut command = pipglr(
        directory.path(),
        &[&["config"], arguments, &["--file", "config.toml"]].concat(),
    );
    command.stdin(std::fs::File::open(directory.path().join("input")).unwrap());
    command.env("EDITOR", "sed -i s/concurrent.=.*/concurrent=9/");
    let said = called(&mut command);
    let rest = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(rest, 3, "no stray copy");
    (said, std::fs::read_to_string(&file).unwrap())
}

#[test]
fn a_file_is_changed_where_it_is_asked_for() {
    for (arguments, input, from, to) in [
        (&["set", "concurrent", "4"][..], "", "= 2 #", "= 4 #"),
        (
            &["set", "runners.first.limit", "3"],
            "",
            "executor = \"docker\"\n",
            "executor = \"docker\"\nlimit = 3\n",
        ),
        (&["set", "runners[0].name", "7"], "", "\"first\"", "\"7\""),
        (
            &["set", "runners[0].token", "-"],
            "glrt-new\n",
            "glrt-abcdefghij",
            "glrt-new",
        ),
        (&["apply", "-"], "concurrent = 5\n", KEPT, "concurrent = 5\n"),
        (&["apply", "new.toml"], "", "= 2 #", "= 3 #"),
        (&["edit"], "", "concurrent = 2 # at most", "concurrent=9"),
    ] {
        let (said, file) = on_file(KEPT, arguments, input);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        assert_eq!(file, KEPT.replacen(from, to, 1), "{arguments:?}");
        assert!(said.out.ends_with("config.toml is written\n"), "{said:?}");
        assert!(!said.out.contains("glrt-"), "{said:?}");
    }
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    for (arguments, input, code, expected) in [
        (
            &["set", "concurrent", "0"][..],
            "",
            1,
            "error: config.toml:2:14: `concurrent` must be at least 1\nhint: nothing is changed",
        ),
        (
            &["set", "runners[0].limit", "many"],
            "",
            1,
            "`runners.limit` must be a whole number, not this text",
        ),
        (
            &["set", "runners[0].token", "glrt-x"],
            "",
            2,
            "error: `runners[0].token` is a secret: others see arguments, so it is read from standard input\n\
             hint: pipglr config set runners[0].token - <FILE\n",
        ),
        (
            &["set", "runners.second.limit", "1"],
            "",
            1,
            "no runner is named \"second\"; there are: \"first\"",
        ),
        (&["set", "runners[0", "1"], "", 2, "is no path of a value"),
        (
            &["apply", "-"],
            "concurrent = [\n",
            1,
            "error: -:1:15: unclosed array, expected `]`\nhint: ",
        ),
        (&["apply", "nowhere.toml"], "", 1, "error: cannot read nowhere.toml: "),
    ] {
        let (said, file) = on_file(KEPT, arguments, input);
        assert_eq!((said.code, file.as_str()), (code, KEPT), "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {said:?}");
    }
    let broken = KEPT.replace("concurrent = 2", "concurrent = [");
    let (said, _) = on_file(&broken, &["set", "concurrent", "1"], "");
    assert!(
        said.err.starts_with("error: config.toml: syntax error in line"),
        "{said:?}"
    );
    let (said, _) = on_file(&broken, &["show"], "");
    assert!(said.err.contains("syntax error") && said.out.is_empty(), "{said:?}");
}

#[test]
fn a_configuration_is_shown_without_its_secrets() {
    let hidden = KEPT.replace("glrt-abcdefghij", "[REDACTED]");
    for (arguments, input, code, expected) in [
        (&["show"][..], "", 0, hidden.as_str()),
        (&["show", "--secrets"], "", 0, KEPT),
        (&["get", "runners.first.docker.image"], "", 0, "alpine\n"),
        (&["get", "concurrent"], "", 0, "2\n"),
        (&["get", "runners[0].token", "--secrets"], "", 0, "glrt-abcdefghij\n"),
        (&["get", "runners[0].token"], "", 1, ""),
        (&["diff", "config.toml"], "", 0, ""),
        (
            &["diff", "new.toml"],
            "",
            1,
            " # mine\n-concurrent = 2 # at most\n+concurrent = 3 # at most\n\n",
        ),
        (
            &["diff", "-"],
            &KEPT.replace("ghij", "GHIJ"),
            1,
            "only secrets differ, in lines: 7\n",
        ),
    ] {
        let (said, file) = on_file(KEPT, arguments, input);
        assert_eq!(
            (said.code, said.out.as_str(), file.as_str()),
            (code, expected, KEPT),
            "{arguments:?}: {said:?}"
        );
    }
}

#[test]
fn the_same_again_is_nothing_to_do() {
    let (said, file) = on_file(KEPT, &["set", "concurrent", "2"], "");
    assert_eq!(
        (said.code, said.out.as_str(), file.as_str()),
        (0, "nothing to do: it is the same\n", KEPT)
    );
}

/// Nobody answers where there is no terminal.
#[test]
fn an_editor_that_leaves_mistakes_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    for (editor, expected) in [
        ("sed -i s/2/0/", "the configuration stays as it was"),
        ("false", "the editor \"false\" ended with exit status: 1"),
    ] {
        std::fs::write(&file, KEPT).unwrap();
        let mut command = pipglr(directory.path(), &["config", "edit", "--file", "config.toml"]);
        let said = called(command.env("VISUAL", editor).stdin(std::process::Stdio::null()));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(expected), "{said:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), KEPT);
    }
}
