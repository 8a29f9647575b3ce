//! What [runners.docker] says of containers, seen from inside them.

use crate::stage::{Stage, contains, job, log};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;

/// A device of the container device interface that only mounts its own description.
const DEVICE: &str = r#"{"cdiVersion": "0.5.0", "kind": "pipglr.test/device", "devices": [{"name": "one", "containerEdits":
    {"mounts": [{"hostPath": "/etc/cdi", "containerPath": "/from-device", "options": ["ro", "bind"]}]}}]}"#;

const OPTIONS: &str = r#"[runners.docker]
  cap_drop = ["CHOWN"]
  cap_add = ["NET_RAW"]
  shm_size = 33554432
  dns = ["192.0.2.53"]
  dns_search = ["search.test"]
  extra_hosts = ["other.test:192.0.2.1"]
  hostname = "named"
  security_opt = ["no-new-privileges"]
  oom_score_adjust = 500
  memory = "256m"
  devices = ["/dev/fuse:/dev/renamed:rw", "pipglr.test/device=one"]
"#;

const VOLUMES: &str = r#"
  [runners.docker.sysctls]
    "net.ipv4.ping_group_range" = "0 1000"
  [runners.docker.tmpfs]
    "/scratch" = "rw,noexec,size=1m"
  [runners.docker.ulimit]
    nofile = "1000:2000"
"#;

/// What is printed, and what it has to be.
const SEEN: &[(&str, &str)] = &[
    (
        "echo chown $((0x$(grep CapBnd /proc/self/status | cut -f2) & 1))",
        "chown 0",
    ),
    (
        "echo net_raw $((0x$(grep CapBnd /proc/self/status | cut -f2) >> 13 & 1))",
        "net_raw 1",
    ),
    ("echo shm $(df --output=size -B1 /dev/shm | tail -1)", "shm 33554432"),
    (
        "echo scratch $(df --output=size -B1 /scratch | tail -1)",
        "scratch 1048576",
    ),
    (
        "grep -o 'scratch tmpfs.*noexec' /proc/mounts | cut -c1-13",
        "scratch tmpfs",
    ),
    ("echo range $(cat /proc/sys/net/ipv4/ping_group_range)", "range 0 1000"),
    ("grep nameserver /etc/resolv.conf", "nameserver 192.0.2.53"),
    ("grep search /etc/resolv.conf", "search search.test"),
    ("getent hosts other.test | tr -s \" \"", "192.0.2.1 other.test"),
    ("echo host $(cat /proc/sys/kernel/hostname)", "host named"),
    ("echo files $(ulimit -Sn) $(ulimit -Hn)", "files 1000 2000"),
    (
        "grep NoNewPrivs /proc/self/status | tr -s \"\\t\" \" \"",
        "NoNewPrivs: 1",
    ),
    ("echo score $(cat /proc/1/oom_score_adj)", "score 500"),
    ("test -c /dev/renamed && echo device is there", "device is there"),
    (
        "test -e /from-device/device.json && echo device by name is there",
        "device by name is there",
    ),
    (
        "cat /given/file; touch /given/new 2> /dev/null || echo read only",
        "read only",
    ),
    (
        "cat /kept/file 2> /dev/null || echo first; echo kept > /kept/file",
        "first",
    ),
];

pub(crate) fn of_docker(stage: &mut Stage) -> anyhow::Result<()> {
    let lines: String = SEEN.iter().map(|(command, _)| format!("    - {command:?}\n")).collect();
    let project = stage.coordinator(&format!(
        "default: {{ image: '@SMALL@' }}\nvariables: {{ GIT_STRATEGY: none }}\nstages: [a, b]\n\
         all:\n  stage: a\n  script:\n{lines}\
         later: {{ stage: b, script: ['echo found $(cat /kept/file)'] }}\n"
    ))?;
    stage.start_runner(&project, |text| {
        let text = text.replace("volumes = [", "volumes = [\"/srv/given:/given:ro\", \"kept:/kept\", ");
        let text = match text.contains("volumes = [") {
            true => text,
            false => text.replace(
                "[runners.docker]\n",
                "[runners.docker]\n  volumes = [\"/srv/given:/given:ro\", \"kept:/kept\"]\n",
            ),
        };
        let text = text.replace("[runners.docker]\n", OPTIONS);
        match text.find("\n[runners.podman]") {
            Some(at) => format!("{}{VOLUMES}{}", &text[..at], &text[at..]),
            None => text + VOLUMES,
        }
    })?;
    let line = format!(
        "mkdir -p /srv/given /etc/cdi && echo given > /srv/given/file && chmod -R a+rX /srv/given && echo '{DEVICE}' > /etc/cdi/device.json"
    );
    stage.inside(&line).run_text()?;
    let pipeline = stage.run_pipeline(&project)?;
    let all = log(job(&pipeline, "all")?)?;
    ensure!(job(&pipeline, "all")?.state == JobState::Success, "{all}");
    for (command, seen) in SEEN {
        ensure!(
            all.lines().any(|line| line == *seen),
            "{command}: {seen:?} is not in:\n{all}"
        );
    }
    contains(&all, "given\n")?;
    contains(&log(job(&pipeline, "later")?)?, "found kept\n")?;
    // Enforced, or said loudly not to be: never silence.
    let controllers = stage
        .account
        .podman([
            "exec",
            "--user",
            "podman",
            "pipglr",
            "sh",
            "-c",
            "cat /sys/fs/cgroup/cgroup.controllers 2> /dev/null || true",
        ])
        .run_text()?;
    if !controllers.contains("memory") {
        contains(&all, "memory of [runners.docker] IS NOT ENFORCED")?;
    }
    Ok(())
}
