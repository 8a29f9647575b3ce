//! Files by HTTP: `include:remote`, and templates that come with GitLab.

use super::{Repository, unavailable};
use pipglr_ci::FetchError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compat: GitLab gives all includes of a pipeline this long.
const TIME: Duration = Duration::from_secs(30);
/// Bytes of a file; GitLab takes no larger configuration.
const LIMIT: usize = 2 << 20;
/// Where templates are that nobody has put anywhere else.
const TEMPLATES: &str = "https://gitlab.com/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates";

fn client() -> Result<reqwest::Client, FetchError> {
    // A provider that somebody else chose before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .timeout(TIME)
            .user_agent(concat!("pipglr/", env!("CARGO_PKG_VERSION")))
    };
    // A machine without certificates of its own has those that are built in.
    let roots = || {
        let certificates = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        certificates.filter_map(|c| reqwest::Certificate::from_der(c).ok())
    };
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only(roots()).build())
        .map_err(|error| unavailable(root_cause(&error)))
}

impl Repository {
    /// A file by its address. Without a network what was downloaded before counts.
    pub(super) fn download(&self, url: &str) -> Result<String, FetchError> {
        let kept = self.kept(url);
        if self.outlook.sources.offline {
            return std::fs::read_to_string(&kept)
                .map_err(|_| unavailable("it was not downloaded before, and the network is switched off"));
        }
        let text = self.outlook.runtime.block_on(self.get(url))?;
        if let Err(error) = keep(&kept, &text) {
            tracing::warn!(%error, "{} was not written", kept.display());
        }
        Ok(text)
    }

    async fn get(&self, url: &str) -> Result<String, FetchError> {
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                FetchError::TimedOut
            } else {
                unavailable(root_cause(&error))
            }
        };
        let client = if let Some(client) = self.client.get() {
            client.clone()
        } else {
            let made = client()?;
            self.client.get_or_init(|| made).clone()
        };
        let mut response = client.get(url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LIMIT {
                return Err(unavailable("it is larger than 2 MiB"));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn kept(&self, url: &str) -> PathBuf {
        self.outlook.cache.join("files").join(super::name_of(url))
    }

    /// A template of GitLab: of the directory that has them, else downloaded.
    pub(super) fn find_template(&self, name: &str) -> Result<String, FetchError> {
        if name.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(FetchError::Missing);
        }
        if let Some(directory) = &self.outlook.sources.templates {
            let path = directory.join(name);
            return match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FetchError::Missing),
                Err(error) => Err(unavailable(format!("{}: {error}", path.display()))),
            };
        }
        match self.download(&format!("{TEMPLATES}/{name}")) {
            Err(FetchError::Status(404)) => Err(FetchError::Missing),
            other => other,
        }
    }
}

fn keep(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let draft = path.with_extension("new");
    std::fs::write(&draft, text)?;
    std::fs::rename(draft, path)
}

/// The innermost reason; it names no address, which may hold a secret.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
