//! The client handle and the few ways every call is made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::request::ApiRequest;
use crate::transport::Transport;

/// Client of one podman service. Clones share its connections.
///
/// No call has a time limit of its own; drop the future to give up. A dropped call may still be carried out by podman.
/// Must be used inside a tokio runtime with I/O and time enabled.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("socket", &self.socket())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client of the service listening at `socket`. Connects on first use.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            transport: Arc::new(Transport::new(socket.into())),
        }
    }

    /// Path of the service's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.transport.socket()
    }

    /// Sends a request whose success is any 2xx, or 304 for "is so already".
    pub(crate) async fn send(&self, request: &ApiRequest) -> Result<(StatusCode, Bytes), Error> {
        let (status, body) = self.transport.call(request).await?;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok((status, body));
        }
        Err(Error::from_answer(&request.method, &request.path, status, &body))
    }

    /// Sends a request whose answer says nothing beyond success.
    pub(crate) async fn run(&self, request: &ApiRequest) -> Result<(), Error> {
        self.send(request).await.map(|_| ())
    }

    /// Sends a request answered with JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<T, Error> {
        let (_, body) = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|source| Error::Decode {
            path: request.path.clone(),
            source,
        })
    }
}

/// Turns "no such object" into `false` where absence is an answer.
pub(crate) fn existed(result: Result<(), Error>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Turns "no such object" into `None` where absence is an answer.
pub(crate) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
