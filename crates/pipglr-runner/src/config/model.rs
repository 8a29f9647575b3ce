//! The values of a config.toml.
//!
//! Compat: gitlab-runner common/config.go.

use super::cache::CacheConfig;
use super::disk::DiskConfig;
use super::duration;
use super::session_server::SessionServerConfig;
use jiff::Timestamp;
use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A whole config.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Jobs at the same time, over all runners.
    pub concurrent: u32,
    check_interval: i64,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
    /// Where metrics are served.
    pub listen_address: Option<String>,
    #[serde(deserialize_with = "duration::optional")]
    connection_max_age: Option<Duration>,
    shutdown_timeout: i64,
    pub session_server: SessionServerConfig,
    pub disk: DiskConfig,
    /// Labels of all runners.
    pub labels: BTreeMap<String, String>,
    pub runners: Vec<RunnerConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent: 1,
            check_interval: 0,
            log_level: None,
            log_format: None,
            listen_address: None,
            connection_max_age: None,
            shutdown_timeout: 0,
            session_server: SessionServerConfig::default(),
            disk: DiskConfig::default(),
            labels: BTreeMap::new(),
            runners: Vec::new(),
        }
    }
}

impl Config {
    /// Pause between two requests of a runner that found no job.
    #[must_use]
    pub fn check_interval(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.check_interval).ok().filter(|&s| s > 0).unwrap_or(3))
    }

    /// The age at which connections to GitLab are renewed; `None` is never.
    #[must_use]
    pub fn connection_max_age(&self) -> Option<Duration> {
        Some(self.connection_max_age.unwrap_or(Duration::from_secs(900))).filter(|age| !age.is_zero())
    }

    /// How long jobs have to end after a forceful stop.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(
            u64::try_from(self.shutdown_timeout)
                .ok()
                .filter(|&s| s > 0)
                .unwrap_or(30),
        )
    }
}

/// One `[[runners]]` entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerConfig {
    pub name: String,
    pub url: String,
    pub id: u64,
    pub token: Secret,
    pub token_obtained_at: Option<toml::value::Datetime>,
    pub token_expires_at: Option<toml::value::Datetime>,
    #[serde(rename = "tls-ca-file")]
    pub tls_ca_file: Option<PathBuf>,
    #[serde(rename = "tls-cert-file")]
    pub tls_cert_file: Option<PathBuf>,
    #[serde(rename = "tls-key-file")]
    pub tls_key_file: Option<PathBuf>,
    /// Jobs at the same time of this entry; 0 is no limit.
    pub limit: u32,
    /// Requests for jobs at the same time.
    pub request_concurrency: u32,
    /// `check_interval` passes after a job as well.
    pub strict_check_interval: bool,
    /// KiB of log per job; 0 is 4 MiB.
    pub output_limit: u64,
    pub unhealthy_requests_limit: u32,
    #[serde(deserialize_with = "duration::optional", serialize_with = "duration::nanoseconds")]
    pub unhealthy_interval: Option<Duration>,
    pub job_status_final_update_retry_limit: u32,
    pub executor: String,
    pub builds_dir: String,
    pub cache_dir: String,
    pub clone_url: String,
    /// Whether what an earlier job configured in a kept repository is removed; it is by default.
    pub clean_git_config: Option<bool>,
    /// Whether git trusts the project directory whoever owns it; it does by default.
    pub safe_directory_checkout: Option<bool>,
    pub custom_build_dir: CustomBuildDirConfig,
    /// `KEY=value`.
    pub environment: Vec<String>,
    pub pre_get_sources_script: String,
    pub post_get_sources_script: String,
    pub pre_build_script: String,
    pub post_build_script: String,
    pub debug_trace_disabled: bool,
    #[serde(deserialize_with = "duration::optional", serialize_with = "duration::nanoseconds")]
    pub prepare_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration::optional", serialize_with = "duration::nanoseconds")]
    pub get_sources_timeout: Option<Duration>,
    pub labels: BTreeMap<String, String>,
    pub feature_flags: BTreeMap<String, bool>,
    pub artifact: ArtifactConfig,
    pub cache: CacheConfig,
    pub docker: DockerConfig,
    pub podman: PodmanConfig,
}

impl RunnerConfig {
    /// Replaces `$VAR` in url and token by the process's environment.
    ///
    /// Compat: gitlab-runner common/config.go; nothing else is expanded.
    pub(super) fn expand_environment(&mut self) {
        let lookup = |name: &str| std::env::var(name).unwrap_or_default();
        self.url = crate::job::expand(&self.url, lookup);
        self.token = expanded(&self.token);
    }

    /// When the token was given out.
    #[must_use]
    pub fn token_obtained_at(&self) -> Option<Timestamp> {
        self.token_obtained_at.as_ref().and_then(timestamp)
    }

    /// When the token loses its worth; `None` is never.
    #[must_use]
    pub fn token_expires_at(&self) -> Option<Timestamp> {
        self.token_expires_at.as_ref().and_then(timestamp)
    }

    /// Bytes of log per job.
    #[must_use]
    pub fn output_limit_bytes(&self) -> u64 {
        if self.output_limit == 0 {
            4 * 1024 * 1024
        } else {
            self.output_limit * 1024
        }
    }
}

/// A token with `$VAR` replaced by the process's environment.
pub(super) fn expanded(token: &Secret) -> Secret {
    let lookup = |name: &str| std::env::var(name).unwrap_or_default();
    if token.expose().contains('$') {
        Secret::new(crate::job::expand(token.expose(), lookup))
    } else {
        token.clone()
    }
}

/// A time of the file; the year 1 is how gitlab-runner writes none.
fn timestamp(written: &toml::value::Datetime) -> Option<Timestamp> {
    let year_one = written.date.is_some_and(|d| d.year <= 1);
    written.to_string().parse().ok().filter(|_| !year_one)
}

/// `[runners.custom_build_dir]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomBuildDirConfig {
    /// Whether jobs may set `GIT_CLONE_PATH`; they may by default.
    pub enabled: Option<bool>,
}

/// `[runners.artifact]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactConfig {
    #[serde(deserialize_with = "duration::optional", serialize_with = "duration::nanoseconds")]
    pub upload_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration::optional", serialize_with = "duration::nanoseconds")]
    pub response_header_timeout: Option<Duration>,
}

/// `[runners.docker]`; here it speaks of podman.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerConfig {
    /// The engine's socket, `unix://…`.
    pub host: String,
    /// Image of jobs that name none.
    pub image: String,
    pub privileged: bool,
    pub user: String,
    pub allowed_users: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub pull_policy: Vec<String>,
    pub allowed_pull_policies: Vec<String>,
    pub allowed_images: Vec<String>,
    pub disable_entrypoint_overwrite: bool,
    pub volumes: Vec<String>,
    pub disable_cache: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub devices: Vec<String>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub hostname: String,
    pub network_mode: String,
    pub enable_ipv6: bool,
    pub network_mtu: u32,
    pub shm_size: i64,
    pub services: Vec<ServiceConfig>,
    /// Most services of a job; negative is no limit.
    pub services_limit: Option<i64>,
    pub services_privileged: Option<bool>,
    pub services_devices: BTreeMap<String, Vec<String>>,
    pub allowed_services: Vec<String>,
    pub allowed_privileged_services: Vec<String>,
    /// Seconds; 0 is 30, negative is not at all.
    pub wait_for_services_timeout: i64,
    pub runtime: String,
    pub memory: String,
    pub memory_swap: String,
    pub memory_reservation: String,
    pub cgroup_parent: String,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub cpus: String,
    pub cpu_shares: i64,
    pub service_memory: String,
    pub service_memory_swap: String,
    pub service_memory_reservation: String,
    pub service_cgroup_parent: String,
    pub service_cpuset_cpus: String,
    pub service_cpus: String,
    pub service_cpu_shares: i64,
    pub group_add: Vec<String>,
    pub userns_mode: String,
    pub oom_kill_disable: bool,
    pub oom_score_adjust: i32,
    pub security_opt: Vec<String>,
    pub services_security_opt: Vec<String>,
    pub device_cgroup_rules: Vec<String>,
    pub gpus: String,
    pub service_gpus: String,
    pub volume_keep: bool,
    pub volume_driver: String,
    pub volume_driver_ops: BTreeMap<String, String>,
    pub cache_dir: String,
    pub volumes_from: Vec<String>,
    pub pid_mode: String,
    pub ipcmode: String,
    pub mac_address: String,
    pub links: Vec<String>,
    pub isolation: String,
    pub tmpfs: BTreeMap<String, String>,
    pub services_tmpfs: BTreeMap<String, String>,
    pub sysctls: BTreeMap<String, String>,
    pub ulimit: BTreeMap<String, String>,
    pub container_labels: BTreeMap<String, String>,
    pub log_options: BTreeMap<String, String>,
    pub allowed_privileged_images: Vec<String>,
}

/// `[[runners.docker.services]]`: a service of every job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceConfig {
    pub name: String,
    pub alias: String,
    pub command: Vec<String>,
    pub entrypoint: Vec<String>,
    /// `KEY=value`.
    pub environment: Vec<String>,
}

/// `[runners.podman]`: what gitlab-runner has no key for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodmanConfig {
    /// `host[:port]` of registries that are spoken to without TLS verification.
    pub insecure_registries: Vec<String>,
    /// Processes and threads of each container at most; 0 is no limit.
    pub pids_limit: i64,
    /// The engine's socket, as a path; wins over `docker.host`.
    pub socket: Option<PathBuf>,
}

/// A string or a list of strings.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> serde::de::Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(if text.is_empty() {
                Vec::new()
            } else {
                vec![text.to_owned()]
            })
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = seq.next_element()? {
                all.push(item);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}
