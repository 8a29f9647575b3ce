//! Checks that only compute. They give way to the stories, which mostly wait for something, and so take hardly any time of
//! their own.

use super::target_directory;
use crate::image;
use anyhow::{Context as _, ensure};
use pipglr_e2e::cargo;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::packages;
use std::process::Command;

const ARM64: &str = "aarch64-unknown-linux-musl";

/// At the lowest priority from here on: this thread, and what it starts. The program for this machine has to be there.
pub(super) fn all() -> anyhow::Result<()> {
    rustix::process::nice(19).context("give way")?;
    documentation()?;
    arm64()?;
    release()
}

pub(super) fn documentation() -> anyhow::Result<()> {
    let mut doc = cargo::cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings").run_text()?;
    said("documentation: nothing to be warned of");
    Ok(())
}

/// Builds the static program for arm64 and runs it under emulation.
fn arm64() -> anyhow::Result<()> {
    packages::rust_target(ARM64, &mut said)?;
    let build = ["build", "--package=pipglr", "--target", ARM64, "--locked", "--quiet"];
    let mut build = cargo::cargo(&build);
    // Nobody debugs it.
    build.env("CARGO_PROFILE_DEV_DEBUG", "0").run_text()?;
    let program = target_directory().join(ARM64).join("debug/pipglr");
    let version = Command::new("qemu-aarch64-static")
        .arg(&program)
        .arg("--version")
        .run_text()?;
    ensure!(version.starts_with("pipglr "), "{version}");
    said(&format!("for arm64, under emulation: {}", version.trim()));
    Ok(())
}

/// The image's program and the one for arm64 in what is published for a version.
fn release() -> anyhow::Result<()> {
    let native = image::native_target();
    let programs = image::Arch::ALL.map(|arch| {
        let profile = if arch.target == native { "release" } else { "debug" };
        let program = target_directory().join(arch.target).join(profile).join("pipglr");
        (arch.debian, program)
    });
    crate::release::trial(&programs.each_ref().map(|(arch, program)| (*arch, program.as_path())))?;
    said("release: archives, bills of materials, checksums and their signature, unpacked and checked");
    Ok(())
}

fn said(text: &str) {
    println!("beside         {text}");
}
