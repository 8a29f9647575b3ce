//! The client of the runner API: what is tried again, what is not, and how failures read.

use crate::support::{SYSTEM_ID, connect, job_api};
use pipglr_protocol::Secret;
use pipglr_protocol::job_request::JobRequest;
use pipglr_protocol::registration::RegisterRequest;
use pipglr_protocol::update::Output;
use pipglr_runner::gitlab::{
    Connection, Error, GitLab, JobRequestOutcome, StateReport, TlsFiles, UpdateAnswer, Verified,
};
use pipglr_runner::manager::runner_info;
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, JobBuilder, REGISTRATION_TOKEN, RUNNER_TOKEN};
use serde_json::json;
use std::time::Duration;

async fn ask(gitlab: &FakeGitLab) -> Result<JobRequestOutcome, Error> {
    let request = JobRequest {
        session: None,
        info: runner_info(None),
        token: Secret::new(RUNNER_TOKEN),
        system_id: Some(SYSTEM_ID.to_owned()),
        last_update: None,
    };
    connect(&gitlab.url()).request_job(&request).await
}

fn register_request(token: &str) -> RegisterRequest {
    RegisterRequest {
        token: Secret::new(token),
        info: runner_info(None),
        locked: true,
        run_untagged: true,
        ..RegisterRequest::default()
    }
}

#[tokio::test]
async fn later_is_tried_again_five_times_in_all() {
    for status in [408, 429, 500, 502, 503, 504, 512, 599] {
        let gitlab = FakeGitLab::start().await;
        let later = Answer::status(status).header("Retry-After", "0");
        gitlab.answer_times(Endpoint::JobRequest, 4, later.clone());
        assert!(ask(&gitlab).await.unwrap().job.is_none(), "{status}");
        assert_eq!(gitlab.record().count(Endpoint::JobRequest), 5, "{status}");

        gitlab.answer_times(Endpoint::JobRequest, 9, later);
        assert_eq!(ask(&gitlab).await.unwrap_err().status(), Some(status));
        assert_eq!(gitlab.record().count(Endpoint::JobRequest), 10, "{status}");
        assert_eq!(gitlab.record().violations, Vec::<String>::new());
    }
}

#[tokio::test]
async fn no_is_not_tried_again() {
    for status in [400, 401, 403, 404, 409, 422, 501, 505, 511] {
        let gitlab = FakeGitLab::start().await;
        gitlab.answer(Endpoint::JobRequest, Answer::status(status));
        assert_eq!(ask(&gitlab).await.unwrap_err().status(), Some(status));
        assert_eq!(gitlab.record().count(Endpoint::JobRequest), 1, "{status}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_not_tried_again_by_the_client() {
    for answer in [Answer::drop_unread(), Answer::drop_read(), Answer::drop_applied()] {
        let gitlab = FakeGitLab::start().await;
        gitlab.answer(Endpoint::JobRequest, answer);
        let error = ask(&gitlab).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.status(), None);
        assert_eq!(gitlab.record().count(Endpoint::JobRequest), 1);
    }
}

#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    let gitlab = FakeGitLab::start().await;
    gitlab.answer(Endpoint::JobRequest, Answer::status(503).header("Retry-After", "1"));
    ask(&gitlab).await.unwrap();
    let record = gitlab.record();
    let calls: Vec<_> = record.calls(Endpoint::JobRequest).collect();
    assert!(calls[1].received - calls[0].answered.unwrap() >= Duration::from_millis(990));
}

#[tokio::test]
async fn without_a_wish_the_pause_is_short() {
    let gitlab = FakeGitLab::start().await;
    gitlab.answer(Endpoint::JobRequest, Answer::status(503));
    ask(&gitlab).await.unwrap();
    let record = gitlab.record();
    let calls: Vec<_> = record.calls(Endpoint::JobRequest).collect();
    let pause = calls[1].received - calls[0].answered.unwrap();
    assert!(pause >= Duration::from_millis(99), "{pause:?}");
}

#[tokio::test]
async fn each_try_has_an_id_of_its_own_and_the_same_body() {
    let gitlab = FakeGitLab::start().await;
    gitlab.answer_times(Endpoint::JobUpdate, 2, Answer::status(503).header("Retry-After", "0"));
    gitlab.assign(JobBuilder::new(4));
    let update = job_api(&gitlab.url(), 4)
        .update(&StateReport::running(Output::default()))
        .await;
    assert_eq!(update.answer, UpdateAnswer::Done);
    let record = gitlab.record();
    let calls: Vec<_> = record.calls(Endpoint::JobUpdate).collect();
    assert_eq!(calls.len(), 3);
    assert!(
        calls
            .windows(2)
            .all(|p| p[0].header("x-request-id") != p[1].header("x-request-id") && p[0].body == p[1].body)
    );
    assert_eq!(record.jobs[&4].updates[0]["output"], json!({}));
}

#[tokio::test]
async fn errors_carry_the_servers_own_words() {
    let cases = [
        (
            Answer::status(400).json(&json!({"message": "no such thing"})),
            "400 Bad Request (no such thing)",
        ),
        (
            Answer::status(422).json(&json!({"message": {"tags": ["too long", "odd"], "a": ["b"]}})),
            "422 Unprocessable Entity (tags: too long; odd, a: b)",
        ),
        (
            Answer::status(401).json(&json!({"error": "invalid_token"})),
            "401 Unauthorized (invalid_token)",
        ),
        (
            Answer::status(403).json(&json!({"message": "403 Forbidden"})),
            "403 Forbidden",
        ),
        (
            Answer::status(404).body("text/html", b"<html>not here</html>"),
            "404 Not Found",
        ),
        (Answer::status(409).body("application/json", b"{"), "409 Conflict"),
    ];
    let gitlab = FakeGitLab::start().await;
    for (answer, end) in cases {
        gitlab.answer(Endpoint::JobRequest, answer);
        let error = ask(&gitlab).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("POST {}/api/v4/jobs/request: {end}", gitlab.url())
        );
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_an_error_without_its_content() {
    let gitlab = FakeGitLab::start().await;
    let url = format!("{}/api/v4/jobs/request", gitlab.url());
    let cases = [
        (
            Answer::status(201).body("text/html", b"<html>"),
            format!("{url}: the answer is not application/json"),
        ),
        (
            Answer::status(201).body("application/json", b"{\"id\": 1, \"token\": [\"s3cret\"]}"),
            format!("{url}: cannot read the answer (line 1 column 19)"),
        ),
        (
            Answer::status(201).body("application/json; charset=utf-8", b"{\"id\": 1"),
            format!("{url}: cannot read the answer (line 1 column 8)"),
        ),
    ];
    for (answer, text) in cases {
        gitlab.answer(Endpoint::JobRequest, answer);
        assert_eq!(ask(&gitlab).await.unwrap_err().to_string(), text);
    }
}

#[tokio::test]
async fn what_the_server_last_said_comes_with_every_kind_of_answer() {
    let gitlab = FakeGitLab::start().await;
    assert_eq!(ask(&gitlab).await.unwrap().last_update, None);
    gitlab.set_last_update("abc");
    assert_eq!(ask(&gitlab).await.unwrap().last_update.as_deref(), Some("abc"));
    gitlab.queue(JobBuilder::new(9).script(&["true"]));
    let outcome = ask(&gitlab).await.unwrap();
    assert_eq!(outcome.last_update.as_deref(), Some("abc"));
    assert_eq!(outcome.job.unwrap().id.0, 9);
}

#[tokio::test]
async fn nobody_there_is_said_without_credentials() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gitlab = connect(&format!("http://user:hunter2@{nobody}/"));
    let error = gitlab
        .verify(&Secret::new("t"), SYSTEM_ID, &runner_info(None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(&nobody.to_string()) && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn an_unusable_url_is_found_out_at_once() {
    for url in ["ftp://gitlab.test", "gitlab.test", ""] {
        let result = GitLab::connect(&Connection {
            url: url.to_owned(),
            tls: TlsFiles::default(),
        });
        assert!(matches!(result, Err(Error::Configuration { .. })), "{url}");
    }
}

#[tokio::test]
async fn registering_gives_a_runner() {
    let gitlab = FakeGitLab::start().await;
    let response = connect(&gitlab.url())
        .register(&register_request(REGISTRATION_TOKEN))
        .await
        .unwrap();
    assert_eq!(
        (response.id, response.token.expose(), response.token_expires_at),
        (8, "fakeruntok1", None)
    );
    assert_eq!(gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test]
async fn verifying_tells_good_tokens_from_bad_ones() {
    let gitlab = FakeGitLab::start().await;
    let client = connect(&gitlab.url());
    let verify = async |token: &str| client.verify(&Secret::new(token), SYSTEM_ID, &runner_info(None)).await;
    match verify(RUNNER_TOKEN).await.unwrap() {
        Verified::Alive(Some(response)) => assert_eq!(response.id, 7),
        other => panic!("{other:?}"),
    }
    assert!(matches!(verify("wrong").await.unwrap(), Verified::Invalid));
    // Old servers answer with a word.
    gitlab.answer(Endpoint::Verify, Answer::status(200).body("text/plain", b"200"));
    assert!(matches!(verify(RUNNER_TOKEN).await.unwrap(), Verified::Alive(None)));
    gitlab.answer(Endpoint::Verify, Answer::status(404));
    assert_eq!(verify(RUNNER_TOKEN).await.unwrap_err().status(), Some(404));
    assert_eq!(gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test]
async fn unregistering_takes_the_runner_or_only_this_manager_of_it() {
    let gitlab = FakeGitLab::start().await;
    let client = connect(&gitlab.url());
    let token = Secret::new(RUNNER_TOKEN);
    client.unregister(&token, Some(SYSTEM_ID)).await.unwrap();
    assert_eq!(gitlab.record().removed_runners, Vec::<String>::new());
    client.unregister(&token, None).await.unwrap();
    assert_eq!(gitlab.record().removed_runners, [RUNNER_TOKEN]);
    assert_eq!(client.unregister(&token, None).await.unwrap_err().status(), Some(403));
    assert_eq!(gitlab.record().violations, Vec::<String>::new());
    let bodies: Vec<_> = gitlab
        .record()
        .requests
        .iter()
        .map(|r| (r.path.clone(), r.json()))
        .collect();
    assert_eq!(
        bodies[..2],
        [
            (
                "runners/managers".to_owned(),
                json!({"token": RUNNER_TOKEN, "system_id": SYSTEM_ID})
            ),
            ("runners".to_owned(), json!({"token": RUNNER_TOKEN})),
        ]
    );
}

#[tokio::test]
async fn calls_say_who_calls() {
    let gitlab = FakeGitLab::start().await;
    ask(&gitlab).await.unwrap();
    let record = gitlab.record();
    let call = record.calls(Endpoint::JobRequest).next().unwrap();
    let expected = format!(
        "{} {} (pipglr; linux/{})",
        pipglr_runner::NAME,
        pipglr_runner::VERSION,
        pipglr_runner::go_architecture()
    );
    assert_eq!(call.header("user-agent"), expected);
    let id = call.header("x-request-id");
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(call.header("runner-token"), RUNNER_TOKEN);
}

/// Nobody answers; time passes as fast as there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn a_call_about_a_job_ends_after_two_minutes() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let taken = tokio::spawn(async move { silent.accept().await.unwrap() });
    let began = tokio::time::Instant::now();
    let api = job_api(&url, 4);
    let update = api.update(&StateReport::running(Output::default())).await;
    assert!(matches!(update.answer, UpdateAnswer::Failed), "{:?}", update.answer);
    assert_eq!(began.elapsed().as_secs(), 120);
    drop(taken);
}

const PROXIED: &str = "PIPGLR_TEST_PROXIED";

/// Not a test: the process the test below gives an environment.
#[tokio::test]
#[ignore = "the process of another test"]
async fn a_call_with_an_environment() {
    let Ok(url) = std::env::var(PROXIED) else { return };
    let request = JobRequest {
        session: None,
        info: runner_info(None),
        token: Secret::new(RUNNER_TOKEN),
        system_id: Some(SYSTEM_ID.to_owned()),
        last_update: None,
    };
    connect(&url).request_job(&request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_used() {
    for (variables, by_proxy) in [
        (&[("HTTP_PROXY", "PROXY")][..], true),
        (&[("http_proxy", "PROXY")], true),
        (&[("HTTP_PROXY", "PROXY"), ("NO_PROXY", "gitlab.test")], false),
        (&[("http_proxy", "PROXY"), ("no_proxy", ".test")], false),
    ] {
        let gitlab = FakeGitLab::start().await;
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["client::a_call_with_an_environment", "--exact", "--ignored"])
            .env(PROXIED, "http://gitlab.test/");
        for key in ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(key);
        }
        for (key, value) in variables {
            command.env(key, value.replace("PROXY", &gitlab.url()));
        }
        let output = command.output().await.unwrap();
        // No name below .test is ever found, so that a direct call cannot succeed.
        assert_eq!(output.status.success(), by_proxy, "{variables:?}: {output:?}");
        assert_eq!(gitlab.record().count(Endpoint::JobRequest), usize::from(by_proxy));
    }
}
