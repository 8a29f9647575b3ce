//! A coordinator on a loopback port, a small repository, and a runner's calls.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pipglr_ci::model::{Job, Pipeline};
use pipglr_coordinator::{Coordinator, JobState, PipelineId, Revision, ServeOptions};
use pipglr_protocol::payload::JobId;
use reqwest::{Client, Method, RequestBuilder, Response};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const RUNNER_TOKEN: &str = "glrt-test-runner";
pub(crate) const REGISTRATION_TOKEN: &str = "glrtr-test";

pub(crate) struct World {
    pub(crate) coordinator: Coordinator,
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) directory: TempDir,
    pub(crate) repo: PathBuf,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), pipglr_coordinator::Error>>,
}

/// A job as a runner holds it.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) payload: Value,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut ServeOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repo = directory.path().join("sample");
        make_repository(&repo);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut options = ServeOptions::new(&repo, directory.path().join("data"), &base);
        options.runner_tokens = vec![RUNNER_TOKEN.into()];
        options.registration_token = Some(REGISTRATION_TOKEN.into());
        adjust(&mut options);
        let coordinator = Coordinator::open(options).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            stopped.await.unwrap_or_default();
        };
        let serving = coordinator.clone();
        let server = tokio::spawn(async move { serving.serve(listener, shutdown).await });
        let client = plain_client();
        Self {
            coordinator,
            base,
            client,
            directory,
            repo,
            stop,
            server,
        }
    }

    /// Stops the coordinator and gives its directory back.
    pub(crate) async fn stop(self) -> TempDir {
        let Self {
            client,
            stop,
            server,
            directory,
            ..
        } = self;
        drop(client);
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        directory
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/api/v4/{path}", self.base))
    }

    pub(crate) async fn send_json(&self, method: Method, path: &str, body: &Value) -> Response {
        self.call(method, path).json(body).send().await.unwrap()
    }

    pub(crate) async fn create(&self, jobs: Vec<Job>) -> PipelineId {
        let stages = ["build", "test", "deploy"].map(str::to_owned).to_vec();
        self.coordinator
            .start_pipeline(
                &Revision::Head,
                &Pipeline {
                    stages,
                    jobs,
                    ..Pipeline::default()
                },
            )
            .await
            .unwrap()
    }

    /// Asks for a job once, with everything announced that gitlab-runner announces.
    pub(crate) async fn ask(&self, last_update: Option<&str>) -> Response {
        let mut body = job_request(true);
        if let Some(value) = last_update {
            body["last_update"] = value.into();
        }
        self.send_json(Method::POST, "jobs/request", &body).await
    }

    /// Takes a job that must be there.
    pub(crate) async fn take(&self) -> Taken {
        let response = self.ask(None).await;
        assert_eq!(response.status(), 201);
        taken(response).await
    }

    /// Takes the next job, once there is one.
    pub(crate) async fn take_when_there(&self) -> Taken {
        let mut response = self.ask(None).await;
        while response.status() == 204 {
            let version = header(&response, "x-gitlab-last-update").to_owned();
            response = self.ask(Some(&version)).await;
        }
        assert_eq!(response.status(), 201);
        taken(response).await
    }

    /// Takes a job and accepts it.
    pub(crate) async fn take_and_accept(&self) -> Taken {
        let job = self.take().await;
        assert_eq!(self.put(&job, "running").await.status(), 200);
        job
    }

    pub(crate) async fn put(&self, job: &Taken, state: &str) -> Response {
        self.put_with(job, json!({ "state": state })).await
    }

    pub(crate) async fn put_with(&self, job: &Taken, mut body: Value) -> Response {
        body["token"] = job.token.as_str().into();
        self.send_json(Method::PUT, &format!("jobs/{}", job.id), &body).await
    }

    pub(crate) async fn patch(&self, job: &Taken, range: &str, bytes: &[u8]) -> Response {
        self.call(Method::PATCH, &format!("jobs/{}/trace", job.id))
            .header("JOB-TOKEN", &job.token)
            .header("Content-Range", range)
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap()
    }

    pub(crate) fn state(&self, job: &Taken) -> JobState {
        self.coordinator.job(JobId(job.id)).unwrap().state
    }

    pub(crate) fn stored_trace(&self, job: &Taken) -> Vec<u8> {
        std::fs::read(self.coordinator.job(JobId(job.id)).unwrap().trace_path).unwrap()
    }
}

pub(crate) async fn taken(response: Response) -> Taken {
    let payload: Value = response.json().await.unwrap();
    Taken {
        id: payload["id"].as_u64().unwrap(),
        token: payload["token"].as_str().unwrap().to_owned(),
        payload,
    }
}

pub(crate) fn job_request(two_phase: bool) -> Value {
    json!({
        "token": RUNNER_TOKEN,
        "system_id": "s_0123456789ab",
        "info": { "features": {
            "two_phase_job_commit": two_phase, "cancel_gracefully": true,
            "artifacts_exclude": true, "return_exit_code": true, "fallback_cache_keys": true,
        } },
    })
}

/// reqwest wants a TLS provider even where there is no TLS.
fn plain_client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("nobody else installs one");
    });
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// A header as text; empty when it is missing.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

pub(crate) fn job(stage: &str, name: &str) -> Job {
    Job {
        name: name.to_owned(),
        stage: stage.to_owned(),
        script: vec!["true".to_owned()],
        ..Job::default()
    }
}

/// The claims of a token whose signature fits a key of the set.
pub(crate) fn verified_claims(token: &str, keys: &Value) -> Value {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = text.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let key = &keys["keys"][0];
    assert_eq!((&header["alg"], &header["kid"]), (&key["alg"], &key["kid"]));
    let mut point = vec![4];
    point.extend(decode(key["x"].as_str().unwrap()));
    point.extend(decode(key["y"].as_str().unwrap()));
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(text.as_bytes(), &decode(signature)).unwrap();
    serde_json::from_slice(&decode(claims)).unwrap()
}

/// Runs git hermetically and returns its output.
pub(crate) fn git(directory: &Path, args: &[&str]) -> String {
    let output = git_output(directory, args);
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn git_output(directory: &Path, args: &[&str]) -> std::process::Output {
    Command::new("git")
        .args([
            "-c",
            "user.name=Ann",
            "-c",
            "user.email=ann@test",
            "-c",
            "protocol.version=2",
        ])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", "*")
        .env_remove("GIT_DIR")
        .output()
        .unwrap()
}

/// `main` with three commits, a branch `topic/one`, tags `v1` (annotated) and `light`.
fn make_repository(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    for number in 1..=3 {
        std::fs::write(path.join("file"), format!("{number}\n")).unwrap();
        git(path, &["add", "file"]);
        git(
            path,
            &["commit", "--quiet", "-m", &format!("commit {number}\n\nbody {number}")],
        );
    }
    git(path, &["branch", "topic/one", "HEAD~1"]);
    git(path, &["tag", "-a", "-m", "first release", "v1", "HEAD~2"]);
    git(path, &["tag", "light", "HEAD~1"]);
}
