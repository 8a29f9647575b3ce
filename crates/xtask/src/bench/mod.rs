//! `cargo xtask bench`: figures, never assertions.

mod local;

use crate::image;
use crate::quickstart::{self, Coordinator, IMAGE};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT, packages};
use pipglr_e2e::job_images::SMALL;
use pipglr_e2e::registry::Registry;
use pipglr_e2e::{cache, sample};

/// Repetitions of each measurement.
const ROUNDS: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let mut say = |text: &str| println!("         {text}");
    packages::install(&packages::STAGE, &mut say)?;
    packages::install(&packages::PEER, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    let account = Account::provide(STAGE_ACCOUNT, &mut say)?;
    let outcome = measure(&account, &mut say);
    quickstart::clean(&account)?;
    account.close(false)?;
    outcome
}

fn measure(account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    quickstart::clean(account)?;
    let builder = image::Builder::prepare(account, say)?;
    builder.build(IMAGE, &[])?;
    let registry = Registry::start(&cache().join("registry"))?;
    SMALL.provide(&registry, account, say)?;
    let directory = cache().join("bench");
    std::fs::create_dir_all(&directory)?;
    let jobs: String = (0..ROUNDS + 5)
        .map(|n| format!("job{n}: {{ script: ['true'] }}\n"))
        .collect();
    let configuration = format!(
        "default: {{ image: '{}' }}\nvariables: {{ GIT_STRATEGY: none }}\n{jobs}",
        SMALL.reference(&registry)
    );
    let project = directory.join("project");
    if project.exists() {
        std::fs::remove_dir_all(&project)?;
    }
    sample::from_files(&project, &[(".gitlab-ci.yml", &configuration)])?;
    let mut coordinator = Coordinator::start(&builder.program, &project, &directory, &[])?;
    quickstart::set_up_with(
        account,
        IMAGE,
        &coordinator,
        |config| quickstart::with_registry(config, &registry, 1),
        &[format!("DOCKER_IMAGE={}", SMALL.reference(&registry))],
    )?;
    ensure!(coordinator.wait()? == 0, "the benchmark's pipeline failed");
    report(account, &SMALL.reference(&registry))?;
    local::compare(account, &builder.program, &registry)
}

fn report(account: &Account, image: &str) -> anyhow::Result<()> {
    let logs = account.podman(["logs", "pipglr"]).run_text()?;
    let jobs: Vec<f64> = logs
        .lines()
        .filter(|l| l.contains("job succeeded"))
        .filter_map(elapsed)
        .skip(1)
        .take(ROUNDS)
        .collect();
    ensure!(jobs.len() >= ROUNDS, "only {} jobs were logged", jobs.len());
    let line = format!(
        "export XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/podman; cd /; for i in $(seq {ROUNDS}); do a=$(date +%s%N); podman run --rm {image} true; \
         b=$(date +%s%N); echo $(((b - a) / 1000)); done"
    );
    let runs = account
        .podman(["exec", "--user", "podman", "pipglr", "sh", "-c", &line])
        .run_text()?;
    let runs: Vec<f64> = runs
        .lines()
        .filter_map(|l| l.trim().parse::<f64>().ok())
        .map(|us| us / 1000.0)
        .collect();
    ensure!(runs.len() == ROUNDS, "podman run was measured {} times", runs.len());
    let (job, run) = (median(jobs), median(runs));
    println!("trivial warm job, 201 to final PUT, median of {ROUNDS}: {job:>7.0} ms");
    println!("podman run --rm IMAGE true, same engine, median:        {run:>7.0} ms");
    println!(
        "ratio:                                                  {:>7.2}",
        job / run
    );
    let size = account
        .podman(["image", "inspect", "--format", "{{.Size}}", IMAGE])
        .run_text()?;
    let megabytes = size.trim().parse::<f64>().context("the image has a size")? / 1e6;
    println!("image, uncompressed:                                    {megabytes:>7.0} MB");
    let memory = "grep VmRSS: /proc/$(systemctl show -P MainPID runner.service)/status";
    let memory = account.podman(["exec", "pipglr", "sh", "-c", memory]).run_text()?;
    let kilobytes: f64 = memory.split_whitespace().nth(1).context("VmRSS has a value")?.parse()?;
    println!(
        "runner.service, idle, resident:                         {:>7.1} MB",
        kilobytes / 1024.0
    );
    Ok(())
}

/// `elapsed_ms=123` of a log line.
fn elapsed(line: &str) -> Option<f64> {
    let rest = line.split("elapsed_ms=").nth(1)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
