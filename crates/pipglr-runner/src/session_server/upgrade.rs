//! From a request to a websocket: what the client wants, and what it is told.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// How bytes are put into messages.
///
/// Compat: the library gitlab-terminal of gitlab-runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `terminal.gitlab.com`: as they are.
    Raw,
    /// `base64.terminal.gitlab.com`: as text.
    Base64,
    /// No protocol was agreed upon: as the client does it.
    Mirrored,
}

/// The protocols there are, the preferred one first.
const PROTOCOLS: [(&str, Encoding); 2] = [
    ("terminal.gitlab.com", Encoding::Raw),
    ("base64.terminal.gitlab.com", Encoding::Base64),
];

/// A request for a websocket.
#[derive(Debug)]
pub(super) struct Upgrade {
    accept: String,
    protocol: Option<&'static str>,
    pub(super) encoding: Encoding,
}

impl Upgrade {
    /// Reads a request.
    ///
    /// # Errors
    /// The status to answer with: it asks for no websocket, or not properly.
    pub(super) fn of(request: &Request<Incoming>) -> Result<Self, StatusCode> {
        let headers = request.headers();
        let is_upgrade = has_word(headers, &CONNECTION, "upgrade") && has_word(headers, &UPGRADE, "websocket");
        if request.method() != Method::GET || !is_upgrade {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(StatusCode::BAD_REQUEST)?;
        if !has_word(headers, &SEC_WEBSOCKET_VERSION, "13") {
            return Err(StatusCode::BAD_REQUEST);
        }
        let agreed = PROTOCOLS
            .into_iter()
            .find(|(name, _)| has_word(headers, &SEC_WEBSOCKET_PROTOCOL, name));
        Ok(Self {
            accept: derive_accept_key(key.as_bytes()),
            protocol: agreed.map(|(name, _)| name),
            encoding: agreed.map_or(Encoding::Mirrored, |(_, encoding)| encoding),
        })
    }

    /// Agrees.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        // Base64 is always fit for a header.
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

/// Whether a header's lists have a word.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(word))
}
