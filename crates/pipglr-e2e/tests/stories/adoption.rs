//! The runner and podman's service are killed while jobs run; the next ones finish the jobs, byte for byte.

use crate::stage::{Project, Stage, contains, job, log, wait_for};
use anyhow::{Context as _, bail, ensure};
use pipglr_coordinator::{JobRecord, JobState, PipelineId};
use pipglr_e2e::command::CommandExt as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lines a job prints on each of its streams, ten a second.
const LINES: u32 = 60;
/// Unless `cargo xtask faults` says otherwise.
const SEED: u64 = 1;
const ROUNDS: u32 = 6;
/// Jobs of one pipeline of the seeded kills.
const JOBS: u32 = 8;

const RUNNER: &str = "runner.service";
const PODMAN: &str = "podman.service";

/// What a job prints, and nothing else that begins with these words.
const SCRIPT: &str =
    "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; echo error $i >&2; sleep 0.1; done; echo made > made";

/// Kills at three known points: sources, script, script with podman.
pub(crate) fn known_points(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(&format!(
        "default: {{ image: '@SMALL@', artifacts: {{ paths: [made] }} }}\nstages: [a, b, c]\n\
         sources: {{ stage: a, script: ['{SCRIPT}'] }}\n\
         script: {{ stage: b, script: ['{SCRIPT}'], after_script: ['echo after $CI_JOB_STATUS'] }}\n\
         engine: {{ stage: c, script: ['{SCRIPT}'], after_script: ['echo after $CI_JOB_STATUS'] }}\n"
    ))?;
    let slow_sources = "pre_get_sources_script = \"for i in 1 2 3 4 5 6; do echo source $i; sleep 1; done\"\n";
    stage.start_runner(&project, |text| {
        text.replace("[[runners]]\n", &format!("[[runners]]\n  {slow_sources}"))
    })?;
    let id = stage.begin_pipeline(&project)?;
    kill_when(stage, &project, id, "sources", "source 2\n", RUNNER)?;
    kill_when(stage, &project, id, "script", "line 10\n", RUNNER)?;
    kill_when(stage, &project, id, "engine", "line 10\n", PODMAN)?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    for name in ["sources", "script", "engine"] {
        let record = job(&pipeline, name)?;
        ensure!(record.state == JobState::Success, "{name}:\n{}", log(record)?);
        check_log(record)?;
        ensure!(
            numbers(&log(record)?, "source ") == (1..=6).collect::<Vec<u32>>(),
            "{name}: sources"
        );
    }
    for name in ["script", "engine"] {
        contains(&log(job(&pipeline, name)?)?, "after success\n")?;
    }
    nothing_is_left(stage)
}

/// Kills at moments drawn from a seed, until there were enough of them.
pub(crate) fn seeded(stage: &mut Stage) -> anyhow::Result<()> {
    let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("PIPGLR_FAULTS_SEED").unwrap_or(SEED);
    let rounds = number("PIPGLR_FAULTS_ROUNDS").map_or(ROUNDS, |n| u32::try_from(n).unwrap_or(u32::MAX));
    println!("      seed {seed}, {rounds} kills");
    let jobs: String = (1..=JOBS)
        .map(|n| format!("job{n}: {{ script: ['echo script ends'] }}\n"))
        .collect();
    // Every phase takes long enough to be hit.
    let project = stage.coordinator(&format!(
        "default:\n  image: '@SMALL@'\n  before_script: ['{SCRIPT}']\n  \
         after_script: ['echo after $CI_JOB_STATUS', 'sleep 2', 'head -c 15000000 /dev/urandom > kept']\n  \
         cache: {{ key: $CI_JOB_NAME, paths: [kept] }}\n  artifacts: {{ paths: [made, kept] }}\n{jobs}"
    ))?;
    stage.start_runner(&project, |text| {
        text.replace("[[runners]]\n", "[[runners]]\n  pre_get_sources_script = \"sleep 2\"\n")
    })?;
    let mut hit = BTreeMap::new();
    let mut dice = Dice(seed);
    let (mut kills, mut ended, mut failed) = (0, 0, Vec::new());
    while kills < rounds {
        let id = stage.begin_pipeline(&project)?;
        while kills < rounds && is_running(&project, id)? {
            std::thread::sleep(Duration::from_millis(200 + dice.below(5000)));
            let unit = if dice.below(3) == 0 { PODMAN } else { RUNNER };
            for phase in phases(&project, id)? {
                *hit.entry(phase).or_insert(0) += 1;
            }
            kill(stage, unit)?;
            kills += 1;
        }
        let pipeline = stage.wait_pipeline(&project, id)?;
        for record in &pipeline.jobs {
            ended += 1;
            match record.state {
                JobState::Success => check_log(record)?,
                _ => failed.push(check_failure(record)?),
            }
        }
        nothing_is_left(stage)?;
    }
    let hit: Vec<String> = hit.iter().map(|(phase, times)| format!("{phase} {times}")).collect();
    println!("      phases of jobs that ran at a kill: {}", hit.join(", "));
    println!(
        "      {kills} kills, {ended} jobs ended, {} of them failed for the runner's sake",
        failed.len()
    );
    failed.iter().for_each(|reason| println!("      {reason}"));
    ensure!(failed.is_empty(), "{} jobs failed", failed.len());
    Ok(())
}

/// Kills the main process of a unit as soon as a job's log has `text`.
fn kill_when(
    stage: &Stage,
    project: &Project,
    id: PipelineId,
    name: &str,
    text: &str,
    unit: &str,
) -> anyhow::Result<()> {
    wait_for(&format!("{text:?} of {name}"), Duration::from_secs(90), || {
        let pipeline = project.coordinator.pipeline(id).context("no pipeline")?;
        let record = job(&pipeline, name)?;
        Ok((record.trace_size > 0 && log(record)?.contains(text)).then_some(()))
    })?;
    kill(stage, unit)
}

/// Kills the main process of a unit and waits until systemd has started another one.
fn kill(stage: &Stage, unit: &str) -> anyhow::Result<()> {
    let pid = || main_pid(stage, unit);
    let before = wait_for(&format!("{unit} to run"), Duration::from_secs(30), pid)?;
    stage.inside(&format!("kill -9 {before}")).run_text()?;
    wait_for(&format!("{unit} to run again"), Duration::from_secs(30), || {
        Ok(pid()?.filter(|now| *now != before))
    })?;
    Ok(())
}

fn main_pid(stage: &Stage, unit: &str) -> anyhow::Result<Option<u32>> {
    let text = stage
        .account
        .podman(["exec", "pipglr", "systemctl", "show", "-P", "MainPID", unit])
        .run_text()?;
    Ok(text.trim().parse().ok().filter(|pid| *pid != 0))
}

/// In which phase each job that has begun is, by the last section of its log.
fn phases(project: &Project, id: PipelineId) -> anyhow::Result<Vec<String>> {
    let pipeline = project.coordinator.pipeline(id).context("no pipeline")?;
    let running = pipeline.jobs.iter().filter(|job| job.state == JobState::Running);
    let phase = |job: &JobRecord| -> anyhow::Result<String> {
        let raw = std::fs::read(&job.trace_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&raw);
        let mut sections = text.rsplit("section_start:");
        let last = sections
            .next()
            .filter(|_| sections.next().is_some())
            .unwrap_or_default();
        let name = last.split(':').nth(1).and_then(|rest| rest.split(['\r', '[']).next());
        Ok(name.unwrap_or("nothing written yet").to_owned())
    };
    running.map(phase).collect()
}

fn is_running(project: &Project, id: PipelineId) -> anyhow::Result<bool> {
    let pipeline = project.coordinator.pipeline(id).context("no pipeline")?;
    Ok(pipeline.finished_at.is_none())
}

/// The numbers behind `word` in lines that begin with it.
fn numbers(text: &str, word: &str) -> Vec<u32> {
    let rest = text.lines().filter_map(|line| line.strip_prefix(word));
    rest.filter_map(|number| number.trim().parse().ok()).collect()
}

/// Every line is there once and in order, and the artifact was uploaded once.
fn check_log(record: &JobRecord) -> anyhow::Result<()> {
    let text = log(record)?;
    let all: Vec<u32> = (1..=LINES).collect();
    for word in ["line ", "error "] {
        let found = numbers(&text, word);
        ensure!(
            found == all,
            "{} of job {}: {word}{found:?}\n{text}",
            record.name,
            record.id
        );
    }
    ensure!(
        text.matches("201 Created").count() == 1 && record.artifacts.len() == 1,
        "{} of job {}: artifacts {:?}\n{text}",
        record.name,
        record.id,
        record.artifacts.len()
    );
    Ok(())
}

/// A job that failed did so for the runner's sake, said why, and printed nothing twice.
fn check_failure(record: &JobRecord) -> anyhow::Result<String> {
    let text = log(record)?;
    let reason = record
        .failure_reason
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let last = text
        .lines()
        .rev()
        .find(|line| line.contains("Job failed (system failure): "));
    let Some(last) = last.filter(|_| reason == "runner_system_failure") else {
        bail!(
            "{} of job {}: {:?}, {reason}\n{text}",
            record.name,
            record.id,
            record.state
        );
    };
    for word in ["line ", "error "] {
        let found = numbers(&text, word);
        let count = u32::try_from(found.len())?;
        ensure!(found == (1..=count).collect::<Vec<u32>>(), "{word}{found:?}\n{text}");
    }
    let tail: Vec<&str> = text.lines().rev().take(8).collect();
    let tail: String = tail.iter().rev().map(|line| format!("\n        {line}")).collect();
    Ok(format!("{}: {last}{tail}", record.name))
}

/// No container, temporary volume or journal.
fn nothing_is_left(stage: &Stage) -> anyhow::Result<()> {
    let line =
        "podman --remote ps -aq; podman --remote volume ls -q --filter label=pipglr.temporary; ls /var/lib/pipglr/jobs";
    let began = Instant::now();
    loop {
        let output = stage.inside(line).run_any()?;
        let left = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && left.trim().is_empty() {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_secs(60),
            "left behind: {left}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
