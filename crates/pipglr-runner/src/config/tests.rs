use super::{Checked, check_config, parse_config};
use std::time::Duration;

/// Findings as `line:column: severity: message`.
fn said(text: &str) -> Vec<String> {
    check_config(text).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_gitlab_runner_wrote_is_read_without_a_word() {
    let text = r#"
concurrent = 4
check_interval = 0
connection_max_age = "15m0s"
shutdown_timeout = 0
[session_server]
  session_timeout = 1800
[[runners]]
  name = "podman-1"
  url = "https://gitlab.example.com/"
  id = 12345
  token = "glrt-XXXX"
  token_obtained_at = 2026-08-22T10:10:10Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "docker"
  environment = ["A=b=c", "FF_TIMESTAMPS=false"]
  [runners.cache]
    MaxUploadedArchiveSize = 0
    [runners.cache.s3]
      AssumeRoleMaxConcurrency = 0
    [runners.cache.gcs]
    [runners.cache.azure]
  [runners.docker]
    tls_verify = false
    image = "alpine:3.20"
    privileged = false
    disable_entrypoint_overwrite = false
    oom_kill_disable = false
    disable_cache = false
    volumes = ["/cache"]
    volume_keep = false
    pull_policy = "if-not-present"
    shm_size = 0
    network_mtu = 0
"#;
    assert_eq!(said(text), Vec::<String>::new());
    let config = parse_config(text, "config.toml").unwrap().config;
    assert_eq!(
        (config.concurrent, config.check_interval()),
        (4, Duration::from_secs(3))
    );
    let runner = &config.runners[0];
    assert_eq!(
        (runner.name.as_str(), runner.id, runner.token.expose()),
        ("podman-1", 12345, "glrt-XXXX")
    );
    assert_eq!(runner.docker.pull_policy, ["if-not-present"]);
    assert_eq!(runner.environment, ["A=b=c", "FF_TIMESTAMPS=false"]);
    assert_eq!(runner.token_expires_at(), None, "year 1 is never");
}

/// One runner that nothing is to be said about, and more keys of it.
fn runner(keys: &str) -> String {
    format!("[[runners]]\nurl = \"https://x\"\ntoken = \"t\"\n{keys}\n")
}

/// `@` stands for a runner that nothing is to be said about.
const SAID: [(&str, &str); 22] = [
    (
        "sentry_dsn = \"x\"",
        "1:1: warning: `sentry_dsn` has no effect: errors are logged and counted in the metrics, not sent to a third party",
    ),
    (
        "@  [runners.docker]\n    links = [\"a:b\"]\n    volumes_from = []",
        "5:5: warning: `runners.docker.links` has no effect: podman has no links",
    ),
    (
        "@[runners.kubernetes]\nhost = \"x\"",
        "4:10: warning: `runners.kubernetes` has no effect: belongs to an executor that is not available",
    ),
    (
        "concurent = 3",
        "1:1: warning: there is no key `concurent`: did you mean `concurrent`?",
    ),
    (
        "@image = \"alpine\"",
        "4:1: warning: there is no key `runners.image`: did you mean `runners.docker.image`?",
    ),
    (
        "@whatever = 1",
        "4:1: warning: there is no key `runners.whatever`: remove it",
    ),
    (
        "concurrent = \"x\"",
        "1:14: error: `concurrent` must be a whole number, not this text",
    ),
    ("# many\nconcurrent = 0", "2:14: error: `concurrent` must be at least 1"),
    (
        "log_level = \"loud\"",
        "1:13: error: `log_level` must be one of debug, info, warn, warning, error, fatal, panic",
    ),
    (
        "@unhealthy_interval = \"soon\"",
        "4:22: error: `runners.unhealthy_interval` must be a duration such as \"15m\", not this text",
    ),
    (
        "@environment = [\"A=1\", 2]",
        "4:15: error: `runners.environment` must be a list of texts, not this list",
    ),
    (
        "@docker = \"yes\"",
        "4:10: error: `runners.docker` must be a table, not this text",
    ),
    (
        "runners = [1]",
        "1:12: error: `runners` must be a list of tables, not a whole number",
    ),
    (
        "@token_expires_at = \"2030-01-01T00:00:00Z\"",
        "4:20: error: `runners.token_expires_at` must be a date and time, not this text",
    ),
    (
        "@[runners.docker]\ntls_cert_path = 5",
        "5:1: warning: `runners.docker.tls_cert_path` has no effect: podman is reached by a socket",
    ),
    (
        "@limit = -1",
        "4:9: warning: `runners.limit` is negative, which counts as 0",
    ),
    (
        "@limit = 99999999999",
        "4:9: error: invalid value: integer `99999999999`, expected u32",
    ),
    (
        "concurrent = 1\n[[runners]]\n  limit = [\n",
        "3:12: error: unclosed array, expected `]`",
    ),
    (
        "[[runners]]\nurl = \"https://x\"",
        "1:1: warning: this runner has no `token` and is skipped: add one with `register`",
    ),
    (
        "[[runners]]\ntoken = \"t\"",
        "1:1: warning: this runner has no `url`, the address of its GitLab instance, and is skipped",
    ),
    (
        "@executor = \"shell\"",
        "1:1: warning: executor \"shell\" is not available: jobs of this runner run in containers of podman",
    ),
    (
        "@[runners.labels]\nx = \"y\"",
        "1:1: error: label \"x\": a name has 3 to 65 letters, digits, `_`, `.`, `-` and begins with none of the last two",
    ),
];

#[test]
fn everything_is_said_with_its_place() {
    for (text, expected) in SAID {
        let text = match text.strip_prefix('@') {
            Some(keys) => runner(keys),
            None => text.to_owned(),
        };
        let said = said(&text);
        assert!(said.iter().any(|s| s == expected), "{text}\n{said:#?}");
    }
}

#[test]
fn all_errors_of_a_file_are_told_at_once() {
    let error = parse_config("concurrent = true\ncheck_interval = \"x\"\nnonsense = 1\n", "c.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "c.toml:1:14: `concurrent` must be a whole number, not true or false\n\
         c.toml:2:18: `check_interval` must be a whole number, not this text"
    );
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    for text in [
        "concurrent = \"glrt-secret\"",
        "glrt = \"glrt-secret\"",
        "token = [\"glrt-secret\"]",
    ] {
        let said = said(text).join("\n");
        assert!(!said.is_empty() && !said.contains("glrt-secret"), "{said}");
    }
}

#[test]
fn names_match_in_any_case() {
    let config = parse_config("CONCURRENT = 3\n[[Runners]]\nToken = \"t\"\n", "c")
        .unwrap()
        .config;
    assert_eq!((config.concurrent, config.runners[0].token.expose()), (3, "t"));
}

#[test]
fn an_empty_text_is_none() {
    let text = runner("tls-ca-file = \"\"\nunhealthy_interval = \"\"");
    let config = parse_config(&text, "c").unwrap().config;
    assert_eq!(
        (&config.runners[0].tls_ca_file, config.runners[0].unhealthy_interval),
        (&None, None)
    );
}

#[test]
fn labels_are_inherited() {
    let text = format!(
        "labels = {{ team = \"a\", site = \"b\" }}\n{}[runners.labels]\nteam = \"c\"\n",
        runner("")
    );
    let config = parse_config(&text, "c").unwrap().config;
    let expected = [("site".to_owned(), "b".to_owned()), ("team".to_owned(), "c".to_owned())];
    assert_eq!(config.runners[0].labels, expected.into());
}

#[test]
fn the_keys_of_a_file_are_listed_in_its_order() {
    let Checked { used, .. } =
        check_config("concurrent = 1\n[[runners]]\ntoken = \"t\"\nlimit = 1\n[runners.docker]\nimage = \"a\"\n");
    let listed: Vec<String> = used.iter().map(|u| format!("{} {}", u.place, u.key.path)).collect();
    assert_eq!(
        listed,
        [
            "1:1 concurrent",
            "2:3 runners",
            "3:1 runners.token",
            "4:1 runners.limit",
            "5:10 runners.docker",
            "6:1 runners.docker.image"
        ]
    );
}

#[test]
fn an_empty_file_has_the_defaults() {
    let config = parse_config("", "c").unwrap().config;
    assert_eq!((config.concurrent, config.runners.len()), (1, 0));
    assert_eq!(config.connection_max_age(), Some(Duration::from_secs(900)));
}

/// A job's journal keeps the settings it was accepted under.
#[test]
fn settings_survive_the_journal() {
    let text = "[[runners]]\nname = \"r\"\nurl = \"https://h/\"\ntoken = \"t\"\nlimit = 3\nprepare_timeout = \"90s\"\n\
                environment = [\"A=b\"]\n[runners.docker]\nimage = \"i\"\npull_policy = \"always\"\nvolumes = [\"/c\"]\n\
                shm_size = 5\n[[runners.docker.services]]\nname = \"s\"\nalias = \"x\"\n[runners.artifact]\nupload_timeout = \"1h\"\n";
    let runner = &parse_config(text, "c").unwrap().config.runners[0];
    let written = serde_json::to_value(runner).unwrap();
    let read: crate::config::RunnerConfig = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    assert_eq!(read.prepare_timeout, Some(Duration::from_secs(90)));
    assert_eq!(
        (read.docker.pull_policy, read.docker.services.len()),
        (vec!["always".to_owned()], 1)
    );
}
