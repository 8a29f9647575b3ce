//! Object storage for caches: requests are signed here, in the runner, and made in helper containers, which get nothing
//! but requests for single objects that end with the job.
//!
//! Compat: gitlab-runner cache/s3v2.

mod context;
mod s3;

use crate::config::CacheConfig;
use crate::container_side::helper::{Phase, SignedRequest};
use crate::gitlab::TlsFiles;
use anyhow::bail;
use reqwest::Method;
use std::time::Duration;

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
        let signer = match self.config.kind.as_str() {
            "s3" | "s3v2" => {
                let tls = TlsFiles {
                    ca_text: self.ca.clone(),
                    ..TlsFiles::default()
                };
                s3::Signer::new(&self.config.s3, self.lifetime, &context::context(&tls)?).await?
            }
            other => bail!("[runners.cache] Type {other:?} is not supported by this version; use \"s3\""),
        };
        for phase in phases {
            match phase {
                Phase::RestoreCache(plan) => {
                    for source in plan.entries.iter_mut().flat_map(|e| &mut e.sources) {
                        if let Some(object) = &source.object {
                            source.download = Some(signer.sign(Method::GET, object, &[]).await?);
                        }
                    }
                }
                Phase::ArchiveCache(plan) => {
                    for target in plan.entries.iter_mut().filter_map(|e| e.target.as_mut()) {
                        if let Some(object) = &target.object {
                            let headers = signer.upload_headers(&target.key);
                            let exists: SignedRequest = signer.sign(Method::HEAD, object, &[]).await?;
                            target.upload = Some(signer.sign(Method::PUT, object, &headers).await?);
                            target.exists = Some(exists);
                        }
                    }
                }
                Phase::GetSources(_) | Phase::DownloadArtifacts(_) | Phase::UploadArtifacts(_) | Phase::CleanUp(_) => {}
            }
        }
        Ok(())
    }
}
