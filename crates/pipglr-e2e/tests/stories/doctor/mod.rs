//! `pipglr doctor` on a throw-away host whose conditions are broken one after another: its verdict is what really happens,
//! and its remedy cures it. The conditions are data: `account.toml`, `engine.toml`, `surroundings.toml`.

mod condition;
mod host;
mod unit;

use crate::stage::{Stage, contains, lacks};
use anyhow::{Context as _, ensure};
use condition::{Condition, doctor, findings};
use host::Host;
use pipglr_e2e::host::packages;

/// Subordinate IDs, the programs that map them, home and session.
pub(crate) fn account(_: &mut Stage) -> anyhow::Result<()> {
    story(include_str!("account.toml"))
}

/// podman, what it is made of, the kernel's limits.
pub(crate) fn engine(_: &mut Stage) -> anyhow::Result<()> {
    story(include_str!("engine.toml"))
}

/// Devices, storage, space, the way to servers, versions.
pub(crate) fn surroundings(_: &mut Stage) -> anyhow::Result<()> {
    story(include_str!("surroundings.toml"))
}

/// The runner as a unit of the account's systemd, which the stage's host has not.
pub(crate) fn unit(_: &mut Stage) -> anyhow::Result<()> {
    on_a_host(unit::story)
}

fn story(conditions: &str) -> anyhow::Result<()> {
    let conditions = condition::all(conditions)?;
    on_a_host(|host| from_nothing(host).and_then(|()| all(host, &conditions)))
}

fn on_a_host(play: impl FnOnce(&Host) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if !packages::is_root() {
        println!("      not run: the account of a throw-away host takes root to make");
        return Ok(());
    }
    let host = Host::boot(&mut |text| println!("      {text}"))?;
    let result = play(&host);
    let ended = host.end();
    result.and(ended)
}

/// An account as useradd makes it has all it needs after `--fix`; the same command again changes nothing.
fn from_nothing(host: &Host) -> anyhow::Result<()> {
    let before = findings(host, "as-ci", "")?;
    for check in ["subuid", "subgid", "runtime-directory"] {
        ensure!(before.verdict(check) == Some("failure"), "{check}: {before:?}");
    }
    let printed = host.root(&format!("as-ci {}", doctor("--fix")))?;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    contains(&printed, "sudo sh -ec '")?;
    by_up(host)?;
    host.succeed(&doctor("--fix --user ci"))?;
    let again = host.succeed(&doctor("--fix --user ci"))?;
    contains(&again, "plan:\n  nothing\n")?;
    lacks(&again, "done ")?;
    host.provide_proof()
}

/// `pipglr up` makes such an account fit by itself; here it goes no further, as the registry has no image.
fn by_up(host: &Host) -> anyhow::Result<()> {
    let up = "echo glrt-story | pipglr up --url http://gitlab.story/ --token-stdin --image registry.story/q/pipglr";
    let said = |line: &str| -> anyhow::Result<String> {
        let output = host.root(&format!("{line} 2>&1"))?;
        ensure!(output.status.code() == Some(1), "{line}: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let by_account = said(&up.replace("pipglr up", "as-ci pipglr up"))?;
    contains(&by_account, "error: a runner would not work on this host\n")?;
    contains(&by_account, "sudo sh -ec '")?;
    contains(&said(&format!("{up} --user ci --no-fix"))?, "without --no-fix")?;
    let dry = host.succeed(&format!("{up} --user ci --dry-run"))?;
    contains(&dry, "would run as root: ")?;
    ensure!(
        findings(host, "as-ci", "")?.verdict("subuid") == Some("failure"),
        "--dry-run changes nothing"
    );
    let by_root = said(&format!("{up} --user ci"))?;
    contains(&by_root, "done    ")?;
    contains(&by_root, "error: cannot pull the image registry.story/q/pipglr")?;
    let after = findings(host, "", "--user ci")?;
    for check in ["subuid", "subgid", "runtime-directory", "linger"] {
        ensure!(after.verdict(check) == Some("ok"), "{check}: {after:?}");
    }
    Ok(())
}

/// Each is broken, found, cured; all that fail are told.
fn all(host: &Host, conditions: &[Condition]) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for condition in conditions {
        if let Err(error) = condition.play(host).with_context(|| condition.name.clone()) {
            failed.push(format!("{error:#}"));
        }
    }
    println!("      {} conditions", conditions.len());
    ensure!(failed.is_empty(), "{} conditions:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}
