//! Limits that cannot be enforced here are left out, so that the job runs all the same, and told by name.

use super::{Engine, groups};
use crate::job::plan::ContainerOptions;
use anyhow::Context as _;
use pipglr_podman::{ContainerSpec, CpuLimits, MemoryLimits, ResourceLimits};
use rustix::process::{Resource, getrlimit};

impl Engine {
    /// Makes a container, without the limits that podman cannot enforce.
    ///
    /// # Errors
    /// podman refuses or is not there.
    pub async fn create(&self, spec: &ContainerSpec) -> anyhow::Result<String> {
        let limited = spec.resource_limits.is_some() || spec.cgroup_parent.is_some() || !spec.r_limits.is_empty();
        let id = if limited {
            let mut spec = spec.clone();
            reduce(
                &mut spec,
                self.controllers().await.context("ask podman for its limits")?,
            );
            groups::place(&mut spec, self.settings.limits_group.as_deref());
            self.client.create(&spec).await
        } else {
            self.client.create(spec).await
        };
        id.context("create container")
    }

    /// Controllers of control groups podman may use; asked once, as podman needs long to answer.
    async fn controllers(&self) -> Result<&[String], pipglr_podman::Error> {
        let ask = || async { self.client.info().await.map(|info| info.cgroup_controllers) };
        self.controllers.get_or_try_init(ask).await.map(Vec::as_slice)
    }
}

/// What of the configuration has no effect on containers of this podman.
///
/// # Errors
/// podman cannot be asked.
pub async fn warnings(engine: &Engine, options: &ContainerOptions) -> anyhow::Result<Vec<String>> {
    let mut warnings = Vec::new();
    if !options.limits.is_empty() {
        let there = engine.despite_outages(|_| engine.controllers());
        let there = there.await.context("ask podman for its limits")?;
        let missing = |controller: &str| match controller {
            "" => there.is_empty(),
            _ => !there.iter().any(|c| c == controller),
        };
        for limit in options.limits.iter().filter(|limit| missing(limit.controller)) {
            let (key, table) = (limit.key, limit.table());
            let what = match limit.controller {
                "" => "no cgroup controller is".to_owned(),
                controller => format!("the cgroup controller {controller:?} is not"),
            };
            warnings.push(format!(
                "{key} of [{table}] IS NOT ENFORCED: {what} delegated to this runner's podman"
            ));
        }
    }
    for limit in &options.build.r_limits {
        let name = limit.name();
        if let Some(highest) = highest(name)
            && limit.clone().lower_to(highest)
        {
            warnings.push(format!(
                "ulimit {name} of [runners.docker] is lowered to {highest}: this runner may not give more"
            ));
        }
    }
    Ok(warnings)
}

fn reduce(spec: &mut ContainerSpec, controllers: &[String]) {
    let there = |name: &str| controllers.iter().any(|controller| controller == name);
    if let Some(limits) = &mut spec.resource_limits {
        limits.memory = limits.memory.take().filter(|_| there("memory"));
        if let Some(cpu) = &mut limits.cpu {
            if !there("cpu") {
                (cpu.shares, cpu.quota, cpu.period) = (None, None, None);
            }
            if !there("cpuset") {
                (cpu.cpus, cpu.mems) = (None, None);
            }
        }
        limits.cpu = limits.cpu.take().filter(|cpu| *cpu != CpuLimits::default());
        limits.memory = limits.memory.take().filter(|memory| *memory != MemoryLimits::default());
        limits.pids = limits.pids.take().filter(|_| there("pids"));
        if *limits == ResourceLimits::default() {
            spec.resource_limits = None;
        }
    }
    spec.cgroup_parent = spec.cgroup_parent.take().filter(|_| !controllers.is_empty());
    for limit in &mut spec.r_limits {
        if let Some(highest) = highest(limit.name()) {
            limit.lower_to(highest);
        }
    }
}

/// The highest value of a limit that processes without privileges may have: podman's is the same as ours, as systemd
/// starts both alike.
fn highest(name: &str) -> Option<u64> {
    let resource = match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    };
    getrlimit(resource).maximum
}

#[cfg(test)]
mod tests {
    use super::{highest, reduce};
    use pipglr_podman::{ContainerSpec, CpuLimits, MemoryLimits, PidsLimit, ResourceLimits, Rlimit};

    fn limited() -> ContainerSpec {
        ContainerSpec {
            resource_limits: Some(ResourceLimits {
                memory: Some(MemoryLimits {
                    limit: Some(1),
                    ..MemoryLimits::default()
                }),
                cpu: Some(CpuLimits {
                    quota: Some(5),
                    period: Some(10),
                    cpus: Some("0".to_owned()),
                    ..CpuLimits::default()
                }),
                pids: Some(PidsLimit { limit: 7 }),
            }),
            cgroup_parent: Some("parent".to_owned()),
            ..ContainerSpec::default()
        }
    }

    /// Controllers; which of memory, quota, cpuset, processes and parent are left.
    #[test]
    fn only_what_can_be_enforced_is_asked_for() {
        for (controllers, left) in [
            ("memory cpu cpuset pids", (true, true, true, true, true)),
            ("memory pids", (true, false, false, true, true)),
            ("cpu", (false, true, false, false, true)),
            ("cpuset", (false, false, true, false, true)),
            ("", (false, false, false, false, false)),
        ] {
            let controllers: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
            let mut spec = limited();
            reduce(&mut spec, &controllers);
            let limits = spec.resource_limits.unwrap_or_default();
            let cpu = limits.cpu.clone().unwrap_or_default();
            let found = (limits.memory.is_some(), cpu.quota.is_some(), cpu.cpus.is_some());
            assert_eq!(
                (
                    found.0,
                    found.1,
                    found.2,
                    limits.pids.is_some(),
                    spec.cgroup_parent.is_some()
                ),
                left,
                "{controllers:?}"
            );
        }
    }

    #[test]
    fn limits_of_processes_are_no_higher_than_ours() {
        let Some(ours) = highest("nofile") else { return };
        let mut spec = ContainerSpec {
            r_limits: vec![Rlimit::new("nofile", 1, u64::MAX), Rlimit::new("unknown", 7, 8)],
            ..ContainerSpec::default()
        };
        reduce(&mut spec, &[]);
        assert_eq!(
            spec.r_limits,
            [Rlimit::new("nofile", 1, ours), Rlimit::new("unknown", 7, 8)]
        );
    }
}
