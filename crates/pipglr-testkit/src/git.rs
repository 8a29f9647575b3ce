//! Repositories over HTTP, by git's own `http-backend`, for whoever knows the password.

use crate::watched::Watched;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use base64::Engine as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRequest {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Whether the right password came with it.
    pub authorized: bool,
    pub headers: HeaderMap,
}

impl GitRequest {
    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<GitRequest>,
    /// Beginning of a path, and how many requests for it fail.
    failing: (String, usize),
    /// Beginnings of paths nobody may read.
    forbidden: Vec<String>,
}

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct GitServer {
    directory: TempDir,
    address: SocketAddr,
    backend: Arc<Backend>,
    server: JoinHandle<()>,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
struct Backend {
    root: PathBuf,
    authorization: String,
    seen: Watched<Seen>,
}

impl GitServer {
    /// Listens on a free port; user `gitlab-ci-token` with `password` may read what is below [`GitServer::root`].
    ///
    /// # Panics
    /// There is no free port or no temporary directory.
    pub async fn start(password: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on the loopback interface");
        let address = listener.local_addr().expect("a bound socket has an address");
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("gitlab-ci-token:{password}"));
        let backend = Arc::new(Backend {
            root: directory.path().to_owned(),
            authorization: format!("Basic {credentials}"),
            seen: Watched::new(Seen::default()),
        });
        let router = Router::new().fallback(answer).with_state(backend.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the server runs");
        });
        Self {
            directory,
            address,
            backend,
            server,
        }
    }

    /// Base URL without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Where the bare repositories are.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The next `times` requests fail with status 500.
    pub fn fail(&self, times: usize) {
        self.fail_on("/", times);
    }

    /// The next `times` requests whose path starts with `path` fail with status 500.
    pub fn fail_on(&self, path: &str, times: usize) {
        self.backend.seen.change(|s| s.failing = (path.to_owned(), times));
    }

    /// Nobody may read what begins with `path` any more: status 403.
    pub fn forbid(&self, path: &str) {
        self.backend.seen.change(|s| s.forbidden.push(path.to_owned()));
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<GitRequest> {
        self.backend.seen.read().requests.clone()
    }
}

async fn answer(
    State(backend): State<Arc<Backend>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let authorized = headers.get("authorization").and_then(|v| v.to_str().ok()) == Some(&backend.authorization);
    let fails = backend.seen.change(|s| {
        s.requests.push(GitRequest {
            method: method.to_string(),
            path: uri.to_string(),
            authorized,
            headers: headers.clone(),
        });
        let fails = s.failing.1 > 0 && uri.path().starts_with(&s.failing.0);
        s.failing.1 -= usize::from(fails);
        fails
    });
    if fails {
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if !authorized {
        let mut refused = plain(StatusCode::UNAUTHORIZED);
        let challenge = "Basic realm=\"fake\"".parse().expect("a header value");
        refused.headers_mut().insert("www-authenticate", challenge);
        return refused;
    }
    let forbidden = |seen: &Seen| seen.forbidden.iter().any(|path| uri.path().starts_with(path));
    if forbidden(&backend.seen.read()) {
        return plain(StatusCode::FORBIDDEN);
    }
    run_backend(&backend.root, &method, &uri, &headers, &body).await
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

async fn run_backend(root: &Path, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", root)
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "uploadpack.allowAnySHA1InWant")
        .env("GIT_CONFIG_VALUE_0", "true")
        .env("GIT_CONFIG_KEY_1", "safe.directory")
        .env("GIT_CONFIG_VALUE_1", "*")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("REMOTE_USER", "gitlab-ci-token")
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let body = body.to_vec();
    let feeding = tokio::spawn(async move {
        // The program may stop reading early; its answer says why.
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.expect("git http-backend runs");
    feeding.await.expect("feeding does not panic");
    response_of(&output.stdout)
}

/// Splits what a CGI program prints.
fn response_of(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = Response::new(Body::from(output[(end + 4).min(output.len())..].to_vec()));
    for line in head.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code.parse().expect("a status");
        } else {
            let name: axum::http::HeaderName = name.parse().expect("a header's name");
            response
                .headers_mut()
                .insert(name, value.parse().expect("a header's value"));
        }
    }
    response
}
