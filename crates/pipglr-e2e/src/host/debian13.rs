//! A second host: Debian 13 with its podman 5.4, as the root directory of a mount namespace of its own.

use super::Account;
use super::turn::Turn;
use crate::command::CommandExt as _;
use crate::job_images::HOST;
use anyhow::Context as _;
use std::fs;
use std::process::Command;

/// The account's ID there; systemd and Debian leave this range to nobody.
const UID: u32 = 59_013;

/// Installs the host, from the cache if it was made before, with the account `name`. Closing the account removes the host.
///
/// # Errors
/// We are not root, or a step fails.
pub fn provide(name: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<Account> {
    anyhow::ensure!(
        super::packages::is_root(),
        "another host's root directory takes root to enter"
    );
    let turn = Turn::take(name, say)?;
    let tar = HOST.rootfs(say)?;
    let root = crate::cache().join("debian13");
    // A run that was killed leaves one.
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    // The ID mappers' capabilities are extended attributes.
    let mut extract = Command::new("tar");
    extract.args([
        "--extract",
        "--preserve-permissions",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
    ]);
    extract
        .arg("--exclude=./dev/*")
        .arg("--file")
        .arg(&tar)
        .arg("--directory")
        .arg(&root)
        .run_text()?;
    Account::provide_in(root, name, UID, turn, say)
}
