//! `pipglr config check`.

use crate::support::{called, pipglr};

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
