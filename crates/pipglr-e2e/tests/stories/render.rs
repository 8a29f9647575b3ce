//! The runner's container in other words, each of which is run.

use crate::config::{PROGRAM, pipglr, provide_program};
use crate::debian13::copy_image;
use crate::stage::{Project, Stage, all_pass, contains, lacks, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{debian13, packages};
use std::time::Duration;

/// The generator of podman for units of accounts, and where it looks for these.
const GENERATOR: &str = "QUADLET_UNIT_DIRS=$HOME/units /usr/libexec/podman/quadlet -dryrun -user 2>/dev/null";

/// A command for a shell.
pub(crate) fn shell(stage: &mut Stage) -> anyhow::Result<()> {
    let project = configured(stage)?;
    pipglr(
        stage,
        &format!("pipglr render run --no-health-checks --image {} | sh", stage.image),
        0,
    )?;
    works(stage, &project, "pipglr")
}

/// On Debian 13, units through podman's generator, and a pod through `podman kube play`.
pub(crate) fn units_and_pod(stage: &mut Stage) -> anyhow::Result<()> {
    if !packages::is_root() {
        println!("      not run: another host's root directory takes root to enter");
        return Ok(());
    }
    let host = debian13::provide("pipglr-debian13", &mut |text| println!("      {text}"))?;
    let first = std::mem::replace(&mut stage.account, host);
    let result = copy_image(&stage.image, &first, &stage.account)
        .and_then(|()| units(stage))
        .and_then(|()| stage.clear())
        .and_then(|()| pod(stage));
    if result.is_err() {
        stage.show_runner_log();
    }
    let cleared = stage
        .account
        .podman(["pod", "rm", "--all", "--force", "--time=0"])
        .run_any();
    let secret = stage.account.podman(["secret", "rm", "pipglr-config"]).run_any();
    let all = stage.clear();
    let host = std::mem::replace(&mut stage.account, first);
    let closed = host.close(true);
    result.and(all).and(closed)?;
    cleared.and(secret).map(drop)
}

/// The very commands of the services the generator makes; health checks would take systemd's timers, which are not here,
/// and this host's mixed cgroups are nothing podman could split.
fn units(stage: &mut Stage) -> anyhow::Result<()> {
    let project = configured(stage)?;
    let options = "--run-option=--cgroups=enabled --run-option=--health-interval=disable";
    pipglr(
        stage,
        &format!(
            "pipglr render quadlet --directory units --image {} {options}",
            stage.image
        ),
        0,
    )?;
    let services = stage.account.shell(GENERATOR).run_text()?;
    contains(&services, "---pipglr.service---")?;
    contains(&services, "TimeoutStopSec=7260\n")?;
    lacks(&services, "network-online")?;
    let waits = services
        .lines()
        .find_map(|line| line.strip_prefix("ExecStartPre=/bin/sh -c "));
    let script = waits
        .context("no wait for the network")?
        .trim_matches('"')
        .replace("$$", "$");
    stage.account.command("sh").args(["-c", &script]).run_text()?;
    let commands: Vec<&str> = services
        .lines()
        .filter_map(|line| line.strip_prefix("ExecStart="))
        .collect();
    ensure!(commands.len() == 4, "{services}");
    let (containers, volumes): (Vec<&str>, Vec<&str>) = commands.iter().partition(|line| line.contains(" run "));
    for line in volumes.into_iter().chain(containers) {
        let line = line
            .replace("--sdnotify=conmon ", "")
            .replace("%t", "$XDG_RUNTIME_DIR")
            .replace("%N", "pipglr");
        stage.account.shell(&line).run_text()?;
    }
    works(stage, &project, "pipglr")
}

/// The profile as a file, the configuration as a Secret, both from standard output.
fn pod(stage: &mut Stage) -> anyhow::Result<()> {
    let project = configured(stage)?;
    let image = &stage.image;
    pipglr(
        stage,
        &format!("mkdir seccomp && pipglr render seccomp --image {image} >seccomp/pipglr.json"),
        0,
    )?;
    let play = "podman kube play --network=pasta:--map-host-loopback=10.0.2.2 --seccomp-profile-root $PWD/seccomp -";
    let render = format!("pipglr render kube --no-health-checks --config config.toml --image {image}");
    pipglr(stage, &format!("{render} | {play}"), 0)?;
    works(stage, &project, "pipglr-pod-pipglr")
}

/// A registered runner's config.toml, as the account's file and its secret.
fn configured(stage: &Stage) -> anyhow::Result<Project> {
    provide_program(stage)?;
    let project = stage
        .coordinator("a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo in a container'] }\n")?;
    stage
        .account
        .shell("rm -f config.toml; podman volume rm -f pipglr-state")
        .run_text()?;
    stage.register(&project, &[])?;
    contains(&pipglr(stage, "pipglr config apply config.toml", 0)?, "is stored")?;
    Ok(project)
}

/// The runner in this container is healthy and does a job.
fn works(stage: &Stage, project: &Project, container: &str) -> anyhow::Result<()> {
    wait_for("the runner to be healthy", Duration::from_secs(60), || {
        let health = stage
            .account
            .podman(["exec", container, "pipglr", "health"])
            .run_any()?;
        Ok(health.status.success().then_some(()))
    })?;
    all_pass(&stage.run_pipeline(project)?)?;
    stage
        .account
        .shell(&format!("rm -rf {PROGRAM} units seccomp"))
        .run_text()
        .map(drop)
}
