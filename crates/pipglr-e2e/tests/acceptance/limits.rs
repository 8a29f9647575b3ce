//! Limits of config.toml hold, since systemd delegates the controllers: a job meets them, and nobody else does.

use crate::Host;
use crate::project::{contains, failed_for, job};
use anyhow::ensure;

/// Processes of a container.
const PROCESSES: u32 = 200;
/// Memory of a container.
const MEMORY: u64 = 128 << 20;

pub(crate) fn processes(host: &mut Host) -> anyhow::Result<()> {
    host.user(
        &format!("pipglr config set 'runners[0].podman.pids_limit' {PROCESSES}"),
        300,
    )?;
    let text = fails(host, "processes", "bomb")?;
    contains(&text, &format!("at most {PROCESSES} processes\n"))?;
    contains(&text, "Cannot fork\n")?;
    contains(&text, &format!("it may have {PROCESSES} (`pids_limit`"))
}

pub(crate) fn memory(host: &mut Host) -> anyhow::Result<()> {
    host.user("pipglr config set 'runners[0].docker.memory' 128m", 300)?;
    let text = fails(host, "memory", "memory")?;
    contains(&text, &format!("at most {MEMORY} bytes\n"))?;
    ensure!(!text.contains("never said\n"), "{text}");
    contains(&text, "out of memory")?;
    host.user("pipglr status", 120).map(drop)
}

/// The log of a job that has to fail by its own script, while the runner stays well.
fn fails(host: &Host, part: &str, name: &str) -> anyhow::Result<String> {
    let id = host.begin(part)?;
    let pipeline = host.wait(id, 600)?;
    let text = failed_for(job(&pipeline, name)?, "script_failure")?;
    host.user("podman exec pipglr pipglr health", 120)?;
    Ok(text)
}
