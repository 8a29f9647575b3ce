//! Archives to and from object storage, by requests that were signed for this one object.
//!
//! Compat: gitlab-runner commands/helpers/cache_client.go, retry_helper.go (tries, pause, words).

use super::local::Unfinished;
use super::plan::SignedRequest;
use crate::cache_storage::xml_element;
use crate::container_side::notice;
use crate::gitlab::{TlsFiles, http_client, without_credentials};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use reqwest::{Client, Method, Response, StatusCode};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Most of an error's body that is looked at.
const LONGEST_ERROR: usize = 64 * 1024;

/// Why a try did not work out.
#[derive(Debug)]
enum Failure {
    /// Another try will not help.
    Final(String),
    Again(String),
}

/// What is to be fetched.
#[derive(Debug)]
pub(super) struct Download<'a> {
    pub(super) request: &'a SignedRequest,
    pub(super) archive: &'a Path,
    /// For people.
    pub(super) key: &'a str,
    /// When the archive that is here was written: one in storage that is not newer is left there.
    pub(super) have: Option<SystemTime>,
}

/// A client of object storage.
#[derive(Debug)]
pub(super) struct Transfer {
    http: Result<Client, String>,
    timeout: Duration,
}

impl Transfer {
    /// Nothing is contacted. `ca` are PEM certificates to trust besides the system's.
    pub(super) fn new(timeout: Duration, ca: Option<&str>) -> Self {
        let tls = TlsFiles {
            ca_text: ca.map(str::to_owned),
            ..TlsFiles::default()
        };
        Self {
            http: http_client(&tls).map_err(|error| error.to_string()),
            timeout,
        }
    }

    /// Makes the archive here the one in storage.
    pub(super) async fn download(&self, wanted: &Download<'_>) -> Result<(), String> {
        with_tries(|| self.try_download(wanted)).await
    }

    /// Whether the object is there; nobody is told why not.
    pub(super) async fn exists(&self, request: &SignedRequest) -> bool {
        match self.send(Method::HEAD, request, None).await {
            Ok(response) => response.status() == StatusCode::OK,
            Err(Failure::Final(_) | Failure::Again(_)) => false,
        }
    }

    /// Stores the archive.
    pub(super) async fn upload(&self, request: &SignedRequest, archive: &Path) -> Result<(), String> {
        with_tries(|| self.try_upload(request, archive)).await
    }

    async fn try_download(&self, wanted: &Download<'_>) -> Result<(), Failure> {
        let mut response = self.send(Method::GET, wanted.request, None).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let stored = modified(&response);
        if let (Some(have), Some(stored)) = (wanted.have, stored)
            && have >= stored
        {
            notice::line(&format!("{} is up to date", file_name(wanted.archive)));
            return Ok(());
        }
        let etag = response
            .headers()
            .get(ETAG)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        notice::line(&format!(
            "Downloading {} from {}  etag={etag}",
            file_name(wanted.archive),
            shown(wanted.request)
        ));
        let broken = |error: &dyn std::fmt::Display| Failure::Final(format!("store the cache: {error:#}"));
        let (unfinished, mut file) = Unfinished::create(wanted.archive).map_err(|e| broken(&e))?;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => file.write_all(&chunk).map_err(|e| broken(&e))?,
                Ok(None) => break,
                Err(error) => return Err(Failure::Again(format!("the download broke off: {}", cause(&error)))),
            }
        }
        if let Some(stored) = stored {
            file.set_modified(stored).map_err(|e| broken(&e))?;
        }
        unfinished.publish(wanted.archive, wanted.key).map_err(|e| broken(&e))
    }

    async fn try_upload(&self, request: &SignedRequest, archive: &Path) -> Result<(), Failure> {
        let unreadable = |error: std::io::Error| Failure::Final(format!("read {}: {error}", archive.display()));
        let file = tokio::fs::File::open(archive).await.map_err(unreadable)?;
        let length = file.metadata().await.map_err(unreadable)?.len();
        let response = self.send(Method::PUT, request, Some((file, length))).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(refused(response).await)
        }
    }

    async fn send(
        &self,
        method: Method,
        request: &SignedRequest,
        body: Option<(tokio::fs::File, u64)>,
    ) -> Result<Response, Failure> {
        let http = self.http.as_ref().map_err(|reason| Failure::Final(reason.clone()))?;
        let mut call = http.request(method, request.url.expose()).timeout(self.timeout);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some((file, length)) = body {
            if !request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                call = call.header(CONTENT_TYPE, "application/octet-stream");
            }
            // A stream of unknown length is nothing object stores take.
            call = call.header(CONTENT_LENGTH, length).body(file);
        }
        call.send().await.map_err(|error| Failure::Again(cause(&error)))
    }
}

async fn with_tries<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 1..TRIES {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(Failure::Final(reason)) => return Err(reason),
            Err(Failure::Again(reason)) => notice::warning(&format!("Retrying...  error={reason}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
    attempt().await.map_err(|failure| match failure {
        Failure::Final(reason) | Failure::Again(reason) => reason,
    })
}

/// What a refusal means, in the storage's own words if it has some.
async fn refused(mut response: Response) -> Failure {
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Failure::Final("file does not exist".to_owned());
    }
    let mut body = Vec::new();
    // An error whose text cannot be read is still that error.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ERROR {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let reason = match (xml_element(&text, "Code"), xml_element(&text, "Message")) {
        (Some(code), Some(message)) => {
            format!("received: {status}. Request failed with code: {code}, message: {message}")
        }
        _ => format!("received: {status}"),
    };
    if status.is_server_error() {
        Failure::Again(reason)
    } else {
        Failure::Final(reason)
    }
}

fn modified(response: &Response) -> Option<SystemTime> {
    let text = response.headers().get(LAST_MODIFIED)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(time.as_second())
        .ok()
        .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Without what makes it valid.
pub(super) fn shown(request: &SignedRequest) -> String {
    without_credentials(request.url.expose())
}

fn file_name(archive: &Path) -> String {
    archive.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The innermost cause: the outer ones repeat the URL, which is a secret.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() {
        "timed out".to_owned()
    } else if std::ptr::addr_eq(cause, error) {
        "the request could not be sent".to_owned()
    } else {
        cause.to_string()
    }
}
