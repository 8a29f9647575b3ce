//! The runner's container as a service.

use crate::stage::{Stage, contains, job, log, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

/// `podman stop` waits for the running job; storage and cache can be thrown away between two runs.
pub(crate) fn drain(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "stages: [a, b]\ndefault: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         long: { stage: a, script: ['echo begun', 'sleep 12', 'echo done'] }\nnext: { stage: b, script: ['true'] }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let id = stage.begin_pipeline(&project)?;
    let long = project.coordinator.pipeline(id).context("no pipeline")?.jobs[0].id;
    wait_for("the job to begin", Duration::from_secs(60), || {
        let record = project.coordinator.job(long).context("no job")?;
        Ok((record.trace_size > 0 && log(&record)?.contains("begun\n")).then_some(()))
    })?;
    stage.account.podman(["stop", "pipglr"]).run_text()?;
    let record = project.coordinator.pipeline(id).context("no pipeline")?;
    ensure!(
        job(&record, "long")?.state == JobState::Success,
        "long: {:?}\n{}",
        job(&record, "long")?.state,
        log(job(&record, "long")?)?
    );
    ensure!(
        job(&record, "next")?.state == JobState::Pending,
        "a stopping runner must take no more jobs"
    );
    let system_id = stage
        .account
        .podman([
            "run",
            "--rm",
            "--network=none",
            "-v",
            "pipglr-state:/s",
            &stage.image,
            "cat",
            "/s/.runner_system_id",
        ])
        .run_text()?;
    stage.account.podman(["rm", "pipglr"]).run_text()?;
    stage
        .account
        .podman(["volume", "rm", "pipglr-storage", "pipglr-cache"])
        .run_text()?;
    stage.configure_and_run(|text| text)?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    ensure!(
        job(&pipeline, "next")?.state == JobState::Success,
        "{}",
        log(job(&pipeline, "next")?)?
    );
    contains(
        &log(job(&pipeline, "next")?)?,
        &format!("system ID: {}", system_id.trim()),
    )
}

/// `podman logs` shows systemd, podman and runner; levels rise without a rebuild; environment reaches the runner.
pub(crate) fn observability(stage: &mut Stage) -> anyhow::Result<()> {
    let project =
        stage.coordinator("a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['true'] }\n")?;
    stage.register(&project, &[])?;
    for name in ["setupconfig", "setupstorage", "setupcache"] {
        stage.label(name, &[])?;
    }
    stage.label(
        "run",
        &[(
            "PIPGLR_OPTIONS",
            "-e LOG_LEVEL=debug -e PODMAN_LOG_LEVEL=info -e SOME_NAME=some-value",
        )],
    )?;
    stage.wait_until_healthy()?;
    stage.run_pipeline(&project)?;
    let logs = wait_for("the job's last line in the log", Duration::from_secs(20), || {
        let logs = stage.account.podman(["logs", "pipglr"]).run_text()?;
        Ok(logs.contains("job succeeded").then_some(logs))
    })?;
    for part in [
        "systemd",
        "polling for jobs",
        "job accepted",
        "job succeeded",
        "level=info",
        "DEBUG",
    ] {
        contains(&logs, part)?;
    }
    let inside = |line: &str| stage.account.podman(["exec", "pipglr", "sh", "-c", line]).run_any();
    let environment = inside(
        "pid=$(systemctl show -P MainPID runner.service); \
         setpriv --reuid=runner --regid=runner --clear-groups cat /proc/$pid/environ | tr '\\0' '\\n'",
    )?;
    contains(&String::from_utf8_lossy(&environment.stdout), "SOME_NAME=some-value\n")?;
    let tasks = inside("systemctl show -P TasksMax runner.service podman.service")?;
    ensure!(
        String::from_utf8_lossy(&tasks.stdout)
            .split_whitespace()
            .all(|t| t == "infinity"),
        "task limits: {tasks:?}"
    );
    ensure!(inside("pipglr health")?.status.success(), "healthy");
    // Stopping the socket's unit would stop the runner, too.
    inside("rm /run/podman/podman.sock; systemctl kill --signal=KILL --kill-whom=main podman.service")?;
    let unhealthy = inside("pipglr health")?;
    ensure!(!unhealthy.status.success(), "without the engine there is no health");
    contains(&String::from_utf8_lossy(&unhealthy.stderr), "the engine does not")?;
    inside("systemctl stop podman.service; systemctl restart podman.socket; systemctl start runner.service")?;
    stage.wait_until_healthy()?;
    inside("systemctl stop runner.service")?;
    ensure!(
        !inside("pipglr health")?.status.success(),
        "without the runner there is no health"
    );
    Ok(())
}

/// Not privileged, no added capability, podman's seccomp profile plus one call.
pub(crate) fn not_privileged(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator("a: { image: '@SMALL@', script: ['true'] }\n")?;
    stage.start_runner(&project, |text| text)?;
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}}";
    let text = stage
        .account
        .podman(["container", "inspect", "--format", format, "pipglr"])
        .run_text()?;
    ensure!(text.starts_with("false [] "), "{text}");
    let default = stage
        .account
        .podman([
            "run",
            "--rm",
            "--network=none",
            &stage.image,
            "grep",
            "CapBnd",
            "/proc/self/status",
        ])
        .run_text()?;
    let ours = stage
        .account
        .podman(["exec", "pipglr", "grep", "CapBnd", "/proc/1/status"])
        .run_text()?;
    ensure!(
        default == ours,
        "capabilities of an ordinary container {default}, of ours {ours}"
    );
    let seccomp = stage
        .account
        .podman(["exec", "pipglr", "grep", "Seccomp:", "/proc/1/status"])
        .run_text()?;
    ensure!(seccomp.trim().ends_with('2'), "a seccomp filter is in force: {seccomp}");
    Ok(())
}
