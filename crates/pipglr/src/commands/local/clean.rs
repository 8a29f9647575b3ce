//! `pipglr local --clean`: what was kept of a project is removed.

use super::nested;
use super::places::{self, Places};
use crate::error::CliError;
use crate::output;
use anyhow::{Context as _, anyhow};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Removes the volumes of the project we are in, and its directory.
pub(super) fn run() -> Result<(), CliError> {
    let project = places::project_of(&places::top_level()?);
    let directory = places::state_root()?.join(&project);
    nested::remove_leftovers(&project, &directory)?;
    let mut volumes = BTreeSet::new();
    let mut filters = vec![format!("name=^{}", Places::volume_prefix(&project))];
    filters.extend(system_ids(&directory).map(|id| format!("label=pipglr.system_id={id}")));
    for filter in filters {
        let list = podman(&["volume", "ls", "--quiet", "--filter", &filter])?;
        volumes.extend(list.lines().map(str::to_owned).filter(|name| !name.is_empty()));
    }
    if !volumes.is_empty() {
        let names = volumes.iter().map(String::as_str);
        podman(&["volume", "rm"].into_iter().chain(names).collect::<Vec<_>>())?;
    }
    places::remove_tree(&directory)?;
    output::line(format_args!(
        "removed {} volumes and {}",
        volumes.len(),
        directory.display()
    ))
}

/// By these the volumes of the project's slots are known.
fn system_ids(directory: &Path) -> impl Iterator<Item = String> {
    let slots = fs::read_dir(directory).into_iter().flatten().flatten();
    slots.filter_map(|slot| {
        let id = fs::read_to_string(slot.path().join("runner/.runner_system_id")).ok()?;
        Some(id.trim().to_owned())
    })
}

pub(super) fn podman(arguments: &[&str]) -> Result<String, CliError> {
    let output = Command::new("podman")
        .args(arguments)
        .output()
        .context("start podman")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("podman {}: {}", arguments.join(" "), stderr.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
