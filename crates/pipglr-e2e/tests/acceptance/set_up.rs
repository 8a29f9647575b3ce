//! From a bare Debian to a finished job, as the README tells it.

use crate::project::{all_pass, contains, job, lacks, log};
use crate::{ACCOUNT, Host, readme};
use anyhow::ensure;
use std::time::Duration;

/// Controllers without which limits of jobs would be words.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

pub(crate) fn boot(host: &mut Host) -> anyhow::Result<()> {
    host.machine.wait_until_up("root", Duration::from_secs(300))?;
    let facts = host.root(
        "systemctl is-system-running --wait\n. /etc/os-release; echo $ID $VERSION_ID\nuname -r\n\
         stat -fc %T /sys/fs/cgroup\ncat /proc/1/comm",
        180,
    )?;
    contains(&facts, "running\ndebian 13\n")?;
    contains(&facts, "+deb13")?;
    contains(&facts, "cgroup2fs\nsystemd\n")
}

/// As root: what an administrator does once for a machine.
pub(crate) fn podman(host: &mut Host) -> anyhow::Result<()> {
    host.root("apt-get update -q", 300)?;
    host.root(
        &format!("export DEBIAN_FRONTEND=noninteractive\n{}", readme::script("debian")?),
        900,
    )?;
    contains(&host.root("podman --version", 60)?, "podman version 5.")
}

/// The commands for root of a host are given by the account itself, with sudo that it has for these only.
pub(crate) fn account(host: &mut Host) -> anyhow::Result<()> {
    host.root(
        &format!(
            "useradd --create-home --shell /bin/bash {ACCOUNT}\n\
             install -d -m 700 -o {ACCOUNT} -g {ACCOUNT} /home/{ACCOUNT}/.ssh\n\
             install -m 600 -o {ACCOUNT} -g {ACCOUNT} /root/.ssh/authorized_keys /home/{ACCOUNT}/.ssh/\n\
             echo '{ACCOUNT} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/{ACCOUNT}"
        ),
        60,
    )?;
    host.user(&format!("export USER={ACCOUNT}\n{}", readme::script("host")?), 120)?;
    host.root(&format!("rm /etc/sudoers.d/{ACCOUNT}"), 60)?;
    let may = host.machine.attempt(ACCOUNT, "sudo -n true", Duration::from_secs(60))?;
    ensure!(may.code != Some(0), "the account is to be one without root");
    let facts = host.user(
        "loginctl show-user --property=Linger --value $USER\necho $XDG_RUNTIME_DIR\n\
         systemctl --user is-system-running --wait\n\
         grep $USER /etc/subuid /etc/subgid\n\
         echo controllers: $(cat /sys/fs/cgroup/user.slice/user-$UID.slice/user@$UID.service/cgroup.controllers)",
        60,
    )?;
    contains(&facts, "yes\n/run/user/")?;
    for file in ["subuid", "subgid"] {
        contains(&facts, &format!("/etc/{file}:{ACCOUNT}:200000:65539\n"))?;
    }
    let delegated = facts.split("controllers: ").nth(1).unwrap_or_default();
    for controller in CONTROLLERS {
        ensure!(
            delegated.split_whitespace().any(|word| word == controller),
            "{controller} is not delegated to the account: {delegated}"
        );
    }
    Ok(())
}

pub(crate) fn image(host: &mut Host) -> anyhow::Result<()> {
    host.user("mkdir -p ~/.local/bin", 60)?;
    let limit = Duration::from_secs(300);
    host.machine.send(ACCOUNT, &host.program, ".local/bin/pipglr", limit)?;
    host.machine.send(ACCOUNT, &host.archive, "pipglr.tar", limit)?;
    let loaded = host.user(
        "chmod +x .local/bin/pipglr\n. ~/.profile\npipglr --version\npodman load --quiet --input pipglr.tar\nrm pipglr.tar",
        900,
    )?;
    contains(&loaded, "registry.gitlab.com/qontainers/pipglr:latest")
}

/// One command, and the word that the registry on the other side speaks no TLS.
pub(crate) fn up(host: &mut Host) -> anyhow::Result<()> {
    let token = host.project.token();
    host.machine
        .type_secret(ACCOUNT, "token", &token, Duration::from_secs(60))?;
    let up = format!(
        "pipglr up --url {} --token-file ./token --name acceptance",
        host.project.url
    );
    contains(
        &host.user(&format!("{up} --concurrent 2"), 600)?,
        "pipglr is up and healthy\n",
    )?;
    let again = host.user(&format!("{up} --concurrent 2"), 300)?;
    contains(&again, "nothing to do: pipglr is healthy and as wished\n")?;
    let registry = host.registry.address_inside();
    host.user(
        &format!("rm token\npipglr config set 'runners[0].podman.insecure_registries' '[\"{registry}\"]'"),
        300,
    )?;
    let status = host.user("pipglr status", 120)?;
    contains(&status, "health     runner and engine answer\n")?;
    lacks(&status, &token)
}

pub(crate) fn first_job(host: &mut Host) -> anyhow::Result<()> {
    let id = host.begin("first")?;
    let pipeline = host.wait(id, 600)?;
    all_pass(&pipeline)?;
    let text = log(job(&pipeline, "first")?)?;
    contains(&text, "on trixie as root\n")?;
    contains(&text, "type of cgroups cgroup2fs\n")
}
