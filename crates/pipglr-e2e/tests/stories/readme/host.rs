//! A host with systemd, logind and sudo, as a container: what the README asks root to do is done there.

use crate::stage::{Stage, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

const IMAGE: &str = "localhost/pipglr-story-host";
const CONTAINER: &str = "pipglr-story-host";
/// Made of the base that images are built from.
const CONTAINERFILE: &str = "FROM docker.io/library/debian:trixie-slim\n\
    RUN apt-get update && apt-get install --yes --no-install-recommends systemd dbus sudo \\\n\
     && useradd --create-home pipglr && echo 'pipglr ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/pipglr \\\n\
     && systemctl mask systemd-udevd.service systemd-networkd.service systemd-resolved.service console-getty.service\n\
    STOPSIGNAL SIGRTMIN+3\nCMD [\"/usr/lib/systemd/systemd\"]\n";

/// Boots the host, runs `script` as an account that may use sudo, and looks at what it did.
pub(super) fn with_sudo(stage: &Stage, script: &str) -> anyhow::Result<()> {
    stage
        .account
        .podman(["build", "--quiet", "--tag", IMAGE, "-"])
        .run_with_input(CONTAINERFILE)?;
    let run = [
        "run",
        "--detach",
        "--tty",
        "--name",
        CONTAINER,
        "--systemd=always",
        "--security-opt=label=disable",
        "--security-opt=unmask=/proc/*",
        IMAGE,
    ];
    stage.account.podman(run).run_text()?;
    let inside = |line: &str| stage.account.podman(["exec", CONTAINER, "sh", "-c", line]).run_text();
    wait_for("the host's logind", Duration::from_secs(60), || {
        Ok(inside("loginctl list-users").is_ok().then_some(()))
    })?;
    stage
        .account
        .podman([
            "exec",
            "--user",
            "pipglr",
            "--env",
            "USER=pipglr",
            CONTAINER,
            "sh",
            "-ec",
            script,
        ])
        .run_text()
        .context("the README's commands for the host")?;
    let linger = inside("ls /var/lib/systemd/linger && loginctl show-user --property=Linger --value pipglr")?;
    ensure!(linger == "pipglr\nyes\n", "{linger}");
    stage
        .account
        .podman(["rm", "--force", "--time", "0", CONTAINER])
        .run_text()?;
    Ok(())
}
