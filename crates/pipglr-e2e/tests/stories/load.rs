//! Many jobs at once, each with services that are looked up all the time.

use crate::stage::{Stage, contains, log, wait_for};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::time::{Duration, Instant};

/// Unless `cargo xtask load` says otherwise.
const JOBS: u64 = 12;
const PARALLEL: u64 = 6;
/// Look-ups of one job, of three names each.
const ROUNDS: u64 = 60;

/// No look-up fails, and nothing is left in the inner engine.
pub(crate) fn services(stage: &mut Stage) -> anyhow::Result<()> {
    let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse::<u64>().ok());
    let jobs = number("PIPGLR_LOAD_JOBS").unwrap_or(JOBS);
    let parallel = number("PIPGLR_LOAD_PARALLEL").unwrap_or(PARALLEL);
    let look_up = format!(
        "i=0; while [ $i -lt {ROUNDS} ]; do i=$((i+1)); for name in one two build; do \
         getent hosts $name > /dev/null || echo \"lost $name\"; done; done; echo \"rounds $i\"; \
         for name in one two; do until bash -c \": > /dev/tcp/$name/8080\" 2> /dev/null; do sleep 0.1; done; done"
    );
    let list: String = (1..=jobs)
        .map(|n| format!("job{n}: {{ script: ['{look_up}'] }}\n"))
        .collect();
    let project = stage.coordinator(&format!(
        "default: {{ image: '@SMALL@' }}\nvariables: {{ GIT_STRATEGY: none, CI_DEBUG_SERVICES: 'true' }}\n{list}"
    ))?;
    let small = stage.small();
    // Each looks for the other for as long as it lives, and opens a port when it has found it: the job waits for that. A
    // name is there as soon as its container was made.
    let service = |alias: &str, other: &str| {
        let script = format!(
            "until getent hosts {other} > /dev/null; do sleep 0.1; done; echo {alias} sees {other}; \
             perl -MIO::Socket::INET -e \"IO::Socket::INET->new(Listen => 5, LocalPort => 8080) and sleep\" & \
             while sleep 0.1; do getent hosts {other} > /dev/null || echo lost {other}; done"
        );
        format!(
            "\n[[runners.docker.services]]\nname = {small:?}\nalias = {alias:?}\ncommand = [\"sh\", \"-c\", {script:?}]\n"
        )
    };
    let services = [service("one", "two"), service("two", "one")].concat();
    stage.start_runner(&project, |text| {
        text.replace("concurrent = 4\n", &format!("concurrent = {parallel}\n")) + services.as_str()
    })?;
    let before = objects(stage)?;
    let began = Instant::now();
    let id = stage.begin_pipeline(&project)?;
    let pipeline = stage.wait_pipeline_for(&project, id, Duration::from_secs(180 + 20 * jobs))?;
    for record in &pipeline.jobs {
        let text = log(record)?;
        ensure!(record.state == JobState::Success, "{}:\n{text}", record.name);
        contains(&text, &format!("rounds {ROUNDS}\n"))?;
        contains(&text, "two sees one\n")?;
        let lost = |line: &str| line.starts_with("lost ") || line.contains("Z lost ");
        ensure!(!text.lines().any(lost), "{}:\n{text}", record.name);
    }
    println!(
        "      {jobs} jobs, {parallel} at once, {} look-ups, none failed: {:.0} s",
        jobs * ROUNDS * 3,
        began.elapsed().as_secs_f64()
    );
    wait_for("everything to be removed", Duration::from_secs(60), || {
        Ok((objects(stage)? == before).then_some(()))
    })
}

/// What the inner engine has besides what is kept for later jobs, and what its resolver knows.
fn objects(stage: &Stage) -> anyhow::Result<String> {
    let line = "set -e; podman --remote ps -aq; podman --remote network ls -q; podman --remote secret ls -q; \
                  podman --remote volume ls -q --filter label=pipglr.temporary; \
                  for file in $(find /run/user/1000 -path '*/aardvark-dns/*' -type f -size +0 ! -name '*.pid'); do echo $file; done; \
                  find /run/user/1000/netns /run/netns -type f 2> /dev/null | wc -l";
    stage.inside(line).run_text()
}
