//! Web terminals: a real client over TLS, a session server, a job between a fake GitLab and a fake podman.

use crate::support::{Bench, PATIENCE, Ran, SYSTEM_ID, http};
use futures_util::{SinkExt as _, StreamExt as _};
use pipglr_protocol::job_request::SessionInfo;
use pipglr_runner::config::{Config, parse_config};
use pipglr_runner::job::{self, World};
use pipglr_runner::manager::{self, Ended, Following, ManagerOptions, Shutdown, ShutdownLevel};
use pipglr_runner::session_server::{JobSession, SessionServer, Times};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, JobBuilder, RUNNER_TOKEN, Request};
use pipglr_testkit::podman::Act;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A bench with a session server.
struct House {
    bench: Bench,
    server: SessionServer,
    /// Opens when the script may end.
    gate: Gate,
}

/// A session of a job, and what GitLab knows of it.
fn session(server: &SessionServer, timeout: Duration) -> (JobSession, SessionInfo) {
    let proposed = server.propose(timeout);
    let info = proposed.info();
    (proposed.begin(), info)
}

impl House {
    async fn new(times: Times) -> Self {
        let bench = Bench::start().await;
        let text = "[session_server]\nlisten_address = \"127.0.0.1:0\"\n";
        let config = parse_config(text, "config.toml").unwrap().config;
        let bound = SessionServer::bind(&config.session_server, times).await.unwrap();
        let (server, listener) = bound.unwrap();
        tokio::spawn(server.clone().serve(listener));
        let gate = Gate::closed();
        bench.podman.on_stage(
            "step_script",
            [Act::out("working\n"), Act::WaitFor(gate.clone()), Act::out("worked\n")],
        );
        Self { bench, server, gate }
    }

    /// Runs a job whose script waits at the gate, in this session, while `visit` is going on.
    fn run<'a>(
        &'a self,
        session: JobSession,
        builder: JobBuilder,
        visit: impl Future<Output = ()> + 'a,
    ) -> Pin<Box<dyn Future<Output = Ran> + 'a>> {
        Box::pin(self.run_both(session, builder, Box::pin(visit)))
    }

    async fn run_both(&self, session: JobSession, builder: JobBuilder, visit: impl Future<Output = ()>) -> Ran {
        let payload = self.bench.gitlab.assign(builder);
        let id = payload["id"].as_u64().unwrap();
        let world = World {
            session: Some(session),
            ..self.bench.world(id)
        };
        let running = Box::pin(job::run_job(self.bench.accepted(payload), world));
        let both = async { tokio::join!(running, visit) };
        let (record, ()) = tokio::time::timeout(PATIENCE, both)
            .await
            .expect("the job comes to an end");
        let at_gitlab = self.bench.gitlab.record().jobs[&id].clone();
        Ran { record, at_gitlab }
    }

    fn start_manager(
        &self,
        config: Config,
        served: bool,
        shutdown: &Shutdown,
    ) -> tokio::task::JoinHandle<anyhow::Result<Ended>> {
        let (sender, configs) = tokio::sync::watch::channel(Arc::new(config));
        let following = Following {
            sessions: Some(self.server.clone()).filter(|_| served),
            ..Following::only(configs)
        };
        let options = ManagerOptions {
            state_dir: self.bench.directory.path().to_owned(),
            system_id: SYSTEM_ID.to_owned(),
        };
        let running = manager::run_following(following, self.bench.engine(), options, shutdown.clone());
        tokio::spawn(async move {
            let ended = Box::pin(running).await;
            drop(sender);
            ended
        })
    }

    /// What nobody can guess of a session: its part of the path, and its token.
    fn secrets_of(&self, session: &serde_json::Value) -> [String; 2] {
        let base = format!("{}/session/", self.server.base());
        let id = session["url"].as_str().unwrap().strip_prefix(&base).unwrap();
        let secrets = [id, session["authorization"].as_str().unwrap()].map(str::to_owned);
        for secret in &secrets {
            assert!(
                secret.len() == 64 && secret.chars().all(|c| c.is_ascii_hexdigit()),
                "{secret}"
            );
        }
        secrets
    }

    async fn script_begun(&self) {
        self.bench
            .podman
            .wait_for("the script", |r| r.has_begun("step_script"))
            .await;
    }

    async fn script_ended(&self) {
        self.bench
            .podman
            .wait_for("the end of the script", |r| r.has_begun("cleanup_file_variables"))
            .await;
    }

    /// Waits until the log at GitLab has `part`.
    async fn shown(&self, id: u64, part: &str) {
        let has = |r: &pipglr_testkit::gitlab::Record| r.jobs.get(&id).is_some_and(|j| j.text().contains(part));
        self.bench.gitlab.wait_for(part, has).await;
    }
}

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["make"])
}

const PROTOCOL: &str = "terminal.gitlab.com";

/// Somebody at a web terminal.
struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    protocol: Option<String>,
}

impl Client {
    /// Connects as GitLab does: trusts the session's certificate alone and shows its token.
    async fn connect(info: &SessionInfo, protocols: &str) -> Result<Self, u16> {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(info.certificate.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let url = format!("{}/exec", info.url.replace("https://", "wss://"));
        let mut request = url.into_client_request().unwrap();
        let address = request.uri().authority().unwrap().to_string();
        let headers = request.headers_mut();
        headers.insert("authorization", info.authorization.expose().parse().unwrap());
        if !protocols.is_empty() {
            headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        let stream = TcpStream::connect(&address).await.unwrap();
        let host = ServerName::try_from(address.split(':').next().unwrap().to_owned()).unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(host, stream)
            .await
            .unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|p| p.to_str().unwrap().to_owned());
                Ok(Self { socket, protocol })
            }
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn say(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    async fn type_line(&mut self, line: &str) {
        self.say(Message::binary(format!("{line}\n").into_bytes())).await;
    }

    /// What is shown, until it ends like this.
    async fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            match self.next().await {
                Message::Binary(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                other => panic!("{other:?} after {text:?}"),
            }
        }
        text
    }

    /// The next message that is no sign of life.
    async fn next(&mut self) -> Message {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let message = message.expect("a message").expect("an open connection").unwrap();
            if !message.is_ping() {
                return message;
            }
        }
    }

    /// Why it was closed.
    async fn closed(&mut self) -> String {
        loop {
            match self.next().await {
                Message::Close(frame) => return frame.unwrap().reason.to_string(),
                Message::Binary(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_shell_is_opened_in_a_running_job() {
    let house = House::new(Times::default()).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    let builder = job(701).masked_variable("COLOUR", "a-secret-shade").with(
        "/image",
        json!({"name": "alpine:3.20", "executor_opts": {"docker": {"user": "nobody"}}}),
    );
    let ran = house
        .run(session, builder, async {
            house.script_begun().await;
            let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
            assert_eq!(client.protocol.as_deref(), Some(PROTOCOL));
            assert_eq!(client.read_until("# ").await, "# ");
            client.type_line("hello").await;
            assert_eq!(client.read_until("# ").await, "you said hello\r\n# ");
            client.type_line("exit").await;
            assert_eq!(client.closed().await, "the shell has ended");
            house.gate.open();
        })
        .await;
    ran.assert_ending("success", "", 0);
    assert!(!ran.log().contains("Terminal"), "{}", ran.log());
    let record = house.bench.podman.record();
    let exec = &record.execs[0];
    assert!(exec.container.ends_with("-build"));
    assert_eq!(exec.command, ["/.pipglr/pipglr", "job-terminal"]);
    assert_eq!(
        (&exec.request["Tty"], &exec.request["User"]),
        (&true.into(), &"0:0".into())
    );
    assert!(!exec.request.to_string().contains("a-secret-shade"), "{}", exec.request);
    let plan = exec.plan.as_ref().unwrap();
    assert_eq!(plan["user"], "nobody");
    let environment = plan["environment"].as_array().unwrap();
    assert!(environment.contains(&json!(["COLOUR", "a-secret-shade"])));
    assert!(plan["project_dir"].as_str().unwrap().starts_with("/builds/"));
    house.bench.assert_clean();
}

#[tokio::test]
async fn messages_are_encoded_as_the_client_wishes() {
    let base64 = "base64.terminal.gitlab.com";
    let (text, binary) = (Message::text, |b: &[u8]| Message::binary(b.to_vec()));
    // Name, protocols asked for, the one agreed upon, what is typed, what is shown for it.
    let cases = [
        (
            "raw",
            PROTOCOL,
            Some(PROTOCOL),
            binary(b"\xff\n"),
            binary(b"you said \xff\r\n# "),
        ),
        (
            "raw, typed as text",
            PROTOCOL,
            Some(PROTOCOL),
            text("a\n"),
            binary(b"you said a\r\n# "),
        ),
        (
            "base64",
            base64,
            Some(base64),
            text("YQo="),
            text("eW91IHNhaWQgYQ0KIyA="),
        ),
        (
            "the first of several",
            "base64.terminal.gitlab.com, terminal.gitlab.com",
            Some(PROTOCOL),
            binary(b"a\n"),
            binary(b"you said a\r\n# "),
        ),
        ("none, bytes", "", None, binary(b"a\n"), binary(b"you said a\r\n# ")),
        ("none, text", "", None, text("a\n"), text("you said a\r\n# ")),
    ];
    let house = House::new(Times::default()).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    let ran = house
        .run(session, job(702), async {
            house.script_begun().await;
            for (name, protocols, agreed, typed, shown) in cases {
                // The one before may not have been noticed to have left.
                let mut client = loop {
                    match Client::connect(&info, protocols).await {
                        Ok(client) => break client,
                        Err(status) => assert_eq!(status, 423, "{name}"),
                    }
                };
                assert_eq!(client.protocol.as_deref(), agreed, "{name}");
                client.next().await;
                client.say(typed).await;
                assert_eq!(client.next().await, shown, "{name}");
                client.leave().await;
            }
            house.gate.open();
        })
        .await;
    ran.assert_ending("success", "", 0);
}

#[tokio::test]
async fn what_is_no_base64_ends_the_terminal() {
    let house = House::new(Times::default()).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    house
        .run(session, job(703), async {
            house.script_begun().await;
            let client = Client::connect(&info, "base64.terminal.gitlab.com").await;
            let mut client = client.map_err(drop).unwrap();
            client.next().await;
            client.say(Message::text("***")).await;
            assert!(client.next().await.is_close());
            house.gate.open();
        })
        .await;
    house.bench.assert_clean();
}

/// The status of an answer to a request for a terminal that differs from a good one as `change` says.
async fn status(
    info: &SessionInfo,
    path: &str,
    change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> u16 {
    let certificate = reqwest::Certificate::from_pem(info.certificate.as_bytes()).unwrap();
    let client = http().tls_certs_only([certificate]).build().unwrap();
    let request = client
        .get(format!("{}{path}", info.url))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    change(request).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn requests_are_refused_as_gitlab_expects() {
    let house = House::new(Times::default()).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    let token = info.authorization.expose().to_owned();
    let right = |r: reqwest::RequestBuilder| r.header("authorization", &token);
    let bearer = format!("Bearer {token}");
    house
        .run(session, job(704), async {
            house.script_begun().await;
            assert_eq!(status(&info, "/exec", |r| r).await, 401, "no token");
            assert_eq!(
                status(&info, "/exec", |r| r.header("authorization", &bearer)).await,
                401,
                "a scheme"
            );
            let wrong = "0".repeat(64);
            assert_eq!(
                status(&info, "/exec", |r| r.header("authorization", &wrong)).await,
                401,
                "another token"
            );
            assert_eq!(status(&info, "0/exec", right).await, 404, "another session");
            assert_eq!(status(&info, "", right).await, 404, "no part of a session");
            assert_eq!(status(&info, "/nothing", right).await, 404, "another part");
            assert_eq!(status(&info, "/proxy/db/5432/", right).await, 404, "proxy of services");
            let plain = http()
                .tls_certs_only([reqwest::Certificate::from_pem(info.certificate.as_bytes()).unwrap()])
                .build()
                .unwrap();
            let plain = plain.get(format!("{}/exec", info.url)).header("authorization", &token);
            assert_eq!(plain.send().await.unwrap().status().as_u16(), 405, "no websocket");
            house.bench.podman.refuse("/exec", 1, 500, "crun: no");
            assert_eq!(status(&info, "/exec", right).await, 500, "podman refuses");
            let client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
            assert_eq!(status(&info, "/exec", right).await, 423, "somebody is there already");
            client.leave().await;
            house.gate.open();
        })
        .await;
    assert_eq!(status(&info, "/exec", right).await, 404, "the job is over");
    house.bench.assert_clean();
}

#[tokio::test]
async fn a_job_that_has_no_container_yet_offers_no_terminal() {
    let times = Times {
        offered: Duration::ZERO,
        ..Times::default()
    };
    let house = House::new(times).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    let pulls = Gate::closed();
    house.bench.podman.hold_pulls(&pulls);
    house.gate.open();
    let ran = house
        .run(session, job(705), async {
            house.shown(705, "Preparing").await;
            assert_eq!(Client::connect(&info, PROTOCOL).await.err(), Some(503));
            pulls.open();
        })
        .await;
    ran.assert_ending("success", "", 0);
}

#[tokio::test]
async fn a_connected_terminal_holds_the_job_open() {
    for (code, state, reason) in [(0, "success", ""), (3, "failed", "script_failure")] {
        let house = House::new(Times::default()).await;
        let gate = house.gate.clone();
        house
            .bench
            .podman
            .on_stage("step_script", [Act::WaitFor(gate), Act::Exit(code)]);
        let (session, info) = session(&house.server, Duration::from_secs(1800));
        let builder = job(706).artifacts(&["out"], "always");
        let ran = house
            .run(session, builder, async {
                house.script_begun().await;
                let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
                house.gate.open();
                house
                    .shown(706, "Terminal is connected, will time out in 30m0s...")
                    .await;
                client.type_line("still there?").await;
                client.read_until("you said still there?\r\n# ").await;
                client.leave().await;
            })
            .await;
        ran.assert_ending(state, reason, i64::from(code));
        let log = ran.log();
        let order = [
            "Uploading artifacts",
            "Terminal is connected",
            "Terminal disconnected\n",
            "Job ",
        ];
        let places: Vec<usize> = order.iter().map(|part| log.rfind(part).unwrap()).collect();
        assert!(places.is_sorted(), "{log}");
        assert_eq!(
            house.bench.podman.record().container("-build").unwrap().signals,
            ["SIGHUP"]
        );
        house.bench.assert_clean();
    }
}

#[tokio::test]
async fn a_terminal_holds_the_job_open_only_so_long() {
    // The session's own time, and what is left of the job's.
    for (limit, timeout) in [(1, 3600), (1800, 2)] {
        let house = House::new(Times::default()).await;
        let (session, info) = session(&house.server, Duration::from_secs(limit));
        let ran = house
            .run(session, job(707).timeout(timeout), async {
                house.script_begun().await;
                let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
                house.gate.open();
                house.script_ended().await;
                let why = client.closed().await;
                assert!(
                    why.starts_with("terminal session timed out (maximum time allowed - "),
                    "{why}"
                );
            })
            .await;
        ran.assert_ending("success", "", 0);
        ran.assert_log_has("terminal session timed out (maximum time allowed - ");
        house.bench.assert_clean();
    }
}

#[tokio::test]
async fn whatever_stops_the_job_ends_the_terminal() {
    for (how, state, reason) in [
        ("canceled while it is held open", "success", ""),
        ("runner stopped while it is held open", "success", ""),
        ("runner stopped while the script runs", "failed", "runner_interrupted"),
    ] {
        let house = House::new(Times::default()).await;
        let (session, info) = session(&house.server, Duration::from_secs(1800));
        let ran = house
            .run(session, job(708), async {
                house.script_begun().await;
                let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
                if how.ends_with("held open") {
                    if how.starts_with("canceled") {
                        let header = Answer::usual().header("Job-Status", "canceling");
                        let opened = |r: &Request| String::from_utf8_lossy(&r.body).contains("Terminal is connected");
                        house.bench.gitlab.answer_if(Endpoint::Trace, 1, opened, header);
                    }
                    house.gate.open();
                    house.shown(708, "Terminal is connected").await;
                }
                if how.starts_with("runner") {
                    house.bench.interrupt.cancel();
                }
                client.closed().await;
            })
            .await;
        assert_eq!(
            (ran.ending().0.as_str(), ran.ending().1.as_str()),
            (state, reason),
            "{how}"
        );
        house.bench.assert_clean();
    }
}

#[tokio::test]
async fn an_idle_terminal_gets_signs_of_life() {
    let times = Times {
        ping: Duration::from_millis(10),
        ..Times::default()
    };
    let house = House::new(times).await;
    let (session, info) = session(&house.server, Duration::from_secs(1800));
    house
        .run(session, job(709), async {
            house.script_begun().await;
            let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
            let mut pings = 0;
            while pings < 2 {
                pings += usize::from(client.socket.next().await.unwrap().unwrap().is_ping());
            }
            client.leave().await;
            house.gate.open();
        })
        .await;
}

#[tokio::test]
async fn each_request_for_a_job_announces_a_session_of_its_own() {
    let house = House::new(Times::default()).await;
    for served in [true, false] {
        let runner = format!("url = {:?}\ntoken = \"{RUNNER_TOKEN}\"\n", house.bench.gitlab.url());
        let text = format!("check_interval = 1\n[session_server]\nsession_timeout = 900\n[[runners]]\n{runner}");
        let config = parse_config(&text, "config.toml").unwrap().config;
        let shutdown = Shutdown::default();
        let asked = house.bench.gitlab.record().count(Endpoint::JobRequest);
        let first = if served { 711 } else { 713 };
        for id in [first, first + 1] {
            house.bench.gitlab.queue(job(id));
        }
        let running = house.start_manager(config, served, &shutdown);
        let request = |number: usize| {
            let find = move |r: &pipglr_testkit::gitlab::Record| {
                let request = r.calls(Endpoint::JobRequest).nth(asked + number)?;
                (request.status == Some(201)).then(|| request.json())
            };
            let gitlab = &house.bench.gitlab;
            async move { gitlab.wait_some("a request that brings a job", find).await }
        };
        let one = request(0).await;
        if served {
            house.script_begun().await;
            let info: SessionInfo = serde_json::from_value(one["session"].clone()).unwrap();
            let mut client = Client::connect(&info, PROTOCOL).await.map_err(drop).unwrap();
            house.gate.open();
            house
                .shown(first, "Terminal is connected, will time out in 15m0s...")
                .await;
            client.type_line("exit").await;
            client.closed().await;
        }
        let two = request(1).await;
        house.bench.gitlab.finished(first + 1).await;
        for key in ["session", "terminal"] {
            assert_eq!(one["info"]["features"][key], served, "{key}");
        }
        assert_eq!(one["info"]["features"]["proxy"], false);
        if served {
            let [one, two] = [one, two].map(|request| house.secrets_of(&request["session"]));
            assert!(one[0] != two[0] && one[1] != two[1]);
        } else {
            assert_eq!((one.get("session"), two.get("session")), (None, None));
        }
        shutdown.request(ShutdownLevel::Graceful);
        assert_eq!(running.await.unwrap().unwrap(), Ended::Clean);
    }
    house.bench.assert_clean();
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_named() {
    for (address, error) in [
        ("127.0.0.1:port", "serve web terminals on 127.0.0.1:port"),
        ("ü:0", "make a certificate for \"ü\""),
    ] {
        let text = format!("[session_server]\nlisten_address = {address:?}\n");
        let config = parse_config(&text, "config.toml").unwrap().config;
        let bound = SessionServer::bind(&config.session_server, Times::default()).await;
        assert_eq!(bound.unwrap_err().to_string(), error);
    }
    let nothing = SessionServer::bind(&Default::default(), Times::default())
        .await
        .unwrap();
    assert!(nothing.is_none());
}
