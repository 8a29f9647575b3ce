//! HTTP: reads and records requests, lets scripted answers come first, loses connections on command.

use super::answer::Fault;
use super::record::Request;
use super::state::State;
use super::{Answer, Endpoint, artifacts, job, runners};
use crate::watched::Watched;
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State as AxumState};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Shared = Arc<Watched<State>>;

/// An answer before it is HTTP.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_string().into_bytes(),
            ..Self::default()
        }
    }

    /// GitLab's way to say no.
    pub(super) fn refusal(status: u16, why: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": why }))
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

pub(super) async fn serve(state: Shared) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port on the loopback interface");
    let address = listener.local_addr().expect("a bound socket has an address");
    let app = Router::new().fallback(handle).with_state(state);
    let service = app.into_make_service_with_connect_info::<KillSwitch>();
    let server = tokio::spawn(async move {
        axum::serve(KillableListener(listener), service)
            .await
            .expect("serving never ends by itself");
    });
    (address, server)
}

async fn handle(
    AxumState(state): AxumState<Shared>,
    ConnectInfo(switch): ConnectInfo<KillSwitch>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut request = head_of(&parts);
    if state.change(|s| s.take_drop_unread(request.endpoint)) {
        state.change(|s| s.record.requests.push(request));
        return switch.kill();
    }
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => request.body = bytes.to_vec(),
        // The client went away: there is nobody to answer and nothing to record.
        Err(_) => return switch.kill(),
    }
    let (index, answer) = state.change(|s| {
        let answer = s.take_answer(&request).unwrap_or_default();
        s.record.requests.push(request.clone());
        (s.record.requests.len() - 1, answer)
    });
    if let Some(gate) = &answer.gate {
        gate.passed().await;
    }
    if let Some(delay) = answer.delay {
        tokio::time::sleep(delay).await;
    }
    if answer.fault == Some(Fault::Read) {
        return switch.kill();
    }
    let reply = scripted(process(&state, &request, &answer).await, &answer);
    if let Some(gate) = &answer.gate_after {
        gate.passed().await;
    }
    if answer.fault == Some(Fault::Applied) {
        return switch.kill();
    }
    state.change(|s| {
        s.record.requests[index].status = Some(reply.status);
        s.record.requests[index].answered = Some(Instant::now());
    });
    to_http(reply)
}

/// Carries the call out; a scripted status that is not "applied" stands in its place.
async fn process(state: &Shared, request: &Request, answer: &Answer) -> Reply {
    if let (Some(status), false) = (answer.status, answer.applied) {
        let reply = Reply::refusal(status, &format!("{status} as the test wants it"));
        return state.change(|s| match request.endpoint {
            Endpoint::JobUpdate | Endpoint::Trace => s.note_canned(request, reply),
            _ => reply,
        });
    }
    match request.endpoint {
        Endpoint::JobRequest => job::request(state, request).await,
        Endpoint::Upload => artifacts::upload(state, request).await,
        endpoint => state.change(|s| match endpoint {
            Endpoint::Register => runners::register(s, request),
            Endpoint::Verify => runners::verify(s, request),
            Endpoint::Unregister | Endpoint::UnregisterManager => runners::unregister(s, request),
            Endpoint::ResetToken => runners::reset_token(s, request),
            Endpoint::JobUpdate => job::update(s, request),
            Endpoint::Trace => job::trace(s, request),
            Endpoint::Download => artifacts::download(s, request),
            Endpoint::Storage => artifacts::storage(s, request),
            Endpoint::JobRequest | Endpoint::Upload | Endpoint::Unknown => {
                s.violation(format!("{}: no such call in the runner API", request.line()));
                Reply::refusal(404, "404 Not Found")
            }
        }),
    }
}

fn scripted(mut reply: Reply, answer: &Answer) -> Reply {
    if let Some(status) = answer.status {
        reply.status = status;
    }
    if let Some((content_type, body)) = &answer.body {
        reply.content_type.clone_from(content_type);
        reply.body.clone_from(body);
    }
    for (name, value) in &answer.headers {
        reply.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        reply.headers.push((name.clone(), value.clone()));
    }
    reply
}

fn to_http(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status of HTTP");
    let mut headers = reply.headers;
    if !reply.content_type.is_empty() {
        headers.push(("content-type".to_owned(), reply.content_type));
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).expect("a header name");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_str(&value).expect("a header value"));
    }
    response
}

fn head_of(parts: &Parts) -> Request {
    let path_and_query = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let path = path_and_query.strip_prefix("/api/v4/").unwrap_or(path_and_query);
    let (endpoint, job) = classify(parts.method.as_str(), path.split('?').next().unwrap_or_default());
    let headers = parts.headers.iter().map(|(n, v)| {
        (
            n.as_str().to_owned(),
            String::from_utf8_lossy(v.as_bytes()).into_owned(),
        )
    });
    Request {
        endpoint,
        job,
        method: parts.method.to_string(),
        path: path.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        received: Instant::now(),
        answered: None,
        status: None,
    }
}

fn classify(method: &str, path: &str) -> (Endpoint, Option<u64>) {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let id = |text: &str| text.parse::<u64>().ok();
    match (method, segments.as_slice()) {
        ("POST", ["runners"]) => (Endpoint::Register, None),
        ("POST", ["runners", "verify"]) => (Endpoint::Verify, None),
        ("DELETE", ["runners"]) => (Endpoint::Unregister, None),
        ("DELETE", ["runners", "managers"]) => (Endpoint::UnregisterManager, None),
        ("POST", ["runners", "reset_authentication_token"] | ["runners", _, "reset_authentication_token"]) => {
            (Endpoint::ResetToken, None)
        }
        ("POST", ["jobs", "request"]) => (Endpoint::JobRequest, None),
        ("PUT", ["jobs", job]) => (Endpoint::JobUpdate, id(job)),
        ("PATCH", ["jobs", job, "trace"]) => (Endpoint::Trace, id(job)),
        ("POST", ["jobs", job, "artifacts"]) => (Endpoint::Upload, id(job)),
        ("GET", ["jobs", job, "artifacts"]) => (Endpoint::Download, id(job)),
        ("GET", ["storage", job]) => (Endpoint::Storage, id(job)),
        _ => (Endpoint::Unknown, None),
    }
}

/// Loses the connection of one request.
#[derive(Debug, Clone, Default)]
struct KillSwitch(Arc<AtomicBool>);

impl KillSwitch {
    /// The response is never seen: writing it fails.
    fn kill(&self) -> Response {
        self.0.store(true, Ordering::SeqCst);
        Response::new(Body::empty())
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

struct KillableListener(TcpListener);

impl Listener for KillableListener {
    type Io = Killable;
    type Addr = KillSwitch;

    async fn accept(&mut self) -> (Killable, KillSwitch) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        let switch = KillSwitch::default();
        (
            Killable {
                stream,
                switch: switch.clone(),
            },
            switch,
        )
    }

    fn local_addr(&self) -> io::Result<KillSwitch> {
        Ok(KillSwitch::default())
    }
}

impl Connected<IncomingStream<'_, KillableListener>> for KillSwitch {
    fn connect_info(stream: IncomingStream<'_, KillableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that fails once its switch is thrown.
struct Killable {
    stream: TcpStream,
    switch: KillSwitch,
}

impl AsyncRead for Killable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Killable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
