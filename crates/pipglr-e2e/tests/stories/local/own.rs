//! The project's own pipeline, where this machine's toolchain stands for the one of a registry.

use super::desk::Desk;
use crate::readme::checkout::{TOOLCHAIN, clean_checkout, provide_toolchain};
use crate::stage::{Stage, contains};
use anyhow::ensure;
use pipglr_e2e::command::CommandExt as _;

/// Format and lints of the very working tree under test. `cargo xtask test` has linted all of it already.
pub(crate) fn checks(stage: &mut Stage) -> anyhow::Result<()> {
    let account = &stage.account;
    provide_toolchain(account)?;
    let desk = Desk::equip(stage, "local".to_owned(), String::new())?;
    let checkout = clean_checkout(account)?;
    account
        .shell(&format!(
            "cp -r {}/. {}",
            checkout.display(),
            desk.directory().display()
        ))
        .run_text()?;
    std::fs::remove_dir_all(&checkout)?;
    desk.commit_all()?;
    // The crates are in the image; no registry of crates is known in the job.
    let ran = desk.run(&format!(
        "--stage lint --offline -e RUST_IMAGE={TOOLCHAIN} -e CARGO_HOME=/usr/local/cargo -e CARGO_NET_OFFLINE=true \
         -e LINTED=--package=pipglr-protocol"
    ))?;
    let text = ran.text();
    ensure!(ran.code == 0, "exit code {}: {text}", ran.code);
    for part in ["format | ", "lint   | ", "\npipeline: success"] {
        contains(&text, part)?;
    }
    let cleaned = desk.run("--clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
    desk.is_left_clean()
}
