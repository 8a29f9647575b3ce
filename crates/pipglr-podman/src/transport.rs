//! HTTP over podman's Unix socket: the crate's only I/O. Ordinary calls share a few idle connections; streams and
//! hijacked calls get a connection of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::request::ApiRequest;

/// Idle connections kept; more may be open at the same moment.
const MAX_IDLE: usize = 8;

/// A service started with its default time-out of 5 s drops idle connections after twice that (podman
/// `pkg/api/server/server.go`); connections this old are not reused, which leaves the race to slow machines.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);

/// Runs a connection's I/O; ends with its owner.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One HTTP connection and the task that drives it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: Driver,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

pub(crate) struct Transport {
    socket: PathBuf,
    idle: Mutex<Vec<Idle>>,
}

/// Raw stream after an upgrade, with the bytes that had already arrived behind the response head.
pub(crate) struct Hijacked {
    pub(crate) stream: UnixStream,
    pub(crate) received: Bytes,
}

/// Why a request got no response head.
struct SendFailure {
    error: hyper::Error,
    /// The server cannot have seen the whole request.
    unsent: bool,
}

impl Transport {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and reads the whole answer. An idle connection that turns out to be closed is replaced.
    pub(crate) async fn call(&self, request: &ApiRequest) -> Result<(StatusCode, Bytes), Error> {
        while let Some(mut connection) = self.checkout() {
            match connection.send(request).await {
                Ok(response) => return self.finish(request, connection, response).await,
                Err(failure) if failure.unsent || request.is_idempotent() => {}
                Err(failure) => return Err(disconnected(request, failure.error)),
            }
        }
        let (connection, response) = self.open(request).await?;
        self.finish(request, connection, response).await
    }

    /// Sends a request on a connection of its own, whose answer is read by the caller while `Connection` lives.
    pub(crate) async fn open(&self, request: &ApiRequest) -> Result<(Connection, Response<Incoming>), Error> {
        let mut connection = self.connect().await?;
        let response = connection
            .send(request)
            .await
            .map_err(|failure| disconnected(request, failure.error))?;
        Ok((connection, response))
    }

    /// Like [`Self::open`], but an answer that is not a success becomes an error.
    pub(crate) async fn open_ok(&self, request: &ApiRequest) -> Result<(Connection, Response<Incoming>), Error> {
        let (connection, response) = self.open(request).await?;
        if response.status().is_success() {
            return Ok((connection, response));
        }
        Err(refusal(request, response).await)
    }

    /// Sends a request that turns the connection into a raw byte stream.
    pub(crate) async fn hijack(&self, request: ApiRequest) -> Result<Hijacked, Error> {
        let request = request
            .header(CONNECTION, HeaderValue::from_static("Upgrade"))
            .header(UPGRADE, HeaderValue::from_static("tcp"));
        let (_connection, response) = self.open(&request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(&request, response).await);
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| disconnected(&request, error))?;
        let parts = upgraded
            .downcast::<TokioIo<UnixStream>>()
            .expect("every connection is made by connect()");
        Ok(Hijacked {
            stream: parts.io.into_inner(),
            received: parts.read_buf,
        })
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let unreachable = |source| Error::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(io::Error::other(error)))?;
        let driver = tokio::spawn(async move {
            // An I/O error reaches the caller through the request or the body it interrupts.
            let _reported_elsewhere = connection.with_upgrades().await;
        });
        Ok(Connection {
            sender,
            _driver: Driver(driver),
        })
    }

    async fn finish(
        &self,
        request: &ApiRequest,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| disconnected(request, error))?
            .to_bytes();
        self.checkin(connection);
        Ok((status, body))
    }

    fn checkout(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < MAX_IDLE_AGE && !kept.connection.sender.is_closed());
        idle.pop().map(|kept| kept.connection)
    }

    fn checkin(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}

impl Connection {
    async fn send(&mut self, request: &ApiRequest) -> Result<Response<Incoming>, SendFailure> {
        if let Err(error) = self.sender.ready().await {
            return Err(SendFailure { error, unsent: true });
        }
        let mut failure = match self.sender.try_send_request(request.to_http()).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        let never_written = failure.take_message().is_some();
        let error = failure.into_error();
        let unsent = never_written || is_broken_pipe(&error);
        Err(SendFailure { error, unsent })
    }
}

/// A write to a Unix socket whose peer is gone fails at once, so the peer has read nothing of it.
fn is_broken_pipe(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::BrokenPipe;
        }
        source = cause.source();
    }
    false
}

/// Reads the error body of an answer that opened no stream.
async fn refusal(request: &ApiRequest, response: Response<Incoming>) -> Error {
    let status = response.status();
    match response.into_body().collect().await {
        Ok(body) => Error::from_answer(&request.method, &request.path, status, &body.to_bytes()),
        Err(error) => disconnected(request, error),
    }
}

pub(crate) fn disconnected(request: &ApiRequest, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Disconnected {
        method: request.method.clone(),
        path: request.path.clone(),
        source: source.into(),
    }
}
