use super::{Key, Kind, SECRETS, State, all, is_secret};
use crate::config::{Config, check_config};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Keys without effect that jobs are told of, too.
const NAMED_IN_JOB_LOGS: [&str; 8] = [
    "runners.docker.cache_dir",
    "runners.docker.device_cgroup_rules",
    "runners.docker.isolation",
    "runners.docker.links",
    "runners.docker.log_options",
    "runners.docker.mac_address",
    "runners.docker.oom_kill_disable",
    "runners.docker.pid_mode",
];

/// A file with this key, in the tables it belongs to.
fn file_with(key: &Key, value: &str) -> String {
    let (mut text, mut path) = (String::new(), String::new());
    for part in key.parent().split('.').filter(|p| !p.is_empty()) {
        path = if path.is_empty() {
            part.to_owned()
        } else {
            format!("{path}.{part}")
        };
        let table = all().find(|k| k.path == path).expect("the table of a key is a key");
        let header = if table.kind == Kind::Tables {
            format!("[[{path}]]")
        } else {
            format!("[{path}]")
        };
        text.push_str(&format!("{header}\n"));
    }
    format!("{text}{} = {value}\n", key.name())
}

fn samples(kind: Kind) -> Vec<String> {
    let samples: &[&str] = match kind {
        Kind::Text => &["\"7\""],
        Kind::Word(words) => return words.iter().map(|w| format!("{w:?}")).collect(),
        Kind::Whole | Kind::Count | Kind::Positive => &["7"],
        Kind::Switch => &["true", "false"],
        Kind::Duration => &["\"7s\""],
        Kind::Time => &["2030-01-01T00:00:00Z"],
        Kind::Texts => &["[\"a7\"]"],
        Kind::TextOrTexts => &["\"a7\"", "[\"a7\"]"],
        Kind::TextMap => &["{ aaa = \"b7\" }"],
        Kind::SwitchMap => &["{ aaa = true }"],
        Kind::TextsMap => &["{ aaa = [\"b7\"] }"],
        Kind::Table | Kind::Tables => &["{}"],
        Kind::Anything => &["{ aaa = 1 }"],
    };
    samples.iter().map(|s| (*s).to_owned()).collect()
}

/// Whether the model has a field for the key.
fn reaches_the_model(key: &Key) -> bool {
    let config = |text: &str| -> Config {
        let checked = check_config(text);
        checked
            .config
            .unwrap_or_else(|| panic!("{text}\n{:?}", checked.findings))
    };
    let differs = |value: &String| {
        let with = file_with(key, value);
        let without = with
            .rsplit_once('\n')
            .and_then(|(t, _)| t.rsplit_once('\n'))
            .map_or("", |(t, _)| t);
        format!("{:?}", config(&with)) != format!("{:?}", config(without))
    };
    samples(key.kind).iter().any(differs)
}

/// A key is honoured, or differs, exactly if the model has a field for it.
#[test]
fn states_and_the_model_agree() {
    let values = all().filter(|k| !matches!(k.kind, Kind::Table | Kind::Tables) && !SECRETS.contains(&k.path));
    let wrong: Vec<String> = values
        .filter_map(|key| match (reaches_the_model(key), key.state) {
            (true, State::Ignored) if NAMED_IN_JOB_LOGS.contains(&key.path) => None,
            (true, State::Ignored) => Some(format!("{} is in the model: change its state in config/keys", key.path)),
            (false, State::Honoured | State::Differs) => Some(format!("{} is not in the model", key.path)),
            _ => None,
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_key_has_a_table_and_a_note_and_stands_once() {
    let mut seen = BTreeSet::new();
    for key in all() {
        assert!(seen.insert(key.path.to_ascii_lowercase()), "{} stands twice", key.path);
        assert!(!key.note.is_empty(), "{}", key.path);
        let parent = all().find(|k| k.path == key.parent());
        assert!(
            key.parent().is_empty() || parent.is_some_and(|p| matches!(p.kind, Kind::Table | Kind::Tables)),
            "{} has no table",
            key.path
        );
    }
}

/// What `register` writes is a key.
#[test]
fn options_of_register_are_keys() {
    for option in crate::registration::OPTIONS {
        let path = format!("runners.{}", option.key);
        assert!(all().any(|k| k.path == path), "--{} writes {path}", option.flag);
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// Compares the part of a document between two marks with what it should be; with `UPDATE_DOCS` set, writes it.
fn assert_up_to_date(document: &str, name: &str, expected: &str) {
    let path = repository().join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{document} has no {begin}"));
    let (between, after) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("{document} has no {end}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert!(
        between == expected,
        "{document} is not up to date: UPDATE_DOCS=1 cargo nextest run --package pipglr-runner documents_"
    );
}

fn file_of(key: &Key) -> &'static str {
    match key.path.split('.').collect::<Vec<_>>()[..] {
        ["runners", "docker", _, ..] => "docker.rs",
        ["runners", "cache", _, ..] => "cache.rs",
        ["runners", "podman", ..] | ["runners"] => "global.rs",
        ["runners", ..] => "runner.rs",
        _ => "global.rs",
    }
}

/// Rows for options of `register` and `run-single`.
fn option_rows() -> String {
    let rows = crate::registration::OPTIONS.iter().map(|option| {
        let path = format!("runners.{}", option.key);
        let key = all().find(|k| k.path == path).unwrap();
        let env = if option.env.is_empty() {
            String::new()
        } else {
            format!(", `{}`", option.env)
        };
        let note = if key.state == State::Honoured {
            String::new()
        } else {
            format!("as `{path}`")
        };
        format!(
            "| `--{}`{env} | {} | `crates/pipglr-runner/src/registration/options.rs::{}` | {note} |\n",
            option.flag,
            key.state.word(),
            option.flag
        )
    });
    rows.collect()
}

#[test]
fn documents_have_a_row_for_every_key_and_option() {
    assert_up_to_date("docs/compatibility.md", "options of runners", &option_rows());
    let rows = all().map(|key| {
        let file = format!("crates/pipglr-runner/src/config/keys/{}", file_of(key));
        let note = if key.state == State::Honoured { "" } else { key.note };
        format!(
            "| `{}` | {} | `{file}::{}` | {note} |\n",
            key.path,
            key.state.word(),
            key.path
        )
    });
    assert_up_to_date(
        "docs/compatibility.md",
        "keys of config.toml",
        &rows.collect::<String>(),
    );
    let honoured = all().filter(|k| k.state != State::Ignored && !matches!(k.kind, Kind::Table | Kind::Tables));
    let rows = honoured.map(|key| format!("| `{}` | {} | {} |\n", key.path, key.kind.words(), key.note));
    let table = format!("| key | value | meaning |\n|---|---|---|\n{}", rows.collect::<String>());
    assert_up_to_date("docs/configuration.md", "keys", &table);
}

#[test]
fn what_is_not_shown() {
    for (path, hidden) in [
        ("runners.token", true),
        ("Runners.Token", true),
        ("runners.cache.s3.SecretKey", true),
        ("runners.token_obtained_at", false),
        ("runners.tls-key-file", false),
        ("runners.cache.s3.BucketName", false),
        ("sentry_dsn", true),
        ("runners.autoscaler.connector_config.password", true),
        ("runners.kubernetes.bearer_token", true),
        ("runners.kubernetes.namespace", false),
        ("concurrent", false),
    ] {
        assert_eq!(is_secret(path), hidden, "{path}");
    }
}
