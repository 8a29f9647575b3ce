//! Limits of a container. Field names are the OCI runtime specification's.

use serde::Serialize;

/// Limits enforced by control groups; without the controller podman refuses or ignores them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResourceLimits {
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryLimits>,
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuLimits>,
    /// Number of processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<PidsLimit>,
}

/// Memory limits in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryLimits {
    /// Memory at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Memory left alone under pressure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// Memory and swap together at most; -1 for no limit. podman sets twice the memory when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// Readiness to swap, 0 to 100. Only with cgroup v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Stops instead of killing. Only with cgroup v1.
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "Option::is_none")]
    pub disable_oom_killer: Option<bool>,
}

/// Processor limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuLimits {
    /// Weight against others; 1024 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Microseconds of processor time per period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// Length of the period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Processors it may run on, e.g. `0-2,7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Memory nodes it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mems: Option<String>,
}

/// Limit of the number of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsLimit {
    /// Processes at most; -1 for no limit.
    pub limit: i64,
}

/// A per-process limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    #[serde(rename = "type")]
    kind: String,
    hard: u64,
    soft: u64,
}

impl Rlimit {
    /// Makes a limit by its name, in any of the forms `nofile`, `NOFILE` or `RLIMIT_NOFILE`.
    ///
    /// Compat: podman wants `nofile`; 4.3.1 silently makes `RLIMIT_RLIMIT_NOFILE` of the full name.
    #[must_use]
    pub fn new(name: &str, soft: u64, hard: u64) -> Self {
        let lower = name.to_ascii_lowercase();
        let kind = lower.strip_prefix("rlimit_").unwrap_or(&lower).to_owned();
        Self { kind, hard, soft }
    }

    /// Its name, e.g. `nofile`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.kind
    }

    /// Lowers both values to at most `limit`; true if that changed something.
    pub fn lower_to(&mut self, limit: u64) -> bool {
        let above = self.hard > limit || self.soft > limit;
        self.hard = self.hard.min(limit);
        self.soft = self.soft.min(limit);
        above
    }
}
