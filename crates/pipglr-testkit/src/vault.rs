//! A secrets server that speaks Vault's HTTP API as its documents have it: JWT login, KV version 1 and 2.
//!
//! Answers are the documented JSON; tokens are checked, so that a client that skips a step gets nothing.

use crate::watched::Watched;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The token a login gives.
pub const VAULT_TOKEN: &str = "hvs.fake-client-token";

/// A server on loopback.
#[derive(Debug)]
pub struct FakeVault {
    url: String,
    state: Arc<Watched<State>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Mount of the login, role, JWT.
    logins: Vec<(String, String, String)>,
    /// Path below `/v1/` to the `data` of its answer.
    data: BTreeMap<String, Value>,
    namespace: String,
    /// Statuses of the next calls.
    failures: Vec<u16>,
    calls: Vec<String>,
}

impl FakeVault {
    /// Listens.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let state = Arc::new(Watched::new(State::default()));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { url, state, server }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A role that may log in with this JWT at `auth/<mount>/login`.
    pub fn role(&self, mount: &str, role: &str, jwt: &str) {
        let login = (mount.to_owned(), role.to_owned(), jwt.to_owned());
        self.state.change(|s| s.logins.push(login));
    }

    /// Every call must be made in this namespace.
    pub fn namespace(&self, name: &str) {
        self.state.change(|s| name.clone_into(&mut s.namespace));
    }

    /// A secret of a KV engine, version 1.
    pub fn kv1(&self, mount: &str, path: &str, fields: Value) {
        self.state.change(|s| s.data.insert(format!("{mount}/{path}"), fields));
    }

    /// A secret of a KV engine, version 2.
    pub fn kv2(&self, mount: &str, path: &str, fields: &Value) {
        let data = json!({"data": fields, "metadata": {
            "created_time": "2026-03-22T02:24:06.945319214Z", "custom_metadata": null, "deletion_time": "",
            "destroyed": false, "version": 2,
        }});
        self.state
            .change(|s| s.data.insert(format!("{mount}/data/{path}"), data));
    }

    /// The next call is answered with this status.
    pub fn fails(&self, status: u16) {
        self.state.change(|s| s.failures.push(status));
    }

    /// `METHOD path` of all calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state.read().calls.clone()
    }
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One request for each connection.
async fn serve(stream: TcpStream, state: &Watched<State>) {
    let mut stream = BufReader::new(stream);
    let Some((line, headers, body)) = read_request(&mut stream).await else {
        return;
    };
    let (status, answer) = state.change(|s| s.answer(&line, &headers, &body));
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    // A client that went away is nobody to tell.
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, BTreeMap<String, String>, Value)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((line, headers, serde_json::from_slice(&body).unwrap_or_default()))
}

impl State {
    fn answer(&mut self, line: &str, headers: &BTreeMap<String, String>, body: &Value) -> (u16, Value) {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.calls.push(format!("{method} {path}"));
        let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
        if !self.failures.is_empty() {
            return (self.failures.remove(0), json!({"errors": ["Vault is sealed"]}));
        }
        let denied = (403, json!({"errors": ["permission denied"]}));
        if header("x-vault-namespace") != self.namespace || header("x-vault-request") != "true" {
            return denied;
        }
        let path = path.strip_prefix("/v1/").unwrap_or_default();
        if method == "POST" {
            return self.log_in(path, body);
        }
        if header("x-vault-token") != VAULT_TOKEN {
            return denied;
        }
        match self.data.get(path) {
            Some(data) => (
                200,
                json!({
                    "request_id": "a8f28f97-8a9d-c9cf-4d86-e815083b33ad", "lease_id": "", "renewable": false,
                    "lease_duration": 2_764_800, "data": data, "wrap_info": null, "warnings": null, "auth": null,
                }),
            ),
            None => (404, json!({"errors": []})),
        }
    }

    fn log_in(&self, path: &str, body: &Value) -> (u16, Value) {
        let known = self.logins.iter().any(|(mount, role, jwt)| {
            path == format!("auth/{mount}/login") && body["role"] == **role && body["jwt"] == **jwt
        });
        if known {
            let auth = json!({
                "client_token": VAULT_TOKEN, "accessor": "afa306d0-be3d-c8d2-b0d7-2676e1c0d9b4", "policies": ["default"],
                "metadata": {"role": body["role"]}, "lease_duration": 3600, "renewable": true,
            });
            (200, json!({"request_id": "x", "data": null, "auth": auth}))
        } else {
            (
                400,
                json!({"errors": ["error validating token: invalid audience (aud) claim"]}),
            )
        }
    }
}
