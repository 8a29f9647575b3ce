//! Where metrics are read: plain HTTP, as Prometheus wants it.
//!
//! Compat: gitlab-runner commands/multi.go.

use super::Metrics;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 9252;

/// The address is none.
#[derive(Debug, thiserror::Error)]
#[error("listen_address {0:?} is not of the form host:port")]
pub struct ListenAddressError(String);

/// The address to listen on; `None` if there is none to listen on.
///
/// # Errors
/// The text is no address.
pub fn listen_address(text: &str) -> Result<Option<String>, ListenAddressError> {
    let wrong = || ListenAddressError(text.to_owned());
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let bracketed_end = text.rfind(']');
    let colon = text.rfind(':').filter(|at| bracketed_end.is_none_or(|end| *at > end));
    let (host, port) = match colon {
        Some(at) => (&text[..at], text[at + 1..].parse::<u16>().map_err(|_| wrong())?),
        None => (text, DEFAULT_PORT),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(wrong());
    }
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(Some(format!("{host}:{port}")))
}

/// Answers on `listener` for as long as the process lives.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "metrics");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&metrics, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a reader of metrics went away");
            }
        });
    }
}

fn answer(metrics: &Metrics, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, text) = match path {
        "/metrics" if !is_read => (StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n".to_owned()),
        "/metrics" => (StatusCode::OK, metrics.render()),
        "/debug/jobs/list" => (StatusCode::OK, metrics.render_jobs()),
        "/debug/process/state" => (StatusCode::OK, format!("{}\n", metrics.process_state())),
        // There is no boot-verify that could be pending.
        "/health/ready" => (StatusCode::OK, "ready\n".to_owned()),
        _ if path.starts_with("/debug/pprof") => (
            StatusCode::NOT_FOUND,
            "pipglr is not written in Go and has no profiler of Go's\n".to_owned(),
        ),
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    if path == "/debug/jobs/list" {
        headers.insert("x-list-version", HeaderValue::from_static("2"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::listen_address;

    #[test]
    fn addresses_are_gos() {
        for (text, expected) in [
            ("", Some(None)),
            (":9000", Some(Some("0.0.0.0:9000"))),
            ("localhost", Some(Some("localhost:9252"))),
            ("127.0.0.1:1", Some(Some("127.0.0.1:1"))),
            ("[::1]", Some(Some("[::1]:9252"))),
            ("[::]:80", Some(Some("[::]:80"))),
            ("::1:80", None),
            ("host:port", None),
        ] {
            let expected = expected.map(|address| address.map(str::to_owned));
            assert_eq!(listen_address(text).ok(), expected, "{text}");
        }
    }
}
