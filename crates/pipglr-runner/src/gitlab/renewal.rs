//! Connections of a long-lived client are renewed when they are old, and when the files of its TLS set-up change.
//!
//! Compat: gitlab-runner network/client.go.

use super::client::{TlsFiles, http_client};
use super::{Connection, GitLab};
use reqwest::Client;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What a client needs to renew itself.
#[derive(Debug)]
pub(super) struct Renewal {
    tls: TlsFiles,
    max_age: Option<Duration>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    http: Client,
    since: Instant,
    files: [Option<SystemTime>; 3],
}

impl GitLab {
    /// This client, for a process that lives long: no connection is used for longer than `max_age`.
    #[must_use]
    pub fn renewed(mut self, connection: &Connection, max_age: Option<Duration>) -> Self {
        let tls = connection.tls.clone();
        let current = Mutex::new(Current {
            http: self.http.clone(),
            since: Instant::now(),
            files: times(&tls),
        });
        self.renewal = Some(Arc::new(Renewal { tls, max_age, current }));
        self
    }

    /// The age given to [`GitLab::renewed`].
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.renewal.as_ref().and_then(|renewal| renewal.max_age)
    }

    /// The client for the next call.
    pub(super) fn current_http(&self) -> Client {
        match &self.renewal {
            Some(renewal) => renewal.http(),
            None => self.http.clone(),
        }
    }
}

impl Renewal {
    fn http(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let files = times(&self.tls);
        let is_old = self.max_age.is_some_and(|age| current.since.elapsed() >= age);
        if is_old || files != current.files {
            match http_client(&self.tls) {
                Ok(http) => current.http = http,
                Err(error) => tracing::warn!(%error, "the connection to GitLab stays as it is"),
            }
            current.since = Instant::now();
            current.files = files;
        }
        current.http.clone()
    }
}

fn times(tls: &TlsFiles) -> [Option<SystemTime>; 3] {
    let time = |path: &Option<PathBuf>| std::fs::metadata(path.as_ref()?).and_then(|m| m.modified()).ok();
    [time(&tls.ca), time(&tls.cert), time(&tls.key)]
}
