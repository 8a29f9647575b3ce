//! How credentials of cloud providers are found: files, environment and metadata services of this process.

use crate::gitlab::{TlsFiles, http_client};
use bytes::Bytes;
use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, Result};

pub(super) fn context(tls: &TlsFiles) -> anyhow::Result<Context> {
    let http = Http(http_client(tls)?);
    Ok(Context::new()
        .with_env(OsEnv)
        .with_file_read(Files)
        .with_http_send(http))
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let unreadable = |error: std::io::Error| Error::config_invalid(format!("read {path}: {error}"));
        tokio::fs::read(path).await.map_err(unreadable)
    }
}

#[derive(Debug)]
struct Http(reqwest::Client);

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| Error::unexpected(format!("ask for credentials: {error}"));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = self.0.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(response.bytes().await.map_err(failed)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}
