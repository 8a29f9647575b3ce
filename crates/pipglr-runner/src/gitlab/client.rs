//! One connection to a GitLab instance: base URL, TLS material, retries, and how errors read.

use super::renewal::Renewal;
use super::retry;
use super::trust::client_config;
use crate::metrics::Calls;
use jiff::Timestamp;
use pipglr_protocol::{Secret, headers};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Files of `tls-ca-file`, `tls-cert-file`, `tls-key-file`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// PEM certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// PEM certificates given as text instead of a file.
    pub ca_text: Option<String>,
    /// PEM of a client certificate and its key, given as text instead of files.
    pub identity_text: Option<Secret>,
}

/// What is needed to reach a GitLab instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Base URL, as in config.toml.
    pub url: String,
    pub tls: TlsFiles,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `url` or the TLS files are unusable; trying again will not help.
    #[error("{what}: {reason}")]
    Configuration { what: String, reason: String },
    /// No answer: DNS, refused, TLS, timeout.
    #[error("cannot reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// An answer that is not the expected one.
    #[error("{method} {url}: {status}{}", parenthesized(message))]
    Status {
        method: Method,
        url: String,
        status: StatusCode,
        message: String,
    },
    /// An answer with the right status and the wrong body.
    #[error("{url}: {reason}")]
    Decode { url: String, reason: String },
}

fn parenthesized(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

impl Error {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            Self::Configuration { .. } | Self::Unreachable { .. } | Self::Decode { .. } => None,
        }
    }
}

/// A client of one GitLab instance. Cheap to clone; clones share the connection pool.
#[derive(Debug, Clone)]
pub struct GitLab {
    pub(super) http: Client,
    pub(super) renewal: Option<Arc<Renewal>>,
    calls: Option<Calls>,
    base: String,
}

impl GitLab {
    /// Prepares a client; nothing is contacted.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a bad URL or unreadable TLS files.
    pub fn connect(connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            http: http_client(&connection.tls)?,
            renewal: None,
            calls: None,
            base: api_base(&connection.url)?,
        })
    }

    /// This client, with its calls counted.
    pub(crate) fn counted(mut self, calls: Calls) -> Self {
        self.calls = Some(calls);
        self
    }

    /// The absolute URL of an API path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a call, repeating it while the answer says "later". Transport errors are not repeated here.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Response, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        let answer = self.attempts(&call, &mut attempt).await;
        if let Some(calls) = &self.calls {
            let status = answer.as_ref().ok().map(|response| response.status().as_u16());
            calls.answered(call.method.as_str(), call.path, status, began.elapsed(), attempt.max(1));
        }
        answer
    }

    async fn attempts(&self, call: &Call<'_>, attempt: &mut u32) -> Result<Response, Error> {
        let url = self.url(call.path);
        loop {
            let mut request = self
                .current_http()
                .request(call.method.clone(), &url)
                .header(headers::REQUEST_ID, uuid::Uuid::new_v4().simple().to_string())
                .headers(call.headers.clone());
            if let Some(timeout) = call.timeout {
                request = request.timeout(timeout);
            }
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            let response = request.send().await.map_err(|e| unreachable_error(&url, &e))?;
            *attempt += 1;
            if !retry::is_retriable(response.status().as_u16()) || *attempt >= retry::TRIES {
                return Ok(response);
            }
            let pause = retry::pause(response.headers(), *attempt, retry::jitter(), Timestamp::now());
            tracing::debug!(%url, status = response.status().as_u16(), ?pause, attempt, "call will be retried");
            tokio::time::sleep(pause).await;
        }
    }
}

/// One call of the API.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<bytes::Bytes>,
    pub(super) timeout: Option<Duration>,
}

/// Turns an unexpected answer into an error with the server's own words.
pub(super) async fn status_error(method: Method, response: Response) -> Error {
    let (url, status) = (without_credentials(response.url().as_str()), response.status());
    let message = match response.bytes().await {
        Ok(body) => server_message(&body),
        Err(error) => format!("the answer broke off: {error}"),
    };
    let message = if status.canonical_reason().is_some_and(|r| message.contains(r)) {
        String::new()
    } else {
        message
    };
    Error::Status {
        method,
        url,
        status,
        message,
    }
}

/// Reads `{"message": X}` where X is a string or an object of field to messages, or `{"error": X}`.
fn server_message(body: &[u8]) -> String {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::new();
    };
    match json.get("message").or_else(|| json.get("error")) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Object(fields)) => {
            let each = fields.iter().map(|(field, texts)| match texts {
                serde_json::Value::Array(texts) => {
                    let texts: Vec<&str> = texts.iter().filter_map(serde_json::Value::as_str).collect();
                    format!("{field}: {}", texts.join("; "))
                }
                other => format!("{field}: {other}"),
            });
            each.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

pub(super) fn unreachable_error(url: &str, error: &reqwest::Error) -> Error {
    let mut reason = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        reason = "timed out".to_owned();
    } else if reason.is_empty() {
        reason = error.to_string();
    }
    Error::Unreachable {
        url: without_credentials(url),
        reason,
    }
}

/// `scheme://host/path` without user, password and query.
pub(crate) fn without_credentials(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut parsed) => {
            // Fails only for URLs that cannot carry credentials at all.
            let _ = parsed.set_username("").and_then(|()| parsed.set_password(None));
            parsed.set_query(None);
            parsed.to_string()
        }
        Err(_) => "(unreadable URL)".to_owned(),
    }
}

/// The API's base: no trailing slashes, no legacy `/ci`.
///
/// Compat: gitlab-runner network/client.go.
fn api_base(url: &str) -> Result<String, Error> {
    let trimmed = url.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix("/ci").unwrap_or(trimmed);
    let parsed = reqwest::Url::parse(trimmed).map_err(|e| Error::Configuration {
        what: format!("url {url:?}"),
        reason: e.to_string(),
    })?;
    if !matches!(parsed.scheme(), "http" | "https") {
        let reason = format!("scheme must be http or https, not {}", parsed.scheme());
        return Err(Error::Configuration {
            what: format!("url {url:?}"),
            reason,
        });
    }
    Ok(format!("{trimmed}/api/v4/"))
}

/// An HTTP client that trusts the system's certificates and those of `tls`.
pub(crate) fn http_client(tls: &TlsFiles) -> Result<Client, Error> {
    Client::builder()
        .tls_backend_preconfigured(client_config(tls)?)
        .user_agent(user_agent())
        .redirect(same_host_only())
        .connect_timeout(Duration::from_secs(30))
        .timeout(Duration::from_secs(3600))
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(90))
        .build()
        .map_err(|error| Error::Configuration {
            what: "HTTP set-up".to_owned(),
            reason: error.to_string(),
        })
}

/// Redirects within a host are followed; others are handed to the caller, who decides what may be sent there.
fn same_host_only() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let same = attempt.previous().last().is_some_and(|p| {
            p.host() == attempt.url().host() && p.port_or_known_default() == attempt.url().port_or_known_default()
        });
        if same && attempt.previous().len() < 10 {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn user_agent() -> String {
    format!(
        "{} {} (pipglr; linux/{})",
        crate::NAME,
        crate::VERSION,
        crate::go_architecture()
    )
}

#[cfg(test)]
mod tests {
    use super::{api_base, server_message, without_credentials};

    #[test]
    fn base_urls_are_normalized() {
        for (url, base) in [
            ("https://gitlab.com/", "https://gitlab.com/api/v4/"),
            ("https://host/gitlab//", "https://host/gitlab/api/v4/"),
            ("http://host:80/ci", "http://host:80/api/v4/"),
        ] {
            assert_eq!(api_base(url).unwrap(), base);
        }
        assert!(api_base("ftp://host").is_err());
        assert!(api_base("host").is_err());
    }

    #[test]
    fn server_messages_are_readable() {
        assert_eq!(
            server_message(br#"{"message":"403 Forbidden - x"}"#),
            "403 Forbidden - x"
        );
        assert_eq!(
            server_message(br#"{"message":{"tag_list":["a","b"],"x":["c"]}}"#),
            "tag_list: a; b, x: c"
        );
        assert_eq!(server_message(b"<html>"), "");
    }

    #[test]
    fn urls_in_messages_carry_no_credentials() {
        assert_eq!(without_credentials("http://u:p@h/x?private_token=y"), "http://h/x");
    }
}
