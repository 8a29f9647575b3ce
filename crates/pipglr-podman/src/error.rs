//! What can go wrong when talking to podman, named by what a caller can do about it.

use std::io;
use std::path::PathBuf;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::stream::FrameError;

/// Failure of one API call or of a stream it opened.
///
/// Paths are given without the API version and without the query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The named object does not exist: create it, or count it as removed.
    #[error("{what}")]
    NotFound {
        /// podman's own words, e.g. `no container with name or ID "x" found: no such container`.
        what: String,
    },
    /// The object exists already, is in use, or is in the wrong state for this call.
    #[error("{method} {path}: {message}")]
    Conflict {
        /// Method of the call.
        method: Method,
        /// Path of the call.
        path: String,
        /// podman's whole message.
        message: String,
        /// Innermost error as podman reports it.
        cause: String,
    },
    /// podman did not answer in time.
    #[error("podman did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
    /// No service answers at the socket: start it, then try again. Nothing was done.
    #[error("podman service at {}", socket.display())]
    Unreachable {
        /// Socket that was tried.
        socket: PathBuf,
        /// Why the connection failed.
        source: io::Error,
    },
    /// The connection was lost after the request was sent: podman may or may not have acted on it.
    #[error("connection lost during {method} {path}")]
    Disconnected {
        /// Method of the call.
        method: Method,
        /// Path of the call.
        path: String,
        /// What the socket or HTTP layer reported.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// podman refused or failed.
    #[error("{method} {path}: {status}: {message}")]
    Api {
        /// Method of the call.
        method: Method,
        /// Path of the call.
        path: String,
        /// HTTP status of the answer.
        status: StatusCode,
        /// podman's whole message, or the raw body where it was not podman's JSON.
        message: String,
        /// Innermost error as podman reports it (the exact words of the OCI runtime); may be empty.
        cause: String,
    },
    /// The answer was not of the expected form: podman and this crate disagree.
    #[error("answer of {path}")]
    Decode {
        /// Path of the call.
        path: String,
        /// What did not fit.
        source: serde_json::Error,
    },
    /// An image could not be pulled.
    #[error("pull {reference}: {message}")]
    Pull {
        /// Image that was asked for.
        reference: String,
        /// podman's whole text.
        message: String,
    },
    /// A multiplexed output stream was malformed or cut in the middle of a frame.
    #[error("output stream of {path}")]
    Frame {
        /// Path of the call that opened the stream.
        path: String,
        /// What did not fit.
        source: FrameError,
    },
}

impl Error {
    /// Whether the object the call was about does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Makes the error for an answer whose status is not a success.
    pub(crate) fn from_answer(method: &Method, path: &str, status: StatusCode, body: &[u8]) -> Self {
        let ErrorBody { cause, message } = ErrorBody::parse(body);
        match classify(path, status, &cause) {
            Class::NotFound => Self::NotFound {
                what: if message.is_empty() { path.to_owned() } else { message },
            },
            Class::Conflict => Self::Conflict {
                method: method.clone(),
                path: path.to_owned(),
                message,
                cause,
            },
            Class::Api => Self::Api {
                method: method.clone(),
                path: path.to_owned(),
                status,
                message,
                cause,
            },
        }
    }
}

enum Class {
    NotFound,
    Conflict,
    Api,
}

/// Causes that podman 4 answers with 500 although they are conflicts; podman 5 uses 409 for some.
///
/// Compat: podman `libpod/define/errors.go`, `libnetwork/types/define.go`, `storage/errors.go`.
const CONFLICT_CAUSES: [&str; 8] = [
    "that name is already in use",
    "container already exists",
    "container state improper",
    "container is stopped",
    "volume already exists",
    "volume is being used",
    "network already exists",
    "network is being used",
];

/// Causes that podman 4 answers with 500 although the object is merely missing.
const NOT_FOUND_CAUSES: [&str; 5] = [
    "image not known",
    "no such container",
    "no such volume",
    "network not found",
    NO_SESSION,
];
/// A container may be refused with this, while one of its sessions goes: it is not the container that is missing.
const NO_SESSION: &str = "no such exec session";

fn classify(path: &str, status: StatusCode, cause: &str) -> Class {
    match status {
        StatusCode::NOT_FOUND | StatusCode::INTERNAL_SERVER_ERROR
            if cause == NO_SESSION && !path.starts_with("/exec/") =>
        {
            Class::Api
        }
        StatusCode::NOT_FOUND => Class::NotFound,
        StatusCode::CONFLICT => Class::Conflict,
        StatusCode::INTERNAL_SERVER_ERROR if CONFLICT_CAUSES.contains(&cause) => Class::Conflict,
        StatusCode::INTERNAL_SERVER_ERROR if NOT_FOUND_CAUSES.contains(&cause) => Class::NotFound,
        _ => Class::Api,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    cause: String,
    message: String,
}

impl ErrorBody {
    /// Reads the first JSON value of the body, or takes the body as text.
    ///
    /// Compat: podman 4 can write two error objects one after the other (`api/handlers/utils/errors.go`).
    fn parse(body: &[u8]) -> Self {
        match serde_json::Deserializer::from_slice(body).into_iter().next() {
            Some(Ok(parsed)) => parsed,
            Some(Err(_)) | None => Self {
                cause: String::new(),
                message: String::from_utf8_lossy(body).trim().to_owned(),
            },
        }
    }
}
