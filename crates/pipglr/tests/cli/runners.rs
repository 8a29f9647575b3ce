//! Commands about configured runners, under the name scripts know, against a fake GitLab.

use crate::support::{Called, called, gitlab_runner, pipglr};
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, JobBuilder, RUNNER_TOKEN};
use pipglr_testkit::podman::{Act, FakePodman};
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;

const OLD_TOKEN: &str = "legacy-token-of-old";
const UNKNOWN: &str = "glrt-unknown-to-gitlab";

struct Office {
    gitlab: FakeGitLab,
    directory: TempDir,
}

impl Office {
    /// Three runners in config.toml: `one` and `old` are known to GitLab, `gone` is not.
    async fn open() -> Self {
        let office = Self {
            gitlab: FakeGitLab::start().await,
            directory: tempfile::tempdir().unwrap(),
        };
        office.gitlab.add_runner(OLD_TOKEN);
        let url = office.gitlab.url();
        let entry = |name: &str, token: &str, id: u64| {
            format!(
                "\n[[runners]]\n  name = \"{name}\"\n  url = \"{url}\"\n  id = {id}\n  token = \"{token}\" # {name}\n  executor = \"docker\"\n"
            )
        };
        let entries = [("one", RUNNER_TOKEN, 7), ("old", OLD_TOKEN, 8), ("gone", UNKNOWN, 9)];
        let entries: String = entries.map(|(name, token, id)| entry(name, token, id)).concat();
        std::fs::write(office.file(), format!("concurrent = 2\n{entries}")).unwrap();
        office
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn call(&self, line: &str) -> Called {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["--config", "config.toml"]);
        called(&mut gitlab_runner(self.directory.path(), &words))
    }

    /// `METHOD path token` of what GitLab was asked since the last time.
    fn asked(&self, from: usize) -> Vec<String> {
        let requests = self.gitlab.record().requests;
        let each = requests.iter().skip(from);
        each.map(|r| format!("{} {} {}", r.method, r.path, r.json()["token"].as_str().unwrap_or("-")))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runners_are_listed_without_their_tokens() {
    let office = Office::open().await;
    let said = office.call("list");
    let url = office.gitlab.url();
    let line = |name: &str, token: &str| format!("{name:<50}  Executor=docker Token={token} URL={url}\n");
    let expected = [
        format!("{:<50}  ConfigFile=config.toml\n", "Listing configured runners"),
        line("one", "fake0runn"),
        line("old", "legacy-to"),
        line("gone", "unknown-t"),
    ];
    assert_eq!((said.code, said.out.as_str(), said.err), (0, "", expected.concat()));
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_says_who_is_known() {
    let office = Office::open().await;
    let said = office.call("verify");
    let line = |text: &str, token: &str| format!("{text:<50}  runner={token}\n");
    let expected = [
        line("Verifying runner... is valid", "fake0runn"),
        line("Verifying runner... is valid", "legacy-to"),
        line("ERROR: Verifying runner... is not valid", "unknown-t"),
        "error: Failed to verify runners\n".to_owned(),
    ];
    assert_eq!((said.code, said.err), (1, expected.concat()));
    let before = office.text();
    office.gitlab.answer(Endpoint::Verify, Answer::drop_read());
    let said = office.call("verify --name one --delete");
    assert_eq!(said.code, 0, "whoever cannot be asked about counts as alive: {said:?}");
    assert_eq!(office.text(), before);
    let said = office.call("verify --delete");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.ends_with("Updated config.toml\n"), "{said:?}");
    assert!(
        !office.text().contains(UNKNOWN) && office.text().contains("# one"),
        "{}",
        office.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_selects_by_name_token_and_address() {
    let office = Office::open().await;
    let url = office.gitlab.url();
    for (arguments, tokens) in [
        ("--name old".to_owned(), &[OLD_TOKEN][..]),
        (format!("--token {OLD_TOKEN}"), &[OLD_TOKEN]),
        (format!("--token {OLD_TOKEN} --url {url}/"), &[OLD_TOKEN]),
        (format!("--token {OLD_TOKEN} --url *"), &[OLD_TOKEN]),
        (format!("--name one --token {OLD_TOKEN}"), &[RUNNER_TOKEN, OLD_TOKEN]),
        (format!("--token {OLD_TOKEN} --url http://elsewhere"), &[]),
        ("--name nobody".to_owned(), &[]),
    ] {
        let before = office.gitlab.record().requests.len();
        let said = office.call(&format!("verify {arguments}"));
        let expected: Vec<String> = tokens.iter().map(|t| format!("POST runners/verify {t}")).collect();
        assert_eq!(office.asked(before), expected, "{arguments}");
        if tokens.is_empty() {
            let text = "error: no runner matches the filtering parameters\n";
            assert_eq!((said.code, said.err.as_str()), (1, text), "{arguments}");
        } else {
            assert_eq!(said.code, 0, "{arguments}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runners_are_unregistered_by_name_token_or_all_together() {
    let office = Office::open().await;
    let said = office.call("unregister");
    assert_eq!(said.code, 1, "{said:?}");
    let said = office.call("unregister --name one --url http://ignored --tls-ca-file /ignored");
    let expected = format!(
        "{:<50}  runner=fake0runn\nUpdated config.toml\n",
        "Unregistering runner from GitLab succeeded"
    );
    assert_eq!((said.code, said.err), (0, expected));
    assert_eq!(office.asked(0), [format!("DELETE runners/managers {RUNNER_TOKEN}")]);
    let said = office.call(&format!("unregister --token {UNKNOWN}"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("ERROR: Unregistering runner from GitLab failed"),
        "{said:?}"
    );
    assert!(
        said.err.ends_with("error: Failed to unregister runner gone\n"),
        "{said:?}"
    );
    // With all of them, failures keep their entry and are only told.
    let said = office.call("unregister --all-runners");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        office.text().contains(UNKNOWN) && !office.text().contains(OLD_TOKEN),
        "{}",
        office.text()
    );
    assert_eq!(office.gitlab.record().removed_runners, [OLD_TOKEN]);
    let said = office.call("unregister --name nobody");
    assert!(said.code == 1 && said.err.contains("its runners are: gone"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tokens_are_kept_and_used_by_every_command() {
    let office = Office::open().await;
    let before = office.text();
    assert_eq!(office.call("reset-token").code, 1, "nobody is selected");
    assert_eq!(office.call("reset-token --url http://x").code, 1, "half a selection");
    let said = office.call("reset-token --name one");
    let expected = format!(
        "{:<50}  name=one runner=fake0runn\nUpdated config.toml\n",
        "Resetting runner authentication token... succeeded"
    );
    assert_eq!((said.code, said.err), (0, expected));
    let next = format!("{RUNNER_TOKEN}-next");
    assert!(
        office.text().contains(&format!("token = \"{next}\" # one")),
        "{}",
        office.text()
    );
    let url = office.gitlab.url();
    let said = office.call(&format!("reset-token --url {url} --id 8"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(office.text().contains(&format!("{OLD_TOKEN}-next")));
    // Where the file is a secret that cannot be written back, the state directory knows better.
    std::fs::write(office.file(), &before).unwrap();
    let from = office.gitlab.record().requests.len();
    assert_eq!(office.call("verify --name one").code, 0);
    assert_eq!(office.call(&format!("verify --token {OLD_TOKEN}")).code, 0);
    assert_eq!(office.call("unregister --name one").code, 0);
    assert_eq!(
        office.asked(from),
        [
            format!("POST runners/verify {next}"),
            format!("POST runners/verify {OLD_TOKEN}-next"),
            format!("DELETE runners/managers {next}"),
        ]
    );
    assert!(!office.text().contains(RUNNER_TOKEN), "{}", office.text());
    assert_eq!(office.gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_exchanges_change_nothing() {
    let office = Office::open().await;
    let before = office.text();
    let said = office.call("reset-token --name gone");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("403") && said.err.ends_with("error: Failed to reset runner token\n"),
        "{said:?}"
    );
    assert_eq!(office.text(), before);
    let said = office.call("reset-token --all-runners");
    assert_eq!(said.code, 0, "failures are only told: {said:?}");
    assert!(office.text().contains(&format!("{RUNNER_TOKEN}-next")) && office.text().contains(UNKNOWN));
    // With a personal access token, the runner is named by its number.
    let answer = json!({"token": "glrt-by-a-person", "token_expires_at": null});
    office
        .gitlab
        .answer(Endpoint::ResetToken, Answer::status(201).json(&answer));
    let said = office.call("reset-token --name gone --pat glpat-x");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(office.text().contains("glrt-by-a-person"), "{}", office.text());
    let last = office.gitlab.record().requests.pop().unwrap();
    assert_eq!(last.path, "runners/9/reset_authentication_token");
    assert_eq!(last.header("private-token"), "glpat-x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_runner_ends_after_its_last_job() {
    let (gitlab, podman) = (FakeGitLab::start().await, FakePodman::start());
    let directory = tempfile::tempdir().unwrap();
    podman.on_stage("step_script", [Act::out("hello\n")]);
    for id in [1, 2, 3] {
        gitlab.queue(JobBuilder::new(id).without_sources().script(&["x"]));
    }
    let (socket, url) = (podman.socket(), gitlab.url());
    let socket = socket.to_str().unwrap();
    let arguments = [
        "run-single",
        "--url",
        &url,
        "--token",
        RUNNER_TOKEN,
        "--executor",
        "docker",
        "--docker-image",
        "alpine",
        "--max-builds",
        "2",
        "--podman-socket",
        socket,
        "--env",
        "GREETING=hi",
    ];
    let said = called(gitlab_runner(directory.path(), &arguments).env("TMPDIR", directory.path()));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    let record = gitlab.record();
    let ended = |id: u64| record.jobs.get(&id).map(|job| job.ending().0);
    assert_eq!(
        [1, 2, 3].map(ended),
        [Some("success".to_owned()), Some("success".to_owned()), None]
    );
    assert_eq!(record.violations, Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["gitlab-runner"], "no state is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_runner_ends_when_there_is_no_job() {
    let (gitlab, podman) = (FakeGitLab::start().await, FakePodman::start());
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "concurrent = 9\n[[runners]]\nname = \"x\"\n[[runners]]\nname = \"mine\"\nurl = \"{}\"\ntoken = \"{RUNNER_TOKEN}\"\n[runners.docker]\nimage = \"alpine\"\n",
        gitlab.url()
    );
    std::fs::write(directory.path().join("config.toml"), text).unwrap();
    let socket = podman.socket();
    let socket = socket.to_str().unwrap();
    let arguments = [
        "run-single",
        "-c",
        "config.toml",
        "-r",
        "mine",
        "--wait-timeout",
        "1",
        "--podman-socket",
        socket,
    ];
    let said = called(&mut gitlab_runner(directory.path(), &arguments));
    assert_eq!(said.code, 0, "{said:?}");
    let id = std::fs::read_to_string(directory.path().join(".runner_system_id")).unwrap();
    let asked = gitlab.record().requests[0].json();
    assert_eq!(
        (asked["token"].as_str(), asked["system_id"].as_str()),
        (Some(RUNNER_TOKEN), Some(id.as_str()))
    );
}

#[test]
fn a_single_runner_needs_an_address_a_token_and_an_executor() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (&["run-single"][..], "no GitLab URL"),
        (&["run-single", "--url", "http://x"], "no token"),
        (&["run-single", "--url", "http://x", "--token", "t"], "no executor"),
        (
            &[
                "run-single",
                "--url",
                "http://x",
                "--token",
                "t",
                "--executor",
                "docker",
                "--limit",
                "many",
            ],
            "--limit: \"many\" is not a whole number",
        ),
        (&["run-single", "-c", "none.toml", "-r", "x"], "cannot read none.toml"),
    ] {
        let said = called(&mut gitlab_runner(directory.path(), arguments));
        assert!(said.code == 1 && said.err.contains(word), "{arguments:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_fills_in_what_is_not_given() {
    let office = Office::open().await;
    let template = format!(
        "[[runners]]\nname = \"of template\"\nurl = \"{}\"\ntoken = \"dropped\"\nlimit = 3\nexecutor = \"docker\"\n\
         [runners.docker]\nimage = \"busybox\"\nvolumes = [\"/a\"]\nprivileged = true\n[runners.kubernetes]\nhost = \"x\"\n[runners.cache]\nPath = \"p\"\n",
        office.gitlab.url()
    );
    std::fs::write(office.directory.path().join("template.toml"), &template).unwrap();
    std::fs::remove_file(office.file()).unwrap();
    let line =
        format!("register -n --template-config template.toml --token {RUNNER_TOKEN} --docker-volumes /b --limit 1");
    let said = office.call(&line);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.starts_with("Runner registered successfully. "), "{said:?}");
    let table: toml::Table = office.text().parse().unwrap();
    let runner = &table["runners"][0];
    let docker = &runner["docker"];
    assert_eq!(
        (
            runner["name"].as_str(),
            runner["limit"].as_integer(),
            runner["token"].as_str()
        ),
        (Some("of template"), Some(1), Some(RUNNER_TOKEN))
    );
    assert_eq!(
        docker["volumes"].as_array().unwrap(),
        &[toml::Value::from("/b")],
        "lists are not joined"
    );
    assert_eq!(
        (docker["image"].as_str(), docker["privileged"].as_bool()),
        (Some("busybox"), Some(true))
    );
    assert!(
        runner.get("kubernetes").is_none() && runner["cache"]["Path"].as_str() == Some("p"),
        "{runner}"
    );
    for (text, word) in [
        ("", "it has 0"),
        (&template.repeat(2), "it has 2"),
        ("x = [", "unclosed array"),
    ] {
        std::fs::write(office.directory.path().join("template.toml"), text).unwrap();
        let said = office.call(&line);
        assert!(said.code == 1 && said.err.contains(word), "{said:?}");
    }
}

#[test]
fn the_version_is_told_in_lines() {
    let directory = tempfile::tempdir().unwrap();
    let said = called(&mut gitlab_runner(directory.path(), &["--version"]));
    let names: Vec<&str> = said.out.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "Version",
            "Git revision",
            "Git branch",
            "GO version",
            "Built",
            "OS/Arch"
        ]
    );
    assert!(
        said.out
            .starts_with(concat!("Version:      ", env!("CARGO_PKG_VERSION"), "\n")),
        "{said:?}"
    );
    let said = called(&mut pipglr(directory.path(), &["--version"]));
    assert_eq!(said.out, concat!("pipglr ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn commands_that_make_no_sense_say_what_to_use() {
    let directory = tempfile::tempdir().unwrap();
    let said = called(&mut gitlab_runner(
        directory.path(),
        &["exec", "docker", "build", "--env", "A=b"],
    ));
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            1,
            "error: there is no command `exec` here: gitlab-runner itself has removed it\n\
             hint: run a pipeline without GitLab: `pipglr serve --once`\n"
        )
    );
    for (words, code) in [
        (&["nonsense"][..], 1),
        (&["run", "--nonsense"], 1),
        (&["verify", "--help"], 0),
        (&["--help"], 0),
    ] {
        assert_eq!(
            called(&mut gitlab_runner(directory.path(), words)).code,
            code,
            "{words:?}"
        );
    }
    assert_eq!(called(&mut pipglr(directory.path(), &["runner", "nonsense"])).code, 2);
}

#[test]
fn a_port_that_answers_ends_the_health_check() {
    let directory = tempfile::tempdir().unwrap();
    let said = called(&mut gitlab_runner(directory.path(), &["health-check"]));
    assert!(said.code == 1 && said.err.contains("No HOST or PORT found"), "{said:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut command = gitlab_runner(directory.path(), &["health-check"]);
    command
        .env("WAIT_FOR_SERVICE_TCP_ADDR", "127.0.0.1")
        .env("WAIT_FOR_SERVICE_TCP_PORT", &port);
    let said = called(&mut command);
    assert_eq!(
        (said.code, said.out),
        (0, format!("waiting for TCP connection to 127.0.0.1 on [{port}]...\n"))
    );
}
