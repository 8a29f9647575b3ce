//! The bill of materials: CycloneDX as JSON, by the tool of its makers, for what is linked into the program.

use crate::image::Arch;
use anyhow::Context as _;
use pipglr_e2e::command::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "cargo-cyclonedx";
const VERSION: &str = "0.5.9";

/// The tool, installed below `target` if it is not there.
pub(super) fn tool(say: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
    let root = pipglr_e2e::repository()
        .join("target/tools")
        .join(format!("{TOOL}-{VERSION}"));
    let program = root.join("bin").join(TOOL);
    if !program.exists() {
        say(&format!("installing {TOOL} {VERSION}"));
        // It runs for a second: optimizing it takes longer than that saves.
        let mut install =
            pipglr_e2e::cargo::cargo(&["install", "--debug", "--quiet", "--locked", "--version", VERSION]);
        install.arg("--root").arg(&root).arg(TOOL).run_text()?;
    }
    Ok(program)
}

/// Writes the bill of the program for `arch`. The tool writes beside each manifest, so it works on a copy.
pub(super) fn write(tool: &Path, arch: &Arch, to: &Path) -> anyhow::Result<()> {
    let repository = pipglr_e2e::repository();
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("pipglr");
    std::fs::create_dir(&copy)?;
    let mut cp = Command::new("cp");
    cp.arg("--recursive").args(["Cargo.toml", "Cargo.lock", "crates"]);
    cp.arg(&copy).current_dir(repository).run_text()?;
    let mut cyclonedx = Command::new(tool);
    cyclonedx
        .args([
            "cyclonedx",
            "--quiet",
            "--format",
            "json",
            "--spec-version",
            "1.5",
            "--no-build-deps",
        ])
        .args(["--target", arch.target, "--manifest-path", "crates/pipglr/Cargo.toml"])
        .env("SOURCE_DATE_EPOCH", super::contents::time_of_last_commit()?)
        .current_dir(&copy);
    cyclonedx.run_text().context("write the bill of materials")?;
    let made = copy.join("crates/pipglr/pipglr.cdx.json");
    let text = std::fs::read_to_string(&made).with_context(|| format!("read {}", made.display()))?;
    // Where it was made is nobody's business, and would differ each time.
    let text = text.replace(&format!("file://{}", copy.display()), "file:///pipglr");
    std::fs::write(to, text).with_context(|| format!("write {}", to.display()))
}
