//! `cargo xtask test`: what has to be green, in order of speed; installs what it needs.

use crate::image;
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT, packages};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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
    let began = Instant::now();
    let mut say = |text: &str| println!("         {text}");
    let title = |text: &str| println!("[{:>5.0}s] {text}", began.elapsed().as_secs_f64());
    let only_stories = !args.stories.is_empty();
    title("packages");
    packages::install(&packages::STAGE, &mut say)?;
    packages::install(&packages::CROSS, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    if !only_stories {
        title("fmt");
        cargo(&["fmt", "--all", "--check"])?;
        title("clippy");
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ])?;
        // `--all-targets` leaves out tests that do not run by themselves.
        cargo(&[
            "clippy",
            "--package",
            "pipglr-e2e",
            "--test",
            "stories",
            "--locked",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ])?;
        title("unit, in-process and command line tests");
        unit_tests(&mut say)?;
        title("documentation");
        let mut doc = pipglr_e2e::cargo::cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
        doc.env("RUSTDOCFLAGS", "--deny warnings").run_inherited()?;
        title("units of the image");
        verify_units(&mut say)?;
        title("the program for arm64");
        arm64(&mut say)?;
    }
    if args.fast {
        println!("not run, as asked: the stories on real podman, a release, the quickstart");
        return Ok(());
    }
    if !packages::is_root() {
        println!("not root: stories use this account's own podman, which must be in order (README, steps 1 and 2)");
    }
    stories(&args.stories, &[], &mut say, &title)?;
    if !only_stories {
        title("release, of the programs that are there");
        release(&mut say)?;
        title("quickstart");
        crate::quickstart::run(&crate::quickstart::Args::default())?;
    }
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
    stories(selected, environment, &mut say, &title)?;
    title("done");
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    pipglr_e2e::cargo::cargo(arguments).run_inherited()
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

/// Builds the static program for arm64 and runs it under emulation.
fn arm64(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-musl";
    packages::rust_target(TARGET, say)?;
    cargo(&[
        "build",
        "--package",
        "pipglr",
        "--target",
        TARGET,
        "--locked",
        "--quiet",
    ])?;
    let program = target_directory().join(TARGET).join("debug/pipglr");
    let version = Command::new("qemu-aarch64-static")
        .arg(&program)
        .arg("--version")
        .run_text()?;
    ensure!(version.starts_with("pipglr "), "{version}");
    say(&format!("under emulation: {}", version.trim()));
    Ok(())
}

/// The image's program and the one for arm64 in what is published for a version.
fn release(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let native = image::native_target();
    let programs = image::Arch::ALL.map(|arch| {
        let profile = if arch.target == native { "release" } else { "debug" };
        (
            arch.debian,
            target_directory().join(arch.target).join(profile).join("pipglr"),
        )
    });
    say("archives, bills of materials, checksums and their signature, unpacked and checked");
    crate::release::trial(&programs.each_ref().map(|(arch, program)| (*arch, program.as_path())))
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| pipglr_e2e::repository().join("target"), PathBuf::from)
}

/// Builds program and image, then runs the stories of `pipglr-e2e`.
fn stories(
    selected: &[String],
    environment: &[(&str, String)],
    say: &mut dyn FnMut(&str),
    title: &dyn Fn(&str),
) -> anyhow::Result<()> {
    title("image for the stories");
    let account = Account::provide(STAGE_ACCOUNT, say)?;
    let built = prepare(&account, say);
    let (script, program) = match built {
        Ok(built) => built,
        Err(error) => {
            account.close(false)?;
            return Err(error);
        }
    };
    title("stories on real, nested, rootless podman");
    let mut command = pipglr_e2e::cargo::cargo(&[
        "test",
        "--package",
        "pipglr-e2e",
        "--test",
        "stories",
        "--locked",
        "--quiet",
        "--",
    ]);
    command.args(selected);
    command.envs(environment.iter().map(|(key, value)| (*key, value)));
    command
        .env("PIPGLR_STORY_IMAGE", IMAGE)
        .env("PIPGLR_STORY_BUILD", script)
        .env("PIPGLR_STORY_PROGRAM", program);
    let result = command.run_inherited().context("stories");
    account.close(false)?;
    result
}

/// The image, a script that builds variants of it, and the program in it.
fn prepare(account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<(PathBuf, PathBuf)> {
    let builder = image::Builder::prepare(account, say)?;
    say("building the image");
    builder.build(IMAGE, &[])?;
    let script = std::env::temp_dir().join(format!("{STAGE_ACCOUNT}-build-variant"));
    write_script(&script, &builder.variant_command())?;
    Ok((script, builder.program))
}

/// A script that is the command followed by the script's arguments and the context.
fn write_script(path: &Path, command: &Command) -> anyhow::Result<()> {
    let quote = |w: &std::ffi::OsStr| format!("'{}'", w.to_string_lossy().replace('\'', "'\\''"));
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quote)
        .collect();
    let directory = command.get_current_dir().context("the build has a context")?;
    std::fs::write(
        path,
        format!(
            "#!/bin/sh\ncd '{}'\nexec {} \"$@\" .\n",
            directory.display(),
            words.join(" ")
        ),
    )?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
