//! How credentials of cloud providers are found: files, environment and metadata services of this process.

use crate::gitlab::{TlsFiles, http_client};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, Result};
use std::time::Duration;

/// Longest that one question may take. Where there is no metadata service, nobody answers at all.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn context(tls: &TlsFiles) -> anyhow::Result<Context> {
    let http = Http(http_client(tls)?);
    Ok(Context::new()
        .with_env(OsEnv)
        .with_file_read(Files)
        .with_http_send(http))
}

/// Asks a service for what `what` says; any answer but success is an error, which has none of the answer's text: that
/// may be a credential.
pub(super) async fn ask(context: &Context, request: http::Request<Bytes>, what: &str) -> anyhow::Result<Bytes> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let asked = || format!("ask {host} for {what}");
    let response = context.http_send(request).await.with_context(asked)?;
    let status = response.status();
    ensure!(status.is_success(), "{}: it answered {status}", asked());
    Ok(response.into_body())
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
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        *request.timeout_mut() = Some(PATIENCE);
        let response = self.0.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(response.bytes().await.map_err(failed)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// A machine with some environment, files and services.
#[cfg(test)]
pub(super) mod fake {
    use super::{Bytes, Context, Error, FileRead, HttpSend, Result};
    use reqsign_core::StaticEnv;
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    pub(crate) type Answer = fn(&http::Request<Bytes>) -> http::Response<Bytes>;

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Machine {
        pub(crate) environment: Vec<(&'static str, &'static str)>,
        pub(crate) files: HashMap<&'static str, Vec<u8>>,
        /// By the start of the URL.
        pub(crate) services: Vec<(&'static str, Answer)>,
        pub(crate) asked: Arc<Mutex<Vec<http::Request<Bytes>>>>,
    }

    impl Machine {
        pub(crate) fn serving(services: Vec<(&'static str, Answer)>) -> Self {
            Self {
                services,
                ..Self::default()
            }
        }

        pub(crate) fn context(&self) -> Context {
            let envs = self.environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Context::new()
                .with_env(StaticEnv {
                    home_dir: None,
                    envs: envs.collect(),
                })
                .with_file_read(self.clone())
                .with_http_send(self.clone())
        }

        /// Method and URL of each question.
        pub(crate) fn asked(&self) -> Vec<String> {
            let asked = self.asked.lock().unwrap();
            asked.iter().map(|r| format!("{} {}", r.method(), r.uri())).collect()
        }
    }

    pub(crate) fn answer(status: u16, body: &str) -> http::Response<Bytes> {
        let answer = http::Response::builder().status(status);
        answer.body(Bytes::from(body.to_owned())).unwrap()
    }

    impl FileRead for Machine {
        async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
            let missing = || Error::config_invalid(format!("read {path}: not found"));
            self.files.get(path).cloned().ok_or_else(missing)
        }
    }

    impl HttpSend for Machine {
        async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
            let url = request.uri().to_string();
            let service = self.services.iter().find(|(start, _)| url.starts_with(start));
            let answer = service.map(|(_, answer)| answer(&request));
            self.asked.lock().unwrap().push(request);
            answer.ok_or_else(|| Error::unexpected("nobody answers"))
        }
    }
}
