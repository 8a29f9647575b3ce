//! `cargo xtask test`: what has to be green, in order of speed; installs what it needs.

mod beside;
mod stories;

use crate::image;
use anyhow::{Context as _, anyhow, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::packages;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use stories::Stories;

/// The image under test.
const IMAGE: &str = crate::quickstart::IMAGE;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs podman
    #[arg(long)]
    fast: bool,
    /// Only stories whose name contains one of these
    stories: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.stories.is_empty() {
        return run_stories(&args.stories, &[]);
    }
    let began = Instant::now();
    let mut say = |text: &str| println!("         {text}");
    let title = |text: &str| println!("[{:>5.0}s] {text}", began.elapsed().as_secs_f64());
    title("packages");
    packages::install(&packages::STAGE, &mut say)?;
    packages::install(&packages::CROSS, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    lint(&title)?;
    title("unit, in-process and command line tests");
    unit_tests(&mut say)?;
    title("units of the image");
    verify_units(&mut say)?;
    if args.fast {
        title("documentation");
        beside::documentation()?;
        println!("not run, as asked: the stories on real podman, the program for arm64, a release, the quickstart");
        return Ok(());
    }
    let stories = prepare_stories(&mut say, &title)?;
    std::thread::scope(|both| {
        let beside = both.spawn(beside::all);
        let told = stories.tell(&[], &[]);
        title("what went on beside them");
        let beside = beside.join().map_err(|_| anyhow!("beside the stories: panicked"))?;
        told.and(beside.context("beside the stories"))
    })?;
    title("quickstart");
    crate::quickstart::run(&crate::quickstart::Args::default())?;
    title("done");
    Ok(())
}

/// Some stories alone, with an environment of their own.
pub(crate) fn run_stories(selected: &[String], environment: &[(&str, String)]) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut say = |text: &str| println!("         {text}");
    let title = |text: &str| println!("[{:>5.0}s] {text}", began.elapsed().as_secs_f64());
    title("packages");
    packages::install(&packages::STAGE, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    prepare_stories(&mut say, &title)?.tell(selected, environment)?;
    title("done");
    Ok(())
}

fn prepare_stories(say: &mut dyn FnMut(&str), title: &dyn Fn(&str)) -> anyhow::Result<Stories> {
    if !packages::is_root() {
        println!("not root: stories use this account's own podman, which must be in order (README, steps 1 and 2)");
    }
    title("image for the stories");
    let stories = Stories::prepare(say)?;
    title("stories on real, nested, rootless podman");
    Ok(stories)
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    pipglr_e2e::cargo::cargo(arguments).run_inherited()
}

fn lint(title: &dyn Fn(&str)) -> anyhow::Result<()> {
    title("fmt");
    cargo(&["fmt", "--all", "--check"])?;
    title("clippy");
    // `--all-targets` leaves out tests that do not run by themselves.
    let targets = [
        &["--workspace", "--all-targets"][..],
        &["--package=pipglr-e2e", "--test=stories", "--test=acceptance"],
    ];
    for targets in targets {
        let words = [
            &["clippy", "--locked", "--quiet"],
            targets,
            &["--", "--deny", "warnings"],
        ];
        cargo(&words.concat())?;
    }
    Ok(())
}

fn unit_tests(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let nextest = pipglr_e2e::cargo::cargo(&["nextest", "--version"])
        .run_any()
        .is_ok_and(|o| o.status.success());
    if nextest {
        cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--status-level",
            "fail",
            "--show-progress",
            "none",
        ])?;
    } else {
        say("cargo-nextest is not installed: using cargo test");
        cargo(&[
            "test",
            "--workspace",
            "--locked",
            "--quiet",
            "--lib",
            "--bins",
            "--tests",
        ])?;
    }
    cargo(&["test", "--workspace", "--locked", "--quiet", "--doc"])
}

/// systemd's own check of the unit files, where it is installed.
fn verify_units(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    if Command::new("systemd-analyze").arg("--version").run_any().is_err() {
        say("not run: systemd-analyze is not installed");
        return Ok(());
    }
    let timer =
        std::fs::read_to_string(pipglr_e2e::repository().join("image/rootfs/etc/systemd/system/pipglr-prune.timer"))?;
    ensure!(
        timer.contains("OnCalendar=@PRUNE_INTERVAL@"),
        "the prune timer has no place for PRUNE_INTERVAL"
    );
    Command::new("systemd-analyze")
        .args(["calendar", "daily"])
        .run_text()
        .map(drop)
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| pipglr_e2e::repository().join("target"), PathBuf::from)
}
