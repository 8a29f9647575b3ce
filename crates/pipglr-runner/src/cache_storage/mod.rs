//! Object storage for caches: requests are signed here, in the runner, and made in helper containers, which get nothing
//! but requests for single objects that end with the job.
//!
//! Compat: gitlab-runner cache/s3v2, cache/gcsv2, cache/azure.

mod azure;
mod context;
mod gcs;
mod s3;
mod xml;

pub(crate) use xml::element as xml_element;

use crate::config::CacheConfig;
use crate::container_side::helper::{Phase, SignedRequest};
use crate::gitlab::TlsFiles;
use anyhow::bail;
use std::fmt::Write as _;
use std::time::Duration;

/// The longest any of the stores lets a signature last.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The object storage of one job's caches.
#[derive(Debug, Clone)]
pub struct CacheStorage {
    pub(crate) config: CacheConfig,
    /// How long signed requests are good for.
    pub(crate) lifetime: Duration,
    /// PEM certificates to trust besides the system's.
    pub(crate) ca: Option<String>,
}

impl CacheStorage {
    /// Signs what the phases will ask of object storage. If that fails, caches stay on this machine.
    ///
    /// Compat: gitlab-runner tells its operator only, not the job.
    pub(crate) async fn sign(&self, phases: &mut [Phase]) {
        if let Err(error) = self.try_sign(phases).await {
            let kind = &self.config.kind;
            tracing::error!(kind, error = %format!("{error:#}"), "caches cannot reach object storage");
        }
    }

    async fn try_sign(&self, phases: &mut [Phase]) -> anyhow::Result<()> {
        let signer = self.signer().await?;
        for phase in phases {
            match phase {
                Phase::RestoreCache(plan) => {
                    for source in plan.entries.iter_mut().flat_map(|e| &mut e.sources) {
                        if let Some(object) = &source.object {
                            source.download = Some(signer.download(object).await?);
                        }
                    }
                }
                Phase::ArchiveCache(plan) => {
                    for target in plan.entries.iter_mut().filter_map(|e| e.target.as_mut()) {
                        if let Some(object) = &target.object {
                            let exists = signer.exists(object).await?;
                            target.upload = Some(signer.upload(object, &target.key).await?);
                            target.exists = Some(exists);
                        }
                    }
                }
                Phase::GetSources(_) | Phase::DownloadArtifacts(_) | Phase::UploadArtifacts(_) | Phase::CleanUp(_) => {}
            }
        }
        Ok(())
    }

    async fn signer(&self) -> anyhow::Result<Signer> {
        let tls = TlsFiles {
            ca_text: self.ca.clone(),
            ..TlsFiles::default()
        };
        let context = context::context(&tls)?;
        let lifetime = self.lifetime.clamp(Duration::from_secs(1), LONGEST);
        Ok(match self.config.kind.as_str() {
            "s3" | "s3v2" => Signer::S3(Box::new(s3::Signer::new(&self.config.s3, lifetime, &context).await?)),
            "gcs" | "gcsv2" => Signer::Gcs(Box::new(gcs::Signer::new(&self.config, lifetime, &context).await?)),
            "azure" => Signer::Azure(Box::new(
                azure::Signer::new(&self.config.azure, lifetime, &context).await?,
            )),
            other => bail!("Type {other:?} of [runners.cache] is none of \"s3\", \"gcs\" and \"azure\""),
        })
    }
}

/// Signs requests for single objects.
enum Signer {
    S3(Box<s3::Signer>),
    Gcs(Box<gcs::Signer>),
    Azure(Box<azure::Signer>),
}

impl Signer {
    async fn download(&self, object: &str) -> anyhow::Result<SignedRequest> {
        match self {
            Self::S3(s3) => s3.download(object).await,
            Self::Gcs(gcs) => gcs.download(object).await,
            Self::Azure(azure) => Ok(azure.download(object)),
        }
    }

    async fn exists(&self, object: &str) -> anyhow::Result<SignedRequest> {
        match self {
            Self::S3(s3) => s3.exists(object).await,
            Self::Gcs(gcs) => gcs.exists(object).await,
            // Whoever may read a blob may ask whether it is there.
            Self::Azure(azure) => Ok(azure.download(object)),
        }
    }

    /// `key` is the cache's for people.
    async fn upload(&self, object: &str, key: &str) -> anyhow::Result<SignedRequest> {
        match self {
            Self::S3(s3) => s3.upload(object, key).await,
            Self::Gcs(gcs) => gcs.upload(object, key).await,
            Self::Azure(azure) => Ok(azure.upload(object, key)),
        }
    }
}

/// A header with the cache's key, unless the key has characters no header holds. Spaces in a row become one, as they do
/// in what is signed.
fn key_header(name: &str, key: &str) -> Option<(String, String)> {
    let fits = key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    fits.then(|| {
        (
            name.to_owned(),
            key.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        )
    })
}

/// An object's name as the path of a URL.
fn encoded_path(object: &str) -> String {
    encoded(object, b"-_.~/")
}

/// A value as part of the query of a URL.
fn encoded_value(value: &str) -> String {
    encoded(value, b"-_.~")
}

fn encoded(text: &str, plain: &[u8]) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{encoded_path, encoded_value, key_header};

    #[test]
    fn names_are_encoded_once() {
        assert_eq!(encoded_path("p/a b+c/é%2F"), "p/a%20b%2Bc/%C3%A9%252F");
        assert_eq!(encoded_value("p/a=~"), "p%2Fa%3D~");
    }

    #[test]
    fn keys_that_no_header_holds_are_left_out() {
        assert_eq!(key_header("n", " a b "), Some(("n".to_owned(), "a b".to_owned())));
        // What is signed has one space in their place, and so must what is sent.
        assert_eq!(key_header("n", "a   b  c"), Some(("n".to_owned(), "a b c".to_owned())));
        assert_eq!(key_header("n", "ü"), None);
        assert_eq!(key_header("n", "a\nb"), None);
    }
}
