//! Limits of memory, processors and processes: from docker's words to numbers.

use super::options::{Limit, wrong_value};
use crate::config::DockerConfig;
use crate::job::JobError;
use pipglr_podman::{CpuLimits, MemoryLimits, PidsLimit, ResourceLimits, Rlimit};
use std::collections::BTreeMap;

/// Microseconds over which processor time is counted.
const PERIOD: u64 = 100_000;

/// Limits of one kind of container.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) resources: Option<ResourceLimits>,
    pub(super) parent: Option<String>,
    pub(super) keys: Vec<Limit>,
}

impl Limits {
    /// `pids_limit` of `[runners.podman]`.
    pub(super) fn with_processes(mut self, limit: i64) -> Self {
        if limit > 0 {
            let resources = self.resources.get_or_insert_default();
            resources.pids = Some(PidsLimit { limit });
            self.keys.push(Limit {
                key: Limit::PROCESSES,
                controller: "pids",
            });
        }
        self
    }
}

/// One kind's keys with their values.
struct Given<'a> {
    memory: (&'static str, &'a str),
    swap: (&'static str, &'a str),
    reservation: (&'static str, &'a str),
    cpus: (&'static str, &'a str),
    cpuset: (&'static str, &'a str),
    mems: (&'static str, &'a str),
    shares: (&'static str, i64),
    parent: (&'static str, &'a str),
}

pub(super) fn of_jobs(docker: &DockerConfig) -> Result<Limits, JobError> {
    let keys = docker;
    read(&Given {
        memory: ("memory", &keys.memory),
        swap: ("memory_swap", &keys.memory_swap),
        reservation: ("memory_reservation", &keys.memory_reservation),
        cpus: ("cpus", &keys.cpus),
        cpuset: ("cpuset_cpus", &keys.cpuset_cpus),
        mems: ("cpuset_mems", &keys.cpuset_mems),
        shares: ("cpu_shares", keys.cpu_shares),
        parent: ("cgroup_parent", &keys.cgroup_parent),
    })
}

pub(super) fn of_services(docker: &DockerConfig) -> Result<Limits, JobError> {
    let keys = docker;
    read(&Given {
        memory: ("service_memory", &keys.service_memory),
        swap: ("service_memory_swap", &keys.service_memory_swap),
        reservation: ("service_memory_reservation", &keys.service_memory_reservation),
        cpus: ("service_cpus", &keys.service_cpus),
        cpuset: ("service_cpuset_cpus", &keys.service_cpuset_cpus),
        mems: ("", ""),
        shares: ("service_cpu_shares", keys.service_cpu_shares),
        parent: ("service_cgroup_parent", &keys.service_cgroup_parent),
    })
}

fn read(given: &Given<'_>) -> Result<Limits, JobError> {
    let mut limits = Limits::default();
    let mut text = |(key, value): (&'static str, &str), controller: &'static str| {
        (!value.is_empty()).then(|| {
            limits.keys.push(Limit { key, controller });
            value.to_owned()
        })
    };
    let sized = |key: (&'static str, &str), value: Option<String>| value.map(|v| size(key.0, &v)).transpose();
    let memory = MemoryLimits {
        limit: sized(given.memory, text(given.memory, "memory"))?,
        swap: sized(given.swap, text(given.swap, "memory"))?,
        reservation: sized(given.reservation, text(given.reservation, "memory"))?,
        ..MemoryLimits::default()
    };
    let quota = text(given.cpus, "cpu").map(|v| quota(given.cpus.0, &v)).transpose()?;
    let cpu = CpuLimits {
        quota,
        period: quota.map(|_| PERIOD),
        cpus: text(given.cpuset, "cpuset"),
        mems: text(given.mems, "cpuset"),
        shares: u64::try_from(given.shares.1).ok().filter(|shares| *shares > 0),
    };
    // Any controller will do.
    limits.parent = text(given.parent, "");
    if cpu.shares.is_some() {
        limits.keys.push(Limit {
            key: given.shares.0,
            controller: "cpu",
        });
    }
    let (has_memory, has_cpu) = (memory != MemoryLimits::default(), cpu != CpuLimits::default());
    limits.resources = (has_memory || has_cpu).then(|| ResourceLimits {
        memory: has_memory.then_some(memory),
        cpu: has_cpu.then_some(cpu),
        pids: None,
    });
    Ok(limits)
}

/// `ulimit`: `soft[:hard]` by name; -1 is no limit.
pub(super) fn per_process(limits: &BTreeMap<String, String>) -> Result<Vec<Rlimit>, JobError> {
    let number = |text: &str| match text.trim().parse::<i64>() {
        Ok(-1) => Some(u64::MAX),
        Ok(value) => u64::try_from(value).ok(),
        Err(_) => None,
    };
    limits
        .iter()
        .map(|(name, text)| {
            let (soft, hard) = text.split_once(':').unwrap_or((text, text));
            match (number(soft), number(hard)) {
                (Some(soft), Some(hard)) if soft <= hard => Ok(Rlimit::new(name, soft, hard)),
                _ => Err(wrong_value(&format!("ulimit {name}"), text, "SOFT or SOFT:HARD")),
            }
        })
        .collect()
}

/// A size in docker's words, in bytes; -1 is no limit.
fn size(key: &str, text: &str) -> Result<i64, JobError> {
    if text.trim() == "-1" {
        return Ok(-1);
    }
    let bytes = crate::config::parse_size(text).and_then(|bytes| i64::try_from(bytes).ok());
    bytes.ok_or_else(|| wrong_value(key, text, "a size, as in 512m or 2g"))
}

/// `1.5` or `3/2` processors as microseconds per period.
fn quota(key: &str, text: &str) -> Result<i64, JobError> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the value is positive, at most 10000 processors, and rounded"
    )]
    value
        .filter(|value| *value <= 10_000.0)
        .map(|value| (value * PERIOD as f64).round() as i64)
        .filter(|quota| *quota > 0)
        .ok_or_else(|| wrong_value(key, text, "a number of processors, as in 1.5"))
}

#[cfg(test)]
mod tests {
    use super::{per_process, quota, size};
    use std::collections::BTreeMap;

    #[test]
    fn sizes_are_dockers() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("32b", 32),
            ("128m", 128 << 20),
            ("128M", 128 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("4kb", 4096),
            ("-1", -1),
        ] {
            assert_eq!(size("memory", text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-5", "1x", "1.2.3g", "9999999999999g"] {
            let error = size("memory", text).unwrap_err().to_string();
            assert!(
                error.contains("memory of [runners.docker]") && error.contains("512m"),
                "{error}"
            );
        }
    }

    #[test]
    fn processors_are_rational_numbers() {
        for (text, microseconds) in [("1", 100_000), ("0.5", 50_000), ("1.5", 150_000), ("3/4", 75_000)] {
            assert_eq!(quota("cpus", text).unwrap(), microseconds, "{text}");
        }
        for text in ["", "x", "0", "-1", "1/0", "inf", "1e9"] {
            assert!(quota("cpus", text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_of_processes_are_soft_and_hard() {
        let one = |text: &str| per_process(&BTreeMap::from([("nofile".to_owned(), text.to_owned())]));
        let json = |text: &str| serde_json::to_value(&one(text).unwrap()[0]).unwrap();
        assert_eq!(
            json("1024"),
            serde_json::json!({"type": "nofile", "soft": 1024, "hard": 1024})
        );
        assert_eq!(
            json("5:-1"),
            serde_json::json!({"type": "nofile", "soft": 5, "hard": u64::MAX})
        );
        for text in ["", "x", "5:4", "-2"] {
            assert!(one(text).unwrap_err().to_string().contains("ulimit nofile"), "{text}");
        }
    }
}
