//! `cargo xtask compare`: the same jobs by GitLab's own runner and by ours, and what differs.
//!
//! `GITLAB_RUNNER` names a binary of gitlab-runner, `GITLAB_RUNNER_HELPER_IMAGE` an archive of its helper image. Without
//! them our own engine plays both sides, which shows that the comparison itself is stable.

mod normalize;
mod side;

use crate::image;
use anyhow::{Context as _, ensure};
use pipglr_e2e::cache;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT, packages};
use pipglr_e2e::job_images::SMALL;
use pipglr_e2e::registry::Registry;
use side::{Outcome, Side};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Binary of gitlab-runner
    #[arg(long, env = "GITLAB_RUNNER")]
    gitlab_runner: Option<PathBuf>,
    /// Archive (`docker save`) of its helper image
    #[arg(long, env = "GITLAB_RUNNER_HELPER_IMAGE")]
    helper_image: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut say = |text: &str| println!("         {text}");
    packages::install(&packages::STAGE, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    let account = Account::provide(STAGE_ACCOUNT, &mut say)?;
    let outcome = compare(args, &account, &mut say);
    crate::quickstart::clean(&account)?;
    account.close(false)?;
    outcome
}

fn compare(args: &Args, account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    crate::quickstart::clean(account)?;
    let builder = image::Builder::prepare(account, say)?;
    builder.build(crate::quickstart::IMAGE, &[])?;
    let registry = Registry::start(&cache().join("registry"))?;
    SMALL.provide(&registry, account, say)?;
    let theirs = match &args.gitlab_runner {
        Some(binary) => {
            say(&format!("the other side is {}", binary.display()));
            Side::official(&builder, account, &registry, binary, args.helper_image.as_deref())?
        }
        None => {
            say("GITLAB_RUNNER is not set: our own engine plays both sides, only the comparison itself is tried");
            Side::ours("pipglr-again")
        }
    };
    let directory = cache().join("compare");
    let mut jobs = Vec::new();
    for side in [Side::ours("pipglr"), theirs] {
        say(&format!("running the job set on {}", side.name));
        let outcomes = side.play(&builder.program, account, &registry, &directory)?;
        ensure!(
            jobs.first().is_none_or(|(_, count)| *count == outcomes.len()),
            "the sides ran different numbers of jobs"
        );
        write_logs(&directory.join(&side.name), &outcomes)?;
        jobs.push((side.name, outcomes.len()));
    }
    let [(ours, count), (theirs, _)] = jobs.as_slice() else {
        anyhow::bail!("there are two sides");
    };
    report(&directory, ours, theirs, *count)
}

/// One file for each job: its outcome, then its log without what may differ.
fn write_logs(directory: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    for outcome in outcomes {
        let log = std::fs::read(&outcome.log).with_context(|| format!("log of {}", outcome.name))?;
        let text = format!(
            "{}\n{}",
            outcome.summary,
            normalize::log(&String::from_utf8_lossy(&log))
        );
        std::fs::write(directory.join(format!("{}.log", outcome.name)), text)?;
    }
    Ok(())
}

fn report(directory: &Path, ours: &str, theirs: &str, count: usize) -> anyhow::Result<()> {
    let diff = Command::new("diff")
        .args(["--recursive", "--unified=2", theirs, ours])
        .current_dir(directory)
        .run_any()?;
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    let differing = text.lines().filter(|l| l.starts_with("diff ")).count();
    print!("{text}");
    println!("{count} jobs compared, {differing} differ ({theirs} against {ours})");
    ensure!(
        diff.status.success(),
        "the sides differ; logs are in {}",
        directory.display()
    );
    Ok(())
}
