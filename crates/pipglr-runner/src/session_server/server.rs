//! Listening, TLS, and which request is whose.

use super::bridge::Bridge;
use super::certificate::Identity;
use super::session::{ProposedSession, State};
use super::upgrade::Upgrade;
use crate::config::SessionServerConfig;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// For a client to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why the server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SessionServerError {
    #[error("serve web terminals on {address}")]
    Listen { address: String, source: io::Error },
    #[error("make a certificate for {host:?}")]
    Certificate { host: String, source: rcgen::Error },
    #[error("use a certificate for {host:?}")]
    Tls { host: String, source: rustls::Error },
}

/// How long clients wait.
///
/// Compat: gitlab-runner session/session.go, executors/docker/terminal.go.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For the job to have a container for its scripts.
    pub offered: Duration,
    /// For that container to run and to have a shell.
    pub started: Duration,
    /// Between two signs of life.
    pub ping: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            offered: Duration::from_secs(60),
            started: Duration::from_secs(15),
            ping: Duration::from_secs(30),
        }
    }
}

/// Serves the sessions of jobs. Cheap to clone; clones are the same server.
#[derive(Debug, Clone)]
pub struct SessionServer(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    /// `https://host:port`, as GitLab is told.
    base: String,
    /// PEM.
    certificate: String,
    times: Times,
    /// Of running jobs, by their part of the path.
    sessions: Mutex<HashMap<String, Arc<State>>>,
}

/// Where connections come in.
pub struct Listener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

impl SessionServer {
    /// Listens as configured; nothing if nothing is to be served.
    ///
    /// # Errors
    /// The address cannot be listened on, or its host is none.
    pub async fn bind(
        config: &SessionServerConfig,
        times: Times,
    ) -> Result<Option<(Self, Listener)>, SessionServerError> {
        let Some(address) = &config.listen_address else {
            return Ok(None);
        };
        let host = config.host();
        let identity = Identity::new(host).map_err(|source| SessionServerError::Certificate {
            host: host.to_owned(),
            source,
        })?;
        let (certificate, tls) = (identity.pem(), tls(identity));
        let tls = tls.map_err(|source| SessionServerError::Tls {
            host: host.to_owned(),
            source,
        })?;
        let listen = async {
            // As in Go, no host is every address.
            let everywhere = format!("0.0.0.0{address}");
            let tcp = TcpListener::bind(if address.starts_with(':') { &everywhere } else { address }).await?;
            let local = tcp.local_addr()?;
            Ok((tcp, local))
        };
        let (tcp, local) = listen.await.map_err(|source| SessionServerError::Listen {
            address: address.clone(),
            source,
        })?;
        let server = Self(Arc::new(Shared {
            base: format!("https://{}", advertised(config, address, local)),
            certificate,
            times,
            sessions: Mutex::default(),
        }));
        Ok(Some((server, Listener { tcp, tls })))
    }

    /// The address GitLab is told.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// A session for the next job, of which GitLab is told when it is asked for one.
    #[must_use]
    pub fn propose(&self, timeout: Duration) -> ProposedSession {
        ProposedSession::new(self.0.clone(), timeout)
    }

    /// Answers for as long as this is polled.
    pub async fn serve(self, listener: Listener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.tcp.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(listener.tls.clone(), stream, self.0.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "session server");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Port 0 is for tests: it becomes the one that was found.
fn advertised(config: &SessionServerConfig, listen: &str, local: SocketAddr) -> String {
    let address = config.advertise_address.as_deref().unwrap_or(listen);
    match address.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", local.port()),
        None => address.to_owned(),
    }
}

fn tls(identity: Identity) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)?;
    Ok(Arc::new(config).into())
}

/// Serves one connection to its end.
async fn talk(tls: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>) {
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "session server: no TLS");
            return;
        }
        Err(_) => return,
    };
    let bridge = Mutex::new(None);
    let service = service_fn(|request| async {
        let answer = answer(&shared, request, &bridge).await;
        Ok::<_, Infallible>(answer.unwrap_or_else(refusal))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "session server: a client went away");
    }
    let bridge = bridge.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(bridge) = bridge {
        Bridge::run(bridge).await;
    }
}

/// Compat: gitlab-runner answers with the status's own words.
fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

async fn answer(
    shared: &Shared,
    mut request: Request<Incoming>,
    bridge: &Mutex<Option<Bridge>>,
) -> Result<Response<Full<Bytes>>, StatusCode> {
    let (session, rest) = shared.find(request.uri().path()).ok_or(StatusCode::NOT_FOUND)?;
    let authorization = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    if !session.is_authorized(authorization.unwrap_or_default()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    // Compat: `proxy/…` is known to gitlab-runner, but its docker executor has no service to be reached that way.
    if rest != "exec" {
        return Err(StatusCode::NOT_FOUND);
    }
    let upgrade = Upgrade::of(&request)?;
    let shells = session.shells(shared.times.offered).await;
    let shells = shells.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let place = session.occupy().ok_or(StatusCode::LOCKED)?;
    let shell = shells.open(shared.times.started).await.map_err(|error| {
        tracing::warn!(error = %format!("{error:#}"), "a web terminal cannot be opened");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let response = upgrade.response();
    *bridge.lock().unwrap_or_else(PoisonError::into_inner) = Some(Bridge {
        connection: hyper::upgrade::on(&mut request),
        encoding: upgrade.encoding,
        shell,
        place,
        ping: shared.times.ping,
    });
    Ok(response)
}

impl Shared {
    pub(super) fn url(&self, id: &str) -> String {
        format!("{}/session/{id}", self.base)
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn add(&self, id: &str, session: Arc<State>) {
        self.sessions().insert(id.to_owned(), session);
    }

    pub(super) fn remove(&self, id: &str) {
        self.sessions().remove(id);
    }

    /// The session a path is about, and the rest of the path.
    fn find<'p>(&self, path: &'p str) -> Option<(Arc<State>, &'p str)> {
        let (id, rest) = path.strip_prefix("/session/")?.split_once('/')?;
        Some((self.sessions().get(id)?.clone(), rest))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<State>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
