//! The runner as a service, and a reboot while a job runs.

use crate::project::{all_pass, contains, failed_for, job, lacks, log, wait_for};
use crate::{ACCOUNT, Host};
use anyhow::ensure;
use std::time::Duration;

pub(crate) fn service(host: &mut Host) -> anyhow::Result<()> {
    host.user("pipglr service install", 900)?;
    contains(&host.user("systemctl --user is-active pipglr.service", 60)?, "active\n")?;
    contains(&host.user("pipglr service install", 300)?, "nothing to do")?;
    host.user("podman exec pipglr pipglr health --wait 120", 200).map(drop)
}

/// An orderly reboot by root. The job cannot outlive it: it ends with a word and a reason that say so.
pub(crate) fn in_mid_job(host: &mut Host) -> anyhow::Result<()> {
    let id = host.begin_and_see("reboot")?;
    let boot = host.root("cat /proc/sys/kernel/random/boot_id", 60)?;
    // It answers before it goes down.
    host.root("systemd-run --quiet --on-active=1 systemctl reboot", 60)?;
    wait_for("the machine to be a new one", Duration::from_secs(600), || {
        host.machine.wait_until_up("root", Duration::from_secs(600))?;
        let now = host.root("cat /proc/sys/kernel/random/boot_id", 60);
        Ok(now.ok().filter(|now| *now != boot))
    })?;
    let pipeline = host.wait(id, 600)?;
    failed_for(job(&pipeline, "long")?, "runner_system_failure").map(drop)
}

/// Nobody has logged in to the account since the reboot.
pub(crate) fn back_again(host: &mut Host) -> anyhow::Result<()> {
    let id = host.begin("after")?;
    let pipeline = host.wait(id, 600)?;
    all_pass(&pipeline)?;
    lacks(&log(job(&pipeline, "after")?)?, "IS NOT ENFORCED")?;
    // The account's systemd is a session of its own, of another class.
    let sessions = host.root("loginctl --no-legend list-sessions", 60)?;
    let logged_in = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&ACCOUNT) && words.contains(&"user")
    };
    let found: Vec<&str> = sessions.lines().filter(logged_in).collect();
    ensure!(found.is_empty(), "{found:?}");
    let status = host.user("pipglr status\nsystemctl --user --no-legend --failed", 120)?;
    contains(&status, "health     runner and engine answer\n")
}
