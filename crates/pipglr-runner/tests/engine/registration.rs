//! `register`: what GitLab is asked, and what ends up in config.toml.

use crate::support::SYSTEM_ID;
use pipglr_protocol::Secret;
use pipglr_protocol::registration::RegisterRequest;
use pipglr_runner::config::RunnerConfig;
use pipglr_runner::registration::{
    self, Kind, OPTIONS, RegisterError, RegisterRequestFields, Registered, RunnerOption, register,
};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, REGISTRATION_TOKEN, RUNNER_TOKEN};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

struct Office {
    gitlab: FakeGitLab,
    directory: TempDir,
}

impl Office {
    async fn open() -> Self {
        Self {
            gitlab: FakeGitLab::start().await,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    fn fields(&self) -> RegisterRequestFields {
        RegisterRequestFields {
            url: self.gitlab.url(),
            name: "my runner".to_owned(),
            server_side: RegisterRequest {
                locked: true,
                ..RegisterRequest::default()
            },
            options: options(&[("executor", &["docker"]), ("docker-image", &["alpine:3.20"])]),
            ..RegisterRequestFields::default()
        }
    }

    fn with_token(&self, token: &str) -> RegisterRequestFields {
        RegisterRequestFields {
            token: Secret::new(token),
            ..self.fields()
        }
    }

    fn with_registration_token(&self, token: &str) -> RegisterRequestFields {
        RegisterRequestFields {
            registration_token: Secret::new(token),
            ..self.fields()
        }
    }

    async fn register(&self, fields: &RegisterRequestFields) -> Result<Registered, RegisterError> {
        register(fields, &self.path(), SYSTEM_ID).await
    }

    /// The file with this GitLab's address and times replaced.
    fn file(&self) -> String {
        let text = std::fs::read_to_string(self.path()).unwrap();
        let line = |line: &str| match line.split_once("token_obtained_at = ") {
            Some((indent, time)) => {
                assert_eq!(time.len(), "2026-01-01T00:00:00Z".len(), "whole seconds in UTC: {time}");
                format!("{indent}token_obtained_at = NOW\n")
            }
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        text.replace(&self.gitlab.url(), "URL")
    }

    fn asked(&self) -> Vec<String> {
        self.gitlab
            .record()
            .requests
            .iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect()
    }
}

fn options(given: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    given
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.iter().map(|t| (*t).to_owned()).collect()))
        .collect()
}

#[tokio::test]
async fn a_created_runner_is_verified_and_written_down() {
    let office = Office::open().await;
    let registered = office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap();
    assert_eq!(
        (registered.id, registered.token.expose(), registered.warnings),
        (7, RUNNER_TOKEN, vec![])
    );
    assert_eq!(office.asked(), ["POST runners/verify"]);
    assert_eq!(office.gitlab.record().requests[0].json()["system_id"], SYSTEM_ID);
    assert_eq!(
        office.file(),
        format!(
            "concurrent = 1\ncheck_interval = 0\nshutdown_timeout = 0\n\n[[runners]]\nname = \"my runner\"\n\
             url = \"URL\"\nid = 7\ntoken = \"{RUNNER_TOKEN}\"\ntoken_obtained_at = NOW\n\
             token_expires_at = 0001-01-01T00:00:00Z\nexecutor = \"docker\"\n\n[runners.docker]\nimage = \"alpine:3.20\"\n"
        )
    );
    assert_eq!(office.gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_registration_token_is_exchanged_for_a_runner() {
    let office = Office::open().await;
    let mut fields = office.with_registration_token(REGISTRATION_TOKEN);
    fields.server_side.tag_list = "a,b".to_owned();
    fields.server_side.maximum_timeout = Some(600);
    let registered = office.register(&fields).await.unwrap();
    assert_eq!((registered.id, registered.token.expose()), (8, "fakeruntok1"));
    assert_eq!(
        registered.warnings.len(),
        1,
        "registration tokens are deprecated: {:?}",
        registered.warnings
    );
    assert_eq!(office.asked(), ["POST runners"]);
    let mut body = office.gitlab.record().requests[0].json();
    body["info"].take();
    assert_eq!(
        body,
        serde_json::json!({
            "info": null, "token": REGISTRATION_TOKEN, "description": "my runner", "tag_list": "a,b", "locked": true,
            "run_untagged": false, "paused": false, "maximum_timeout": 600,
        })
    );
    assert!(
        office.file().contains("id = 8\ntoken = \"fakeruntok1\"\n"),
        "{}",
        office.file()
    );
    assert_eq!(office.gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test]
async fn without_tags_a_runner_takes_untagged_jobs() {
    let office = Office::open().await;
    office
        .register(&office.with_registration_token(REGISTRATION_TOKEN))
        .await
        .unwrap();
    assert_eq!(office.gitlab.record().requests[0].json()["run_untagged"], true);
}

#[tokio::test]
async fn an_expiry_is_written_down() {
    let office = Office::open().await;
    let body = serde_json::json!({"id": 7, "token": RUNNER_TOKEN, "token_expires_at": "2031-02-03T04:05:06.789Z"});
    office.gitlab.answer(Endpoint::Verify, Answer::status(200).json(&body));
    office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap();
    assert!(
        office.file().contains("token_expires_at = 2031-02-03T04:05:06.789Z\n"),
        "{}",
        office.file()
    );
}

#[tokio::test]
async fn the_rest_of_the_file_stays_as_it_is() {
    let office = Office::open().await;
    let before =
        "# all mine\nconcurrent = 4 # cores\nodd = [1,  2]\n\n[[runners]]\n  name = \"old\" # keep\n  token = \"x\"\n";
    std::fs::write(office.path(), before).unwrap();
    office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap();
    assert_eq!(
        office.file(),
        format!(
            "# all mine\nconcurrent = 4 # cores\nodd = [1,  2]\ncheck_interval = 0\nshutdown_timeout = 0\n\n\
             [[runners]]\n  name = \"old\" # keep\n  token = \"x\"\n\n[[runners]]\nname = \"my runner\"\n\
             url = \"URL\"\nid = 7\ntoken = \"{RUNNER_TOKEN}\"\ntoken_obtained_at = NOW\n\
             token_expires_at = 0001-01-01T00:00:00Z\nexecutor = \"docker\"\n\n[runners.docker]\nimage = \"alpine:3.20\"\n"
        )
    );
}

#[tokio::test]
async fn options_become_values_of_their_kind() {
    let office = Office::open().await;
    let mut fields = office.with_token(RUNNER_TOKEN);
    fields.options = options(&[
        ("limit", &["3"]),
        ("env", &["A=1", "B=2"]),
        ("docker-privileged", &["true"]),
        ("docker-pull-policy", &["always, if-not-present"]),
        ("docker-volumes", &["/cache", "/a:/b"]),
        ("feature-flags", &["FF_TIMESTAMPS:false"]),
    ]);
    office.register(&fields).await.unwrap();
    let text = std::fs::read_to_string(office.path()).unwrap();
    let config = pipglr_runner::config::parse_config(&text, "config.toml")
        .unwrap()
        .config;
    let runner = &config.runners[0];
    assert_eq!((runner.limit, runner.docker.privileged), (3, true));
    assert_eq!(runner.environment, ["A=1", "B=2"]);
    assert_eq!(runner.docker.pull_policy, ["always", "if-not-present"]);
    assert_eq!(runner.docker.volumes, ["/cache", "/a:/b"]);
    assert_eq!(runner.feature_flags, [("FF_TIMESTAMPS".to_owned(), false)].into());
}

#[tokio::test]
async fn every_option_ends_up_at_its_key() {
    let office = Office::open().await;
    let mut fields = office.with_token(RUNNER_TOKEN);
    let sample = |option: &RunnerOption| match option.kind {
        Kind::Integer => "7",
        Kind::Switch => "true",
        Kind::Map => "aaa:b7",
        Kind::SwitchMap => "FF_AAA:true",
        // These are durations or have a form of their own.
        Kind::Text if option.flag.contains("timeout") || option.flag.ends_with("interval") => "7s",
        Kind::Text | Kind::List | Kind::CommaList => "a7",
    };
    let given = OPTIONS.iter().filter(|o| !o.flag.starts_with("tls-"));
    fields.options = given.map(|o| (o.flag.to_owned(), vec![sample(o).to_owned()])).collect();
    office.register(&fields).await.unwrap();
    let table: toml::Table = std::fs::read_to_string(office.path()).unwrap().parse().unwrap();
    for option in OPTIONS.iter().filter(|o| !o.flag.starts_with("tls-")) {
        let mut value = &table["runners"][0];
        for part in option.key.split('.') {
            value = value
                .get(part)
                .unwrap_or_else(|| panic!("--{} is not at {}", option.flag, option.key));
        }
        let text = value.to_string();
        let last = sample(option).rsplit(':').next().unwrap();
        assert!(text.contains(last), "--{}: {text}", option.flag);
    }
}

#[tokio::test]
async fn what_is_hardly_wanted_is_told() {
    let office = Office::open().await;
    office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap();
    let mut fields = office.with_token(RUNNER_TOKEN);
    fields
        .options
        .extend(options(&[("limit", &["5"]), ("request-concurrency", &["1"])]));
    let warnings = office.register(&fields).await.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("second entry") && warnings[1].contains("--limit 5 is more than `concurrent = 1`"));
}

#[tokio::test]
async fn what_gitlab_keeps_cannot_be_given_with_a_created_token() {
    let give: [fn(&mut RegisterRequest); 7] = [
        |r| r.locked = false,
        |r| r.access_level = "ref_protected".to_owned(),
        |r| r.run_untagged = true,
        |r| r.maximum_timeout = Some(1),
        |r| r.paused = true,
        |r| r.tag_list = "a".to_owned(),
        |r| r.maintenance_note = "n".to_owned(),
    ];
    for given in give {
        let office = Office::open().await;
        let mut fields = office.with_token(RUNNER_TOKEN);
        given(&mut fields.server_side);
        let error = office.register(&fields).await.unwrap_err();
        assert!(matches!(error, RegisterError::Usage(_)), "{error}");
        assert_eq!(office.asked(), Vec::<String>::new());

        // In the place of a registration token it is only told.
        let mut fields = office.with_registration_token(RUNNER_TOKEN);
        given(&mut fields.server_side);
        let registered = office.register(&fields).await.unwrap();
        assert_eq!(registered.warnings.len(), 1, "{:?}", registered.warnings);
        assert_eq!(office.asked(), ["POST runners/verify"]);
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let office = Office::open().await;
    let wrong = office.register(&office.with_token("glrt-wrong")).await.unwrap_err();
    assert!(matches!(wrong, RegisterError::WrongToken { .. }), "{wrong}");
    let wrong = office
        .register(&office.with_registration_token("wrong"))
        .await
        .unwrap_err();
    assert!(matches!(wrong, RegisterError::WrongToken { .. }), "{wrong}");
    office.gitlab.answer(Endpoint::Register, Answer::status(410));
    let disabled = office
        .register(&office.with_registration_token(REGISTRATION_TOKEN))
        .await
        .unwrap_err();
    assert!(
        matches!(disabled, RegisterError::RegistrationTokensDisabled { .. }),
        "{disabled}"
    );
    office.gitlab.answer(Endpoint::Register, Answer::status(400));
    let refused = office
        .register(&office.with_registration_token(REGISTRATION_TOKEN))
        .await
        .unwrap_err();
    assert!(matches!(refused, RegisterError::Unreachable { .. }), "{refused}");
    office.gitlab.answer(Endpoint::Verify, Answer::drop_read());
    let lost = office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap_err();
    assert!(matches!(lost, RegisterError::Unreachable { .. }), "{lost}");
    for error in [wrong, disabled, refused, lost] {
        assert!(error.hint().is_some_and(|h| !h.is_empty()), "{error}");
    }
    let none = office.register(&office.fields()).await.unwrap_err();
    assert!(matches!(none, RegisterError::Usage(_)), "{none}");
    assert!(
        !office.file().contains("[[runners]]"),
        "nothing is written down: {}",
        office.file()
    );
}

#[tokio::test]
async fn errors_never_show_the_token() {
    for answer in [
        Answer::status(403),
        Answer::status(500).header("Retry-After", "0"),
        Answer::drop_read(),
    ] {
        let office = Office::open().await;
        office.gitlab.answer_times(Endpoint::Verify, 5, answer);
        let error = office.register(&office.with_token(RUNNER_TOKEN)).await.unwrap_err();
        let (debug, hint) = (format!("{error:?}"), error.hint());
        let text = format!("{debug} {hint:?} {:#}", anyhow::Error::new(error));
        assert!(!text.contains("fake0runner0token"), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_found_out_before_gitlab_is_asked() {
    let office = Office::open().await;
    let missing = office.directory.path().join("nowhere/config.toml");
    let broken = office.directory.path().join("broken.toml");
    std::fs::write(&broken, "concurrent = [\n").unwrap();
    for path in [missing, office.directory.path().to_owned(), broken] {
        let error = register(&office.with_registration_token(REGISTRATION_TOKEN), &path, SYSTEM_ID)
            .await
            .unwrap_err();
        assert!(matches!(error, RegisterError::File { .. }), "{error}");
        assert!(error.hint().is_some());
        let chain = format!("{:#}", anyhow::Error::new(error));
        assert!(chain.contains(path.to_str().unwrap()), "{chain}");
    }
    assert_eq!(office.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_runner_that_cannot_be_written_down_is_removed_again() {
    for (fields, asked) in [
        (
            |o: &Office| o.with_registration_token(REGISTRATION_TOKEN),
            &["POST runners", "DELETE runners"][..],
        ),
        // It was there before; only its creator may take it away.
        (|o: &Office| o.with_token(RUNNER_TOKEN), &["POST runners/verify"][..]),
    ] as [(fn(&Office) -> RegisterRequestFields, &[&str]); 2]
    {
        let mut office = Office::open().await;
        let gate = Gate::closed();
        for endpoint in [Endpoint::Register, Endpoint::Verify] {
            office.gitlab.answer(endpoint, Answer::usual().held(&gate));
        }
        let (fields, path) = (fields(&office), office.path());
        let task = tokio::spawn(async move { register(&fields, &path, SYSTEM_ID).await });
        office.gitlab.wait_for("the question", |r| r.requests.len() == 1).await;
        std::mem::replace(&mut office.directory, tempfile::tempdir().unwrap())
            .close()
            .unwrap();
        gate.open();
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, RegisterError::File { .. }), "{error}");
        assert_eq!(office.asked(), asked);
        let removed = office.gitlab.record().removed_runners;
        assert_eq!(removed.len(), asked.len() - 1, "{removed:?}");
    }
}

#[tokio::test]
async fn a_configured_runner_is_verified_and_unregistered() {
    let office = Office::open().await;
    office.gitlab.add_runner("oldtoken");
    let runner = |token: &str| RunnerConfig {
        url: office.gitlab.url(),
        token: Secret::new(token),
        ..RunnerConfig::default()
    };
    assert!(registration::verify(&runner(RUNNER_TOKEN), SYSTEM_ID).await.unwrap());
    assert!(!registration::verify(&runner("unknown"), SYSTEM_ID).await.unwrap());
    registration::unregister(&runner(RUNNER_TOKEN), SYSTEM_ID)
        .await
        .unwrap();
    registration::unregister(&runner("oldtoken"), SYSTEM_ID).await.unwrap();
    assert_eq!(
        office.asked(),
        [
            "POST runners/verify",
            "POST runners/verify",
            "DELETE runners/managers",
            "DELETE runners"
        ]
    );
    assert_eq!(office.gitlab.record().removed_runners, ["oldtoken"]);
    assert_eq!(office.gitlab.record().violations, Vec::<String>::new());
}
