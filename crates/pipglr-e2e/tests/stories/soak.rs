//! Many short jobs in a row: nothing of them may stay, in the engine, in the kernel, or in our own processes.

use crate::stage::{Stage, all_pass, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Unless `cargo xtask soak` says otherwise.
const JOBS: u64 = 20;
/// Jobs of one pipeline.
const BATCH: u64 = 50;

/// What is counted, and how much more there may be at the end: what is kept for later jobs is kept once for each slot, and
/// memory breathes.
const LIMITS: [(&str, u64); 11] = [
    ("containers", 0),
    ("volumes", 0),
    ("networks", 0),
    ("secrets", 0),
    ("layers", 0),
    ("locks", 0),
    ("keys", 4),
    ("journals", 0),
    ("runner fds", 4),
    ("runner threads", 4),
    ("runner RSS kB", 8192),
];

/// Flat from the first batch, which warms everything up, to the last.
pub(crate) fn short_jobs(stage: &mut Stage) -> anyhow::Result<()> {
    let jobs = std::env::var("PIPGLR_SOAK_JOBS")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let jobs = jobs.unwrap_or(JOBS);
    let batch = BATCH.min(jobs);
    let list: String = (1..=batch)
        .map(|n| format!("job{n}: {{ script: ['echo {n}'] }}\n"))
        .collect();
    let project = stage.coordinator(&format!(
        "default: {{ image: '@SMALL@' }}\nvariables: {{ GIT_STRATEGY: none }}\n{list}"
    ))?;
    stage.start_runner(&project, |text| text)?;
    let began = Instant::now();
    let mut start = BTreeMap::new();
    let mut done = 0;
    while done < jobs + batch {
        let id = stage.begin_pipeline(&project)?;
        let limit = Duration::from_secs(120 + 10 * batch);
        all_pass(&stage.wait_pipeline_for(&project, id, limit)?)?;
        done += batch;
        if start.is_empty() {
            start = settled(stage)?;
            println!("      after {done} jobs to warm up: {}", told(&start));
        }
    }
    let end = settled(stage)?;
    let seconds = began.elapsed().as_secs();
    println!("      after {} jobs more, {seconds} s: {}", done - batch, told(&end));
    for (what, more) in LIMITS {
        let (first, last) = (start[what], end[what]);
        ensure!(
            last <= first + more,
            "{what} grew from {first} to {last}, {more} more are allowed"
        );
    }
    Ok(())
}

/// The counts when the last job's objects are gone.
fn settled(stage: &Stage) -> anyhow::Result<BTreeMap<String, u64>> {
    wait_for("the last job's objects to go", Duration::from_secs(60), || {
        let counts = counts(stage)?;
        Ok((counts["containers"] == 0 && counts["journals"] == 0).then_some(counts))
    })
}

/// One line for each count: its name, a tab, a number.
fn counts(stage: &Stage) -> anyhow::Result<BTreeMap<String, u64>> {
    let line = r#"
        store=/home/podman/.local/share/containers/storage
        pid=$(systemctl show --property=MainPID --value runner.service)
        say() { printf '%s\t%s\n' "$1" "$2"; }
        say containers "$(podman --remote ps -aq | wc -l)"
        say volumes "$(podman --remote volume ls -q | wc -l)"
        say networks "$(podman --remote network ls -q | wc -l)"
        say secrets "$(podman --remote secret ls -q | wc -l)"
        say layers "$(ls -d $store/overlay/*/diff | wc -l)"
        free=$(podman --remote info --format '{{.Host.FreeLocks}}')
        say locks "$((16384 - free))"
        say keys "$(awk '{ split($4, n, "/"); sum += n[1] } END { print sum + 0 }' /proc/key-users)"
        say journals "$(ls /var/lib/pipglr/jobs | wc -l)"
        say 'runner fds' "$(ls /proc/$pid/fd | wc -l)"
        say 'runner threads' "$(ls /proc/$pid/task | wc -l)"
        say 'runner RSS kB' "$(awk '/^VmRSS/ { print $2 }' /proc/$pid/status)""#;
    let text = stage.inside(line).run_text()?;
    let counts: BTreeMap<String, u64> = text
        .lines()
        .filter_map(|line| {
            let (name, number) = line.split_once('\t')?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        })
        .collect();
    for (what, _) in LIMITS {
        counts
            .get(what)
            .with_context(|| format!("{what} cannot be counted:\n{text}"))?;
    }
    Ok(counts)
}

fn told(counts: &BTreeMap<String, u64>) -> String {
    let each = LIMITS.iter().map(|(what, _)| format!("{what} {}", counts[*what]));
    each.collect::<Vec<_>>().join(", ")
}
