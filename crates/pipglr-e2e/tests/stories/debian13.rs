//! The runlabels on another host: Debian 13 with podman 5.4, for an account without root.

use crate::labels::{WAYS, Way, call};
use crate::stage::{Stage, contains, job, log, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, debian13, packages};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Both ways of calling, from secret to a real job and back to the configuration; nothing stays.
pub(crate) fn labels(stage: &mut Stage) -> anyhow::Result<()> {
    if !packages::is_root() {
        println!("      not run: another host's root directory takes root to enter");
        return Ok(());
    }
    let host = debian13::provide("pipglr-debian13", &mut |text| println!("      {text}"))?;
    let first = std::mem::replace(&mut stage.account, host);
    let result = copy_image(&stage.image, &first, &stage.account).and_then(|()| {
        contains(&stage.account.podman(["--version"]).run_text()?, "podman version 5.4.")?;
        WAYS.into_iter()
            .try_for_each(|way| whole_life(stage, way).with_context(|| format!("{way:?}")))
    });
    if result.is_err() {
        stage.show_runner_log();
    }
    let cleared = stage.clear().and_then(|()| nothing_left(&stage.account));
    let host = std::mem::replace(&mut stage.account, first);
    let (uid, home) = (host.uid().to_string(), host.home());
    let closed = host.close(true);
    result.and(cleared).and(closed)?;
    ensure!(!home.exists(), "{} is still there", home.display());
    // Killed processes take a moment to go.
    wait_for("the host's processes to end", Duration::from_secs(10), || {
        let processes = Command::new("pgrep").args(["--uid", &uid]).run_any()?;
        Ok(processes.stdout.is_empty().then_some(()))
    })
}

/// The very same image, without a registry, if it is not there yet.
pub(crate) fn copy_image(image: &str, from: &Account, to: &Account) -> anyhow::Result<()> {
    let id = |account: &Account| {
        account
            .podman(["image", "inspect", "--format", "{{.Id}}", image])
            .run_any()
            .map(|said| said.stdout)
    };
    let original = id(from)?;
    if id(to)? == original {
        return Ok(());
    }
    let mut save = from
        .podman(["save", "--quiet", "--format", "oci-archive", image])
        .stdout(Stdio::piped())
        .spawn()?;
    let archive = save.stdout.take().context("stdout was asked for")?;
    let load = to.podman(["load", "--quiet"]).stdin(archive).run_any()?;
    ensure!(
        save.wait()?.success() && load.status.success(),
        "podman load: {}",
        String::from_utf8_lossy(&load.stderr)
    );
    ensure!(id(to)? == original, "the image has become another one");
    Ok(())
}

/// A runner's life by the labels alone, called in one way.
fn whole_life(stage: &mut Stage, way: Way) -> anyhow::Result<()> {
    stage.clear()?;
    let stage = &*stage;
    let project = stage.coordinator(
        "real: { image: '@SMALL@', script: ['. /etc/os-release', 'echo on $VERSION_CODENAME as $(id -un)', 'test -f .gitlab-ci.yml'] }\n",
    )?;
    let succeed = |label: &str, environment: &[(&str, &str)]| -> anyhow::Result<Vec<u8>> {
        let output = call(stage, way, label, environment)?;
        ensure!(output.status.success(), "{label}: {output:?}");
        Ok(output.stdout)
    };
    stage
        .account
        .podman(["secret", "create", "REGISTRATION_TOKEN", "-"])
        .run_with_input(&project.token())?;
    stage.account.write("config.toml", "")?;
    succeed(
        "register",
        &[
            ("CI_SERVER_URL", &project.url),
            ("RUNNER_NAME", "thirteen"),
            ("DOCKER_IMAGE", &stage.small()),
        ],
    )?;
    let registered = std::fs::read_to_string(stage.account.home().join("config.toml"))?;
    contains(&registered, "name = \"thirteen\"")?;
    contains(&registered, &format!("token = \"{}\"", project.token()))?;
    // The registry on loopback speaks no TLS.
    let registry = stage.registry.address_inside();
    let config = format!("{registered}\n[runners.podman]\ninsecure_registries = [\"{registry}\"]\n");
    stage.account.write("config.toml", &config)?;
    for label in ["setupconfig", "setupstorage", "setupcache", "run"] {
        succeed(label, &[])?;
    }
    stage.wait_until_healthy()?;
    not_privileged(stage)?;
    let pipeline = stage.run_pipeline(&project)?;
    let real = job(&pipeline, "real")?;
    let text = log(real)?;
    ensure!(real.state == JobState::Success, "{:?}\n{text}", real.state);
    contains(&text, &format!("Pulling docker image {} ...", stage.small()))?;
    contains(&text, "on trixie as root\n")?;
    ensure!(
        succeed("dumpconfig", &[])? == config.as_bytes(),
        "dumpconfig is not what was stored"
    );
    stage.account.podman(["stop", "pipglr"]).run_text()?;
    let ended = stage
        .account
        .podman(["container", "inspect", "--format", "{{.State.Status}}", "pipglr"])
        .run_text()?;
    ensure!(ended == "exited\n", "after podman stop: {ended}");
    Ok(())
}

/// No privilege and no capability that an ordinary container has not.
fn not_privileged(stage: &Stage) -> anyhow::Result<()> {
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}}";
    let asked = stage
        .account
        .podman(["container", "inspect", "--format", format, "pipglr"])
        .run_text()?;
    ensure!(asked == "false []\n", "{asked}");
    let status = ["grep", "CapBnd", "/proc/1/status"];
    let ordinary = stage
        .account
        .podman(["run", "--rm", "--network=none", &stage.image])
        .args(status)
        .run_text()?;
    let ours = stage.account.podman(["exec", "pipglr"]).args(status).run_text()?;
    ensure!(
        ordinary == ours,
        "capabilities of an ordinary container {ordinary}, of ours {ours}"
    );
    Ok(())
}

fn nothing_left(account: &Account) -> anyhow::Result<()> {
    for arguments in [
        &["ps", "--all", "--quiet"][..],
        &["volume", "ls", "--quiet"],
        &["secret", "ls", "--quiet", "--noheading"],
    ] {
        let text = account.podman(arguments).run_text()?;
        ensure!(text.trim().is_empty(), "podman {arguments:?}: {text}");
    }
    Ok(())
}
