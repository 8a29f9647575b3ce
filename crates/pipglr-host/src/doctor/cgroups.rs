//! Control groups: which version, and what of them the account may use.

use super::Finding;
use super::looking::Host;
use super::remedy::Remedy;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";
/// What limits of jobs need; systemd delegates them by itself.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// What one key alone needs.
const CPUSET: (&str, &str) = ("cpuset", "cpuset_cpus");
const DROP_IN: &str = "/etc/systemd/system/user@.service.d";

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The file system at /sys/fs/cgroup.
    pub(super) kind: Option<String>,
    /// Version 2 is beside version 1.
    pub(super) hybrid: bool,
    /// Of the host, and of the account, as podman knows them.
    pub(super) offered: Vec<String>,
    pub(super) delegated: Option<Vec<String>>,
    pub(super) booted: bool,
    pub(super) uid: u32,
    pub(super) running: bool,
    /// podman gives each container a limit of processes, and has systemd make its cgroup.
    pub(super) limits_processes: bool,
}

/// What of the account's settings of podman says that there is no such limit.
const NO_LIMIT: [&str; 2] = ["pids_limit=0", "pids_limit=-1"];

pub(super) fn look(host: &Host) -> Facts {
    let controllers = host.text("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let info = host.podman_info().ok();
    let of_podman = info.and_then(|info| info.pointer("/host/cgroupControllers")?.as_array());
    let manager = info.and_then(|info| info.pointer("/host/cgroupManager")?.as_str());
    let names = |all: &Vec<serde_json::Value>| all.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    Facts {
        kind: host.mount_of(Path::new(ROOT)).map(|mount| mount.kind),
        hybrid: host.exists("/sys/fs/cgroup/unified/cgroup.controllers"),
        offered: controllers.split_whitespace().map(str::to_owned).collect(),
        delegated: of_podman.map(names),
        booted: host.exists("/run/systemd/system"),
        uid: host.account.uid,
        running: host.containers_run(),
        limits_processes: manager == Some("systemd") && !NO_LIMIT.iter().any(|line| host.is_set(line)),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let version = version(facts);
    let usable = version.verdict == super::Verdict::Ok;
    let controllers = facts.delegated.as_ref().filter(|_| usable);
    let findings = controllers.map(|delegated| [pids(facts, delegated), controllers_of(facts, delegated)]);
    std::iter::once(version).chain(findings.into_iter().flatten()).collect()
}

fn version(facts: &Facts) -> Finding {
    const CHECK: &str = "cgroups";
    let unified = || {
        Remedy::advice(
            "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line (in /etc/default/grub, then update-grub \
             or grub2-mkconfig) and restart the machine",
        )
    };
    match facts.kind.as_deref() {
        Some("cgroup2") => Finding::ok(CHECK, "version 2"),
        _ if facts.hybrid => Finding::failure(
            CHECK,
            "versions 1 and 2 are mixed: crun starts no container of an account without root",
            unified(),
        ),
        Some("tmpfs" | "cgroup") => Finding::failure(
            CHECK,
            "/sys/fs/cgroup has no version 2: limits are ignored, and systemd in the container does not start",
            unified(),
        ),
        other => Finding::failure(
            CHECK,
            format!("no cgroups at {ROOT} ({})", other.unwrap_or("nothing is mounted")),
            Remedy::root([format!("mount -t cgroup2 cgroup2 {ROOT}")]).by_hand("what starts this host should do it"),
        ),
    }
}

/// podman sets a limit of processes by itself, and fails where that cannot be done.
fn pids(facts: &Facts, delegated: &[String]) -> Finding {
    const CHECK: &str = "cgroup-pids";
    if !facts.limits_processes || delegated.iter().any(|name| name == "pids") {
        return Finding::ok(CHECK, "podman can limit processes, or is told not to");
    }
    Finding::failure(
        CHECK,
        "the account has no controller pids, and podman starts no container whose processes it cannot limit",
        setting("containers", "pids_limit", "0"),
    )
}

/// A setting of the account's podman, in a file of its own.
pub(super) fn setting(section: &str, key: &str, value: &str) -> Remedy {
    let name = key.replace('_', "-");
    Remedy::account([
        "mkdir -p ~/.config/containers/containers.conf.d".to_owned(),
        format!(
            "printf '[{section}]\\n{key} = {value}\\n' > ~/.config/containers/containers.conf.d/pipglr-{name}.conf"
        ),
    ])
}

fn controllers_of(facts: &Facts, delegated: &[String]) -> Finding {
    const CHECK: &str = "cgroup-controllers";
    let lacks = |all: &[String]| -> Vec<&str> {
        let wanted = CONTROLLERS.into_iter();
        wanted.filter(|name| !all.iter().any(|have| have == name)).collect()
    };
    let missing = lacks(delegated);
    let not_offered = lacks(&facts.offered);
    if missing.is_empty() {
        let (name, key) = CPUSET;
        let without = if delegated.iter().any(|have| have == name) {
            String::new()
        } else {
            format!("; no {name}: {key} of config.toml has no effect")
        };
        return Finding::ok(CHECK, format!("{}{without}", delegated.join(" ")));
    }
    if missing.iter().all(|name| not_offered.contains(name)) {
        return Finding::warning(
            CHECK,
            format!(
                "the kernel has no {} here: such limits of jobs cannot be kept",
                missing.join(", ")
            ),
            Remedy::advice("see /proc/cgroups and cgroup_disable= in /proc/cmdline; in a container, the host decides"),
        );
    }
    let text = format!(
        "the account may not use {}: such limits of jobs are refused",
        missing.join(", ")
    );
    if !facts.booted {
        return Finding::warning(
            CHECK,
            text,
            Remedy::advice("give the account a cgroup of its own with these controllers"),
        );
    }
    let uid = facts.uid;
    let remedy = Remedy::root([
        format!("mkdir -p {DROP_IN}"),
        format!("printf '[Service]\\nDelegate=cpu cpuset memory pids\\n' > {DROP_IN}/pipglr.conf"),
        "systemctl daemon-reload".to_owned(),
        format!("systemctl restart user@{uid}.service"),
    ]);
    let remedy = if facts.running {
        remedy.by_hand("the last line ends the account's running containers")
    } else {
        remedy
    };
    Finding::warning(CHECK, text, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{CONTROLLERS, Facts, judge};

    fn good() -> Facts {
        let all: Vec<String> = CONTROLLERS.map(str::to_owned).into();
        Facts {
            kind: Some("cgroup2".into()),
            hybrid: false,
            offered: all.clone(),
            delegated: Some(all),
            booted: true,
            uid: 1005,
            running: false,
            limits_processes: true,
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "cgroup-controllers",
            |_| {},
            Verdict::Ok,
            "cpu memory pids; no cpuset: cpuset_cpus of config.toml has no effect",
            "",
        ),
        (
            "cgroup-controllers",
            |f| f.delegated = Some(["cpuset", "cpu", "io", "memory", "pids"].map(str::to_owned).into()),
            Verdict::Ok,
            "cpuset cpu io memory pids",
            "",
        ),
        (
            "cgroups",
            |f| {
                f.kind = Some("tmpfs".into());
                f.hybrid = true;
            },
            Verdict::Failure,
            "versions 1 and 2 are mixed",
            "by hand: add systemd.unified_cgroup_hierarchy=1",
        ),
        (
            "cgroups",
            |f| f.kind = Some("tmpfs".into()),
            Verdict::Failure,
            "has no version 2",
            "by hand: add systemd.unified",
        ),
        (
            "cgroups",
            |f| f.kind = Some("sysfs".into()),
            Verdict::Failure,
            "no cgroups at /sys/fs/cgroup (sysfs)",
            "as root: mount -t cgroup2",
        ),
        (
            "cgroup-controllers",
            |f| f.delegated = Some(vec!["memory".into(), "pids".into()]),
            Verdict::Warning,
            "may not use cpu:",
            "as root: printf '[Service]\\nDelegate=cpu cpuset memory pids\\n' > /etc/systemd/system/user@.service.d/pipglr.conf",
        ),
        (
            "cgroup-controllers",
            |f| {
                f.delegated = Some(Vec::new());
                f.running = true;
            },
            Verdict::Warning,
            "may not use cpu, memory, pids",
            "by hand: the last line ends",
        ),
        (
            "cgroup-controllers",
            |f| {
                f.delegated = Some(vec!["cpu".into(), "pids".into()]);
                f.offered = vec!["cpu".into(), "pids".into()];
            },
            Verdict::Warning,
            "the kernel has no memory here",
            "by hand: see /proc/cgroups",
        ),
        (
            "cgroup-pids",
            |f| f.delegated = Some(vec!["cpu".into(), "memory".into()]),
            Verdict::Failure,
            "no controller pids",
            "as the account: printf '[containers]\\npids_limit = 0\\n' > ~/.config/containers/containers.conf.d/pipglr-pids-limit.conf",
        ),
        (
            "cgroup-pids",
            |f| {
                f.delegated = Some(Vec::new());
                f.limits_processes = false;
            },
            Verdict::Ok,
            "or is told not to",
            "",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
