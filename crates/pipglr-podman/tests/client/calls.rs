//! The client against a scripted service: what is sent, byte for byte, and what becomes of each kind of answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fake::{Fake, Recorded, Step, answer, chunk, chunked_head, frame, hijacked};
use pipglr_podman::{
    Actor, AttachOptions, Client, Condition, ContainerSpec, Environment, Error, Event, ExecSpec, ExecState, Filters,
    Frame, FrameError, LogOptions, NetworkAttachment, NetworkSpec, Output, OutputKind, PullRequest, RegistryAuth,
    RemoveOptions, VolumeSpec,
};

const V: &str = "/v4.0.0/libpod";

/// One connection on which each request gets its answer.
fn answers(list: &[(&str, &str)]) -> Vec<Step> {
    list.iter()
        .flat_map(|(status, body)| [Step::Request, answer(status, body)])
        .collect()
}

fn lines(recorded: &[Recorded]) -> Vec<String> {
    recorded.iter().map(|request| request.line.replacen(V, "", 1)).collect()
}

async fn collect(mut output: Output) -> Vec<(OutputKind, String)> {
    let mut frames = Vec::new();
    while let Some(Frame { kind, data }) = output.next().await.transpose().unwrap() {
        frames.push((kind, String::from_utf8(data.to_vec()).unwrap()));
    }
    frames
}

fn out(text: &str) -> (OutputKind, String) {
    (OutputKind::Stdout, text.to_owned())
}

fn err(text: &str) -> (OutputKind, String) {
    (OutputKind::Stderr, text.to_owned())
}

#[tokio::test]
async fn create_sends_exactly_the_specification() {
    let fake = Fake::start(vec![answers(&[("201 Created", r#"{"Id":"c0ffee","Warnings":[]}"#)])]);
    let client = Client::new(fake.socket());
    let spec = ContainerSpec {
        name: Some("n".to_owned()),
        image: Some("i".to_owned()),
        entrypoint: Some(vec![]),
        command: vec!["sh".to_owned()],
        env: Environment::from_iter([("A", "1")]),
        stdin: true,
        networks: BTreeMap::from([(
            "net".to_owned(),
            NetworkAttachment {
                aliases: vec!["db".to_owned()],
                ..NetworkAttachment::default()
            },
        )]),
        ..ContainerSpec::default()
    };
    assert_eq!(client.create(&spec).await.unwrap(), "c0ffee");
    let body = r#"{"name":"n","image":"i","entrypoint":[],"command":["sh"],"env":{"A":"1"},"stdin":true,"Networks":{"net":{"aliases":["db"]}}}"#;
    assert_eq!(
        fake.finish().await,
        [Recorded {
            connection: 0,
            line: format!("POST {V}/containers/create"),
            headers: vec![
                "host: podman".to_owned(),
                "content-type: application/json".to_owned(),
                format!("content-length: {}", body.len()),
            ],
            body: body.to_owned(),
        }]
    );
}

#[tokio::test]
async fn attach_carries_both_directions_and_half_close() {
    let mut head_and_first_frame = hijacked();
    head_and_first_frame.extend(frame(1, b"ready\n"));
    let fake = Fake::start(vec![vec![
        Step::Request,
        Step::Send(head_and_first_frame),
        Step::Receive(b"echo hi\n"),
        Step::ReceiveEof,
        // After the input's end the output goes on, here cut inside a header and inside the data.
        Step::Send(frame(1, b"hi\n")[..3].to_vec()),
        Step::Send(frame(1, b"hi\n")[3..9].to_vec()),
        Step::Send([&frame(1, b"hi\n")[9..], &frame(2, b"bye\n")].concat()),
    ]]);
    let client = Client::new(fake.socket());
    let mut attached = client.attach("a b", AttachOptions::default()).await.unwrap();
    let first = attached.output.next().await.unwrap().unwrap();
    assert_eq!((first.kind, &first.data[..]), (OutputKind::Stdout, &b"ready\n"[..]));
    attached.input.write_all(b"echo hi\n").await.unwrap();
    attached.input.close().await.unwrap();
    assert_eq!(collect(attached.output).await, [out("hi\n"), err("bye\n")]);

    let recorded = fake.finish().await;
    assert_eq!(
        lines(&recorded),
        ["POST /containers/a%20b/attach?detachKeys=&stdin=true&stdout=true&stderr=true&logs=false&stream=true"]
    );
    for header in ["connection: Upgrade", "upgrade: tcp"] {
        assert!(
            recorded[0].headers.iter().any(|sent| sent == header),
            "{header}: {:?}",
            recorded[0].headers
        );
    }
}

#[tokio::test]
async fn an_attached_terminal_is_raw() {
    let raw: &[u8] = b"\x1b[1m\x01\0\0\0prompt";
    let fake = Fake::start(vec![vec![Step::Request, Step::Send([&hijacked(), raw].concat())]]);
    let client = Client::new(fake.socket());
    let options = AttachOptions {
        terminal: true,
        ..AttachOptions::default()
    };
    let mut output = client.attach("c", options).await.unwrap().output;
    let mut bytes = Vec::new();
    while let Some(frame) = output.next().await.transpose().unwrap() {
        assert_eq!(frame.kind, OutputKind::Stdout);
        bytes.extend_from_slice(&frame.data);
    }
    assert_eq!(bytes, raw);
    fake.finish().await;
}

#[tokio::test]
async fn output_cut_in_a_frame_is_an_error() {
    let cut = [hijacked(), frame(1, b"whole"), frame(2, b"half")[..10].to_vec()].concat();
    let fake = Fake::start(vec![vec![Step::Request, Step::Send(cut)]]);
    let mut output = Client::new(fake.socket())
        .attach("c", AttachOptions::default())
        .await
        .unwrap()
        .output;
    assert_eq!(output.next().await.unwrap().unwrap().data, "whole");
    let error = output.next().await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Frame {
                source: FrameError::Truncated(10),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(output.next().await.is_none());
    fake.finish().await;
}

#[tokio::test]
async fn a_refused_attach_keeps_the_error() {
    let body = r#"{"cause":"executable file `x` not found","message":"preparing: crun: executable file `x` not found","response":500}"#;
    let fake = Fake::start(vec![answers(&[("500 Internal Server Error", body)])]);
    let error = Client::new(fake.socket())
        .attach("c", AttachOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /containers/c/attach: 500 Internal Server Error: preparing: crun: executable file `x` not found"
    );
    let Error::Api { cause, status, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (cause.as_str(), status.as_u16()),
        ("executable file `x` not found", 500)
    );
    fake.finish().await;
}

#[tokio::test]
async fn error_answers_become_what_a_caller_can_do() {
    const MISSING: &str =
        r#"{"cause":"no such container","message":"no container x: no such container","response":404}"#;
    const TAKEN: &str = r#"{"cause":"that name is already in use","message":"name n is in use: that name is already in use","response":500}"#;
    const NO_IMAGE: &str = r#"{"cause":"image not known","message":"i: image not known","response":500}"#;
    // podman 4 writes two objects when it means 404.
    const TWICE: &str = "{\"cause\":\"boom\",\"message\":\"boom first\",\"response\":500}\n{\"cause\":\"x\",\"message\":\"y\",\"response\":404}";
    let cases: [(&str, &str, &str); 6] = [
        ("404 Not Found", MISSING, "NotFound no container x: no such container"),
        ("409 Conflict", TAKEN, "Conflict that name is already in use"),
        (
            "500 Internal Server Error",
            TAKEN,
            "Conflict that name is already in use",
        ),
        ("500 Internal Server Error", NO_IMAGE, "NotFound i: image not known"),
        ("500 Internal Server Error", TWICE, "Api boom first"),
        ("400 Bad Request", "plain words\n", "Api plain words"),
    ];
    for (status, body, expected) in cases {
        let fake = Fake::start(vec![answers(&[(status, body)])]);
        let error = Client::new(fake.socket()).start("x").await.unwrap_err();
        let seen = match &error {
            Error::NotFound { what } => format!("NotFound {what}"),
            Error::Conflict { cause, .. } => format!("Conflict {cause}"),
            Error::Api { message, .. } => format!("Api {message}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, expected);
        fake.finish().await;
    }
}

#[tokio::test]
async fn a_session_that_is_missing_is_no_missing_container() {
    const BODY: &str = r#"{"cause":"no such exec session","message":"removing c: s: no such exec session"}"#;
    for status in ["404 Not Found", "500 Internal Server Error"] {
        let made = ("201 Created", r#"{"Id":"s"}"#);
        let fake = Fake::start(vec![answers(&[(status, BODY), made, (status, BODY)])]);
        let client = Client::new(fake.socket());
        let error = client.remove("c", RemoveOptions::NOW).await.unwrap_err();
        assert!(matches!(&error, Error::Api { .. }), "{error:?}");
        let session = client.exec_create("c", &ExecSpec::default()).await.unwrap();
        let error = client.exec_inspect(&session).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        fake.finish().await;
    }
}

#[tokio::test]
async fn absence_is_an_answer_where_it_can_be() {
    let missing = ("404 Not Found", r#"{"cause":"no such","message":"no such thing"}"#);
    let fake = Fake::start(vec![answers(&[missing; 6])]);
    let client = Client::new(fake.socket());
    assert!(!client.remove("c", RemoveOptions::NOW).await.unwrap());
    assert!(!client.remove_volume("v", false).await.unwrap());
    assert!(!client.volume_exists("v").await.unwrap());
    assert!(!client.remove_network("n", true).await.unwrap());
    assert!(!client.remove_image("reg/i:1", false).await.unwrap());
    assert_eq!(client.image("reg/i:1").await.unwrap(), None);
    assert_eq!(
        lines(&fake.finish().await),
        [
            "DELETE /containers/c?force=true&volumes=true&timeout=0",
            "DELETE /volumes/v?force=false",
            "GET /volumes/v/exists",
            "DELETE /networks/n?force=true",
            "DELETE /images/reg/i:1?force=false",
            "GET /images/reg/i:1/json",
        ]
    );
}

#[tokio::test]
async fn wait_returns_the_exit_code() {
    let fake = Fake::start(vec![answers(&[("200 OK", "137\n"), ("200 OK", "-1\n")])]);
    let client = Client::new(fake.socket());
    assert_eq!(client.wait("c", &[], Duration::from_millis(20)).await.unwrap(), 137);
    let states = [Condition::Running, Condition::Exited];
    assert_eq!(client.wait("c", &states, Duration::ZERO).await.unwrap(), -1);
    assert_eq!(
        lines(&fake.finish().await),
        [
            "POST /containers/c/wait?interval=20ms",
            "POST /containers/c/wait?interval=1ms&condition=running&condition=exited",
        ]
    );
}

#[tokio::test]
async fn wait_process_needs_no_clean_up() {
    let state = |status: &str, code: i32| {
        format!(
            r#"{{"Id":"c","Name":"n","State":{{"Status":"{status}","Running":false,"ExitCode":{code}}},"Config":{{}}}}"#
        )
    };
    let looks = [state("created", 0), state("running", 0), state("stopped", 9)];
    let fake = Fake::start(vec![answers(&looks.each_ref().map(|look| ("200 OK", look.as_str())))]);
    let code = Client::new(fake.socket())
        .wait_process("c", Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(code, 9);
    assert_eq!(lines(&fake.finish().await), ["GET /containers/c/json"; 3]);
}

#[tokio::test]
async fn start_and_stop_accept_that_it_is_so_already() {
    let fake = Fake::start(vec![vec![
        Step::Request,
        Step::Send(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        Step::Request,
        Step::Send(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        Step::Request,
        Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
    ]]);
    let client = Client::new(fake.socket());
    client.start("c").await.unwrap();
    client.stop("c", Some(3)).await.unwrap();
    client.kill("c", "TERM").await.unwrap();
    assert_eq!(
        lines(&fake.finish().await),
        [
            "POST /containers/c/start",
            "POST /containers/c/stop?timeout=3",
            "POST /containers/c/kill?signal=TERM"
        ]
    );
}

#[tokio::test]
async fn log_frames_are_put_together_across_chunks() {
    let bytes = [
        frame(1, b"2026-01-01T00:00:00Z one\n"),
        frame(2, b"2026-01-01T00:00:01Z two\n"),
    ]
    .concat();
    let mut steps = vec![Step::Request, chunked_head()];
    steps.extend(bytes.chunks(5).map(chunk));
    steps.push(chunk(b""));
    let fake = Fake::start(vec![steps]);
    let options = LogOptions {
        follow: true,
        since: Some("2026-01-01T00:00:00+01:00".to_owned()),
        timestamps: true,
        ..LogOptions::default()
    };
    let output = Client::new(fake.socket()).logs("c", &options).await.unwrap();
    assert_eq!(
        collect(output).await,
        [out("2026-01-01T00:00:00Z one\n"), err("2026-01-01T00:00:01Z two\n")]
    );
    assert_eq!(
        lines(&fake.finish().await),
        [
            "GET /containers/c/logs?follow=true&timestamps=true&stdout=true&stderr=true&since=2026-01-01T00%3A00%3A00%2B01%3A00"
        ]
    );
}

#[tokio::test]
async fn a_log_whose_service_dies_is_not_a_log_that_ended() {
    let fake = Fake::start(vec![vec![Step::Request, chunked_head(), chunk(&frame(1, b"one\n"))]]);
    let mut output = Client::new(fake.socket())
        .logs("c", &LogOptions::default())
        .await
        .unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().data, "one\n");
    let error = output.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
    assert!(output.next().await.is_none());
    fake.finish().await;
}

#[tokio::test]
async fn pull_reports_progress_and_the_id() {
    let fake = Fake::start(vec![vec![
        Step::Request,
        chunked_head(),
        chunk(b"{\"stream\":\"Trying reg.io/i\xe2\x80\xa6\\n\"}\n{\"str"),
        chunk(b"eam\":\"Copying\\n\"}\n"),
        chunk(b"{\"images\":[\"abc\"],\"id\":\"abc\"}\n"),
        chunk(b""),
    ]]);
    let pull = PullRequest {
        reference: "reg.io/i:1".to_owned(),
        policy: Some("newer".to_owned()),
        platform: Some(pipglr_podman::Platform::parse("linux/arm64")),
        tls_verify: Some(false),
        auth: Some(RegistryAuth {
            username: "u".to_owned(),
            password: "p".to_owned().into(),
            server: None,
        }),
    };
    let mut progress = Vec::new();
    let id = Client::new(fake.socket())
        .pull(&pull, |text| progress.push(text.to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (id.as_str(), progress),
        ("abc", vec!["Trying reg.io/i…\n".to_owned(), "Copying\n".to_owned()])
    );
    let recorded = fake.finish().await;
    assert_eq!(
        lines(&recorded),
        ["POST /images/pull?reference=reg.io%2Fi%3A1&policy=newer&OS=linux&Arch=arm64&tlsVerify=false"]
    );
    // {"username":"u","password":"p"}
    let header = "x-registry-auth: eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAifQ==";
    assert!(
        recorded[0].headers.iter().any(|sent| sent == header),
        "{:?}",
        recorded[0].headers
    );
}

#[tokio::test]
async fn a_pull_that_fails_in_the_stream_keeps_the_whole_text() {
    let text = "initializing source docker://reg.io/i:1: reading manifest 1 in reg.io/i: unauthorized: \\\"who?\\\"";
    let fake = Fake::start(vec![vec![
        Step::Request,
        chunked_head(),
        chunk(b"{\"stream\":\"Trying\\n\"}\n"),
        chunk(format!("{{\"error\":\"{text}\"}}\n").as_bytes()),
        chunk(b""),
    ]]);
    let pull = PullRequest {
        reference: "reg.io/i:1".to_owned(),
        ..PullRequest::default()
    };
    let error = Client::new(fake.socket()).pull(&pull, |_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "pull reg.io/i:1: initializing source docker://reg.io/i:1: reading manifest 1 in reg.io/i: unauthorized: \"who?\""
    );
    assert!(matches!(error, Error::Pull { .. }));
    fake.finish().await;
}

#[tokio::test]
async fn a_pull_refused_by_status_is_the_same_error() {
    let fake = Fake::start(vec![answers(&[(
        "400 Bad Request",
        r#"{"cause":"c","message":"bad reference"}"#,
    )])]);
    let pull = PullRequest {
        reference: ":".to_owned(),
        ..PullRequest::default()
    };
    let error = Client::new(fake.socket()).pull(&pull, |_| {}).await.unwrap_err();
    assert!(
        matches!(&error, Error::Pull { message, .. } if message == "bad reference"),
        "{error:?}"
    );
    fake.finish().await;
}

#[tokio::test]
async fn exec_runs_and_tells_its_exit_code() {
    let fake = Fake::start(vec![
        answers(&[("201 Created", r#"{"Id":"e1"}"#)]),
        vec![
            Step::Request,
            Step::Send(hijacked()),
            Step::ReceiveEof,
            Step::Send([frame(2, b"no\n"), frame(1, b"yes\n")].concat()),
        ],
        answers(&[
            ("200 OK", r#"{"ID":"e1","Running":false,"ExitCode":3,"Pid":0}"#),
            ("201 Created", ""),
        ]),
    ]);
    let client = Client::new(fake.socket());
    let spec = ExecSpec {
        command: vec!["sh".to_owned(), "-c".to_owned(), "x".to_owned()],
        env: Environment::from_iter([("K", "v=1")]),
        user: Some("0:0".to_owned()),
        attach_stdin: true,
        attach_stdout: true,
        attach_stderr: true,
        ..ExecSpec::default()
    };
    let session = client.exec_create("c", &spec).await.unwrap();
    let attached = client.exec_start(&session).await.unwrap();
    attached.input.close().await.unwrap();
    assert_eq!(collect(attached.output).await, [err("no\n"), out("yes\n")]);
    let state = client.exec_inspect(&session).await.unwrap();
    assert_eq!(
        state,
        ExecState {
            running: false,
            exit_code: 3,
            pid: 0
        }
    );
    client.exec_resize(&session, 24, 80).await.unwrap();
    let recorded = fake.finish().await;
    assert_eq!(
        lines(&recorded),
        [
            "POST /containers/c/exec",
            "POST /exec/e1/start",
            "GET /exec/e1/json",
            "POST /exec/e1/resize?h=24&w=80"
        ]
    );
    assert_eq!(
        recorded[0].body,
        r#"{"Cmd":["sh","-c","x"],"Env":["K=v=1"],"User":"0:0","Tty":false,"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"Privileged":false}"#
    );
    assert_eq!(recorded[1].body, r#"{"Detach":false,"Tty":false}"#);
}

#[tokio::test]
async fn events_are_typed() {
    let died = br#"{"status":"died","id":"c1","from":"img","Type":"container","Action":"died","Actor":{"ID":"c1","Attributes":{"containerExitCode":"7","name":"n"}},"scope":"local","time":5,"timeNano":5000000001}"#;
    let fake = Fake::start(vec![vec![
        Step::Request,
        chunked_head(),
        chunk(died),
        chunk(b"\n"),
        chunk(b"{\"Type\":\"system\",\"Action\":\"refresh\",\"Actor\":{\"ID\":\"\",\"Attributes\":null}}\n"),
        chunk(b""),
    ]]);
    let filters = Filters::default().and("event", "died");
    let mut events = Client::new(fake.socket()).events(&filters).await.unwrap();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first.exit_code(), Some(7));
    assert_eq!(
        first,
        Event {
            kind: "container".to_owned(),
            action: "died".to_owned(),
            actor: Actor {
                id: "c1".to_owned(),
                attributes: BTreeMap::from(
                    [("containerExitCode", "7"), ("name", "n")].map(|(k, v)| (k.to_owned(), v.to_owned()))
                ),
            },
            time_nano: 5_000_000_001,
        }
    );
    assert_eq!(events.next().await.unwrap().unwrap().action, "refresh");
    assert_eq!(events.next().await.unwrap(), None);
    assert_eq!(
        lines(&fake.finish().await),
        ["GET /events?stream=true&filters=%7B%22event%22%3A%5B%22died%22%5D%7D"]
    );
}

#[tokio::test]
async fn volumes_and_networks_are_made_as_asked() {
    let fake = Fake::start(vec![answers(&[
        (
            "201 Created",
            r#"{"Name":"v","Mountpoint":"/m","Labels":null,"Options":{},"CreatedAt":"t"}"#,
        ),
        (
            "200 OK",
            r#"{"name":"n","id":"1","driver":"bridge","dns_enabled":true,"created":"t","labels":{"a":"b"}}"#,
        ),
        ("200 OK", r#"[{"Name":"n","Err":{}}]"#),
        ("200 OK", r#"[{"Name":"n","Err":null}]"#),
    ])]);
    let client = Client::new(fake.socket());
    let volume = client
        .create_volume(&VolumeSpec {
            name: "v".to_owned(),
            ..VolumeSpec::default()
        })
        .await
        .unwrap();
    assert_eq!(volume.mountpoint, "/m");
    let mut network = NetworkSpec::bridge("n");
    network.labels.insert("a".to_owned(), "b".to_owned());
    network.options.insert("mtu".to_owned(), "1400".to_owned());
    let made = client.create_network(&network).await.unwrap();
    assert_eq!(
        (made.id.as_str(), made.dns_enabled, &made.labels),
        ("1", true, &network.labels)
    );
    let error = client.remove_network("n", false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "DELETE /networks/n: 200 OK: network could not be removed, podman does not say why"
    );
    assert!(client.remove_network("n", true).await.unwrap());
    let bodies: Vec<String> = fake.finish().await.into_iter().map(|request| request.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"Name":"v"}"#,
            r#"{"name":"n","driver":"bridge","labels":{"a":"b"},"dns_enabled":true,"internal":false,"ipv6_enabled":false,"options":{"mtu":"1400"}}"#,
            "",
            "",
        ]
    );
}

#[tokio::test]
async fn calls_share_a_connection_and_survive_its_end() {
    let ok = ("200 OK", "OK");
    // The first connection ends after two calls, the second is used for the rest.
    let fake = Fake::start(vec![answers(&[ok, ok]), answers(&[ok, ("204 No Content", "")])]);
    let client = Client::new(fake.socket());
    client.ping().await.unwrap();
    client.clone().ping().await.unwrap();
    client.ping().await.unwrap();
    client.start("c").await.unwrap();
    let connections: Vec<usize> = fake.finish().await.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_lost_answer_is_asked_again_only_where_that_is_harmless() {
    let ok = ("200 OK", "OK");
    // Each connection answers once, reads a second request, and then closes without an answer.
    let mut lossy = answers(&[ok]);
    lossy.push(Step::Request);
    let fake = Fake::start(vec![lossy, answers(&[ok])]);
    let client = Client::new(fake.socket());
    client.ping().await.unwrap();
    client.ping().await.unwrap();
    let connections: Vec<usize> = fake.finish().await.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);

    let mut lossy = answers(&[ok]);
    lossy.push(Step::Request);
    let fake = Fake::start(vec![lossy]);
    let client = Client::new(fake.socket());
    client.ping().await.unwrap();
    let error = client.start("c").await.unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
    assert_eq!(lines(&fake.finish().await), ["GET /_ping", "POST /containers/c/start"]);
}

#[tokio::test]
async fn a_missing_service_is_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("none.sock");
    let error = Client::new(&socket).ping().await.unwrap_err();
    let Error::Unreachable { socket: tried, source } = error else {
        panic!("{error:?}")
    };
    assert_eq!((tried, source.kind()), (socket, std::io::ErrorKind::NotFound));
}

#[tokio::test]
async fn an_answer_of_another_form_names_its_path() {
    let fake = Fake::start(vec![answers(&[("200 OK", r#"{"Id":"c","Name":"n"}"#)])]);
    let error = Client::new(fake.socket()).inspect_container("c").await.unwrap_err();
    assert!(
        matches!(&error, Error::Decode { path, .. } if path == "/containers/c/json"),
        "{error:?}"
    );
    fake.finish().await;
}
