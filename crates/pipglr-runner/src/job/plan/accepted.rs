//! What a plan is made from: a job as it was handed out.

use super::RegistryAuth;
use crate::config::RunnerConfig;
use jiff::Timestamp;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::{self, JobPayload};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A job as it was handed out, with everything needed to run it anywhere: nothing of the manager is referred to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptedJob {
    pub seed: Seed,
    pub payload: Arc<JobPayload>,
    pub runner: Arc<RunnerConfig>,
    pub slot: SlotNumbers,
    pub system_id: String,
    /// Whether jobs may be privileged within the sandbox (`NESTED_PRIVILEGED`).
    pub nested_privileged: bool,
    /// PEM of `tls-ca-file`, for what runs inside containers.
    pub ca_certificates: Option<String>,
    /// Credentials of registries the operator wrote down, in the order they count.
    pub registry_auth: Vec<RegistryAuth>,
    /// PEM the operator gave to the whole container, for podman inside the job.
    #[serde(default)]
    pub operator_certificates: Option<String>,
    /// What the operator wrote down about registries, for podman inside the job.
    #[serde(default)]
    pub registries: Vec<RegistriesFile>,
    /// What `secrets:` of the payload came to; empty until they are resolved.
    pub secrets: Vec<payload::Variable>,
    /// `tls-cert-file` and `tls-key-file`, for what speaks to the instance from inside containers.
    #[serde(default)]
    pub client_identity: Option<ClientIdentity>,
    /// What the coordinator calls the request that handed out the job; may be empty.
    #[serde(default)]
    pub correlation_id: String,
}

/// A file of `registries.conf.d`: mirrors, blocked and insecure registries, no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistriesFile {
    /// Of the file; their order counts.
    pub name: String,
    /// TOML, containers-registries.conf(5).
    pub content: String,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: Secret,
}

impl ClientIdentity {
    /// Certificate and key in one text.
    pub(crate) fn pem(&self) -> Secret {
        Secret::new(format!("{}\n{}", self.certificate, self.key.expose()))
    }
}

impl AcceptedJob {
    /// Time since it was handed out.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::try_from(Timestamp::now().duration_since(self.seed.accepted_at)).unwrap_or_default()
    }
}

/// What is different each time a job is handed out. It is part of the job, so that planning it again gives the same plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// When it was handed out: its time runs from here.
    pub accepted_at: Timestamp,
    /// Makes names of the job's objects unique.
    pub unique: String,
    /// Goes into markers.
    pub nonce: String,
}

impl Seed {
    /// Of a job that is handed out now.
    #[must_use]
    pub fn now() -> Self {
        let [a, b] = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string());
        Self {
            accepted_at: Timestamp::now(),
            unique: a[..16].to_owned(),
            nonce: b,
        }
    }
}

/// Lowest numbers not used by other running jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotNumbers {
    /// Among jobs of the same runner: `CI_CONCURRENT_ID`.
    pub runner: u32,
    /// Among jobs of the same runner and project: `CI_CONCURRENT_PROJECT_ID`.
    pub project: u32,
}
