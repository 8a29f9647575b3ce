//! Settings of config.toml for the containers of a job, as podman takes them.
//!
//! Compat: gitlab-runner executors/docker/docker.go `createHostConfig`, `createHostConfigForService`: which of them
//! apply to which containers.

use super::AcceptedJob;
use super::limits::{self, Limits};
use crate::config::DockerConfig;
use crate::job::JobError;
use crate::job::variables::Variables;
use pipglr_podman::{ContainerSpec, Device, Mount, Namespace};
use std::collections::BTreeMap;

/// What configuration says about containers, before a job's own part is put in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerOptions {
    pub build: ContainerSpec,
    pub helper: ContainerSpec,
    pub service: ContainerSpec,
    /// Keys of limits that need a control group's controller, which may not be there.
    pub limits: Vec<Limit>,
    /// Groups the scripts' user is put into.
    pub groups: Vec<String>,
    /// Anonymous volumes outlive their container.
    pub keep_anonymous_volumes: bool,
    /// Driver of the job's volumes; empty is podman's own.
    pub volume_driver: String,
    pub volume_options: BTreeMap<String, String>,
}

/// A key of config.toml and the controller that enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub key: &'static str,
    pub controller: &'static str,
}

impl Limit {
    pub(super) const PROCESSES: &str = "pids_limit";

    /// The table of config.toml the key stands in.
    #[must_use]
    pub fn table(self) -> &'static str {
        if self.key == Self::PROCESSES {
            "runners.podman"
        } else {
            "runners.docker"
        }
    }
}

pub(super) fn lower(
    job: &AcceptedJob,
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<ContainerOptions, JobError> {
    let docker = &job.runner.docker;
    without_effect(docker, warnings)?;
    let common = common(docker, warnings)?;
    let processes = job.runner.podman.pids_limit;
    let job_limits = limits::of_jobs(docker)?.with_processes(processes);
    let service_limits = limits::of_services(docker)?.with_processes(processes);
    let mut limits = job_limits.keys.clone();
    // One key for all containers is named once.
    limits.extend(
        service_limits
            .keys
            .iter()
            .filter(|limit| !job_limits.keys.contains(limit)),
    );
    let labels = labels(docker, variables);
    let mut helper = for_jobs(docker, &common, job_limits, warnings)?;
    helper.labels.clone_from(&labels);
    let mut build = helper.clone();
    build.devices.extend(gpus("gpus", &docker.gpus)?);
    let mut service = ContainerSpec {
        mounts: tmpfs(&docker.services_tmpfs),
        devices: gpus("service_gpus", &docker.service_gpus)?,
        ..common
    };
    apply_limits(&mut service, service_limits);
    security("services_security_opt", &docker.services_security_opt, &mut service)?;
    for (key, value) in &labels {
        service.labels.insert(super::label(key), value.clone());
    }
    service.labels.extend(labels);
    Ok(ContainerOptions {
        build,
        helper,
        service,
        limits,
        groups: docker.group_add.clone(),
        keep_anonymous_volumes: docker.volume_keep,
        volume_driver: docker.volume_driver.clone(),
        volume_options: docker.volume_driver_ops.clone(),
    })
}

/// What applies to all containers.
fn common(docker: &DockerConfig, warnings: &mut Vec<String>) -> Result<ContainerSpec, JobError> {
    let keys = docker;
    if let Some(wrong) = docker.dns.iter().find(|a| a.parse::<std::net::IpAddr>().is_err()) {
        return Err(wrong_value("dns", wrong, "an IP address"));
    }
    let userns = match keys.userns_mode.split_once(':').unwrap_or((&keys.userns_mode, "")) {
        ("" | "host", _) => None,
        ("keep-id", "") => Some(Namespace::keep_id()),
        ("private", _) => Some(Namespace::private()),
        ("auto", _) => {
            warnings.push(no_effect(
                "userns_mode",
                "the containers of a job share volumes, so they cannot have users of their own each",
            ));
            None
        }
        _ => {
            return Err(wrong_value(
                "userns_mode",
                &keys.userns_mode,
                "host, private or keep-id",
            ));
        }
    };
    Ok(ContainerSpec {
        dns_server: docker.dns.clone(),
        dns_search: docker.dns_search.clone(),
        hostadd: docker.extra_hosts.clone(),
        shm_size: Some(docker.shm_size).filter(|size| *size > 0),
        oci_runtime: Some(keys.runtime.clone()).filter(|runtime| !runtime.is_empty()),
        userns,
        ..ContainerSpec::default()
    })
}

/// What applies to build and helper containers.
fn for_jobs(
    docker: &DockerConfig,
    common: &ContainerSpec,
    limits: Limits,
    warnings: &mut Vec<String>,
) -> Result<ContainerSpec, JobError> {
    let keys = docker;
    let mut spec = ContainerSpec {
        cap_add: docker.cap_add.clone(),
        cap_drop: docker.cap_drop.clone(),
        devices: docker.devices.iter().map(Device::new).collect(),
        hostname: Some(docker.hostname.clone()).filter(|name| !name.is_empty()),
        sysctl: keys.sysctls.clone(),
        mounts: tmpfs(&keys.tmpfs),
        volumes_from: keys.volumes_from.clone(),
        r_limits: limits::per_process(&keys.ulimit)?,
        oom_score_adj: Some(keys.oom_score_adjust).filter(|adjustment| *adjustment != 0),
        ipcns: ipc(&keys.ipcmode, warnings)?,
        ..common.clone()
    };
    apply_limits(&mut spec, limits);
    security("security_opt", &keys.security_opt, &mut spec)?;
    Ok(spec)
}

fn apply_limits(spec: &mut ContainerSpec, limits: Limits) {
    spec.resource_limits = limits.resources;
    spec.cgroup_parent = limits.parent;
}

/// `container_labels`; values are expanded.
fn labels(docker: &DockerConfig, variables: &Variables) -> BTreeMap<String, String> {
    let labels = docker.container_labels.iter();
    labels
        .map(|(key, value)| (key.clone(), variables.expand(value)))
        .collect()
}

fn tmpfs(paths: &BTreeMap<String, String>) -> Vec<Mount> {
    let mount = |(path, options): (&String, &String)| {
        let options: Vec<&str> = options.split(',').filter(|option| !option.is_empty()).collect();
        Mount::tmpfs(path, &options)
    };
    paths.iter().map(mount).collect()
}

fn ipc(mode: &str, warnings: &mut Vec<String>) -> Result<Option<Namespace>, JobError> {
    Ok(match mode.split_once(':').unwrap_or((mode, "")) {
        ("", _) => None,
        ("private", _) => Some(Namespace::private()),
        ("shareable", _) => Some(Namespace::shareable()),
        ("none", _) => Some(Namespace::none()),
        ("container", name) if !name.is_empty() => Some(Namespace::container(name)),
        ("host", _) => {
            warnings.push(format!(
                "ipcmode {mode:?} of [runners.docker] shares the IPC namespace of the runner's own container, not the host's"
            ));
            Some(Namespace::host())
        }
        _ => {
            return Err(wrong_value(
                "ipcmode",
                mode,
                "private, shareable, none, host or container:NAME",
            ));
        }
    })
}

/// docker's words for GPUs as names of the container device interface, which is what podman knows.
fn gpus(key: &str, text: &str) -> Result<Vec<Device>, JobError> {
    let device = |name: &str| Device::new(format!("nvidia.com/gpu={name}"));
    let text = text.trim().trim_matches('"');
    let mut devices = Vec::new();
    let mut listing = false;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').map_or(("", part), |(name, value)| (name, value));
        let count = value.parse::<u32>();
        match (name, value) {
            ("" | "count", "all" | "-1") => devices.push(device("all")),
            ("device", _) => {
                listing = true;
                devices.push(device(value));
            }
            ("", _) if listing => devices.push(device(value)),
            ("" | "count", _) if count.is_ok() => {
                devices.extend((0..count.unwrap_or_default()).map(|number| device(&number.to_string())));
            }
            ("driver" | "capabilities", _) => {}
            _ => return Err(wrong_value(key, text, "all, a number, or device=0,1")),
        }
    }
    Ok(devices)
}

/// docker's `--security-opt`.
fn security(key: &str, options: &[String], spec: &mut ContainerSpec) -> Result<(), JobError> {
    for option in options {
        let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (name, value) {
            ("no-new-privileges", "" | "true") => spec.no_new_privileges = true,
            ("no-new-privileges", "false") | ("seccomp", "builtin") => {}
            ("seccomp", json) if json.trim_start().starts_with('{') => {
                return Err(wrong_value(
                    key,
                    "seccomp={…}",
                    "a file: podman takes no profile as text",
                ));
            }
            ("seccomp", path) if path == "unconfined" || path.starts_with('/') => {
                spec.seccomp_profile_path = Some(path.to_owned());
            }
            ("apparmor", profile) if !profile.is_empty() => spec.apparmor_profile = Some(profile.to_owned()),
            ("label", value) if !value.is_empty() => spec.selinux_opts.push(value.to_owned()),
            ("mask", paths) if !paths.is_empty() => spec.mask.extend(paths.split(':').map(str::to_owned)),
            ("unmask", paths) if !paths.is_empty() => spec.unmask.extend(paths.split(':').map(str::to_owned)),
            _ => {
                let known = "seccomp, apparmor, label, mask, unmask or no-new-privileges";
                return Err(wrong_value(key, option, known));
            }
        }
    }
    Ok(())
}

/// Keys that cannot do here what they do elsewhere are told by name.
fn without_effect(docker: &DockerConfig, warnings: &mut Vec<String>) -> Result<(), JobError> {
    let keys = docker;
    if !matches!(keys.isolation.as_str(), "" | "default" | "process" | "hyperv") {
        return Err(wrong_value("isolation", &keys.isolation, "default, process or hyperv"));
    }
    if let Some(key) = keys
        .log_options
        .keys()
        .find(|key| !matches!(key.as_str(), "env" | "labels"))
    {
        return Err(wrong_value("log_options", key, "env or labels"));
    }
    let is_set = |text: &str| !text.is_empty();
    for (key, set, why) in [
        (
            "oom_kill_disable",
            keys.oom_kill_disable,
            "version 2 of control groups does not know it",
        ),
        (
            "device_cgroup_rules",
            !keys.device_cgroup_rules.is_empty(),
            "podman without root cannot set them",
        ),
        (
            "mac_address",
            is_set(&keys.mac_address),
            "the containers of a job share a network, where an address can only be used once",
        ),
        (
            "links",
            !keys.links.is_empty(),
            "podman has no links; use services or extra_hosts",
        ),
        (
            "pid_mode",
            is_set(&keys.pid_mode),
            "process 1 of the build container ends what scripts leave, and must be among them alone",
        ),
        ("cache_dir", is_set(&keys.cache_dir), "cache volumes are podman's own"),
        (
            "isolation",
            matches!(keys.isolation.as_str(), "process" | "hyperv"),
            "only Windows has it",
        ),
        (
            "log_options",
            !keys.log_options.is_empty(),
            "the container's log is the runner's own",
        ),
    ] {
        if set {
            warnings.push(no_effect(key, why));
        }
    }
    Ok(())
}

fn no_effect(key: &str, why: &str) -> String {
    format!("{key} of [runners.docker] has no effect: {why}")
}

/// A value of config.toml that means nothing.
pub(super) fn wrong_value(key: &str, value: &str, wanted: &str) -> JobError {
    JobError::Configuration(format!(
        "config.toml of this runner: {key} of [runners.docker] is {value:?}, but must be {wanted}"
    ))
}
