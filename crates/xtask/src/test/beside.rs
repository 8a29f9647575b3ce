//! Checks that only compute. They give way to the stories, which mostly wait for something, and so take hardly any time of
//! their own.

use super::target_directory;
use anyhow::ensure;
use pipglr_e2e::cargo;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::packages;
use std::process::Command;

const ARM64: &str = "aarch64-unknown-linux-musl";

/// What is said at the end, if everything is in order.
pub(super) fn all() -> anyhow::Result<String> {
    documentation()?;
    arm64()
}

fn documentation() -> anyhow::Result<()> {
    let doc = cargo::cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    giving_way(&doc).env("RUSTDOCFLAGS", "--deny warnings").run_text()?;
    Ok(())
}

/// Builds the static program for arm64 and runs it under emulation.
fn arm64() -> anyhow::Result<String> {
    let mut said = Vec::new();
    packages::rust_target(ARM64, &mut |text| said.push(text.to_owned()))?;
    let build = ["build", "--package=pipglr", "--target", ARM64, "--locked", "--quiet"];
    giving_way(&cargo::cargo(&build)).run_text()?;
    let program = target_directory().join(ARM64).join("debug/pipglr");
    let version = Command::new("qemu-aarch64-static")
        .arg(&program)
        .arg("--version")
        .run_text()?;
    ensure!(version.starts_with("pipglr "), "{version}");
    said.push(format!("for arm64, under emulation: {}", version.trim()));
    Ok(said.join("\n"))
}

/// The command at the lowest priority.
fn giving_way(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.arg("--adjustment=19")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        nice.current_dir(directory);
    }
    nice
}
