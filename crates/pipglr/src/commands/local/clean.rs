//! `pipglr local --clean`: what was kept of a project is removed. What a run in progress uses stays.

use super::nested;
use super::places::{self, Places};
use super::podman::Podman;
use crate::error::CliError;
use crate::output;
use anyhow::{Context as _, anyhow};
use pipglr_runner::containers::objects::{self, Keep};
use pipglr_runner::containers::{Engine, EngineSettings};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Removes the containers, volumes and directories of the project we are in.
pub(super) async fn run() -> Result<(), CliError> {
    let project = places::project_of(&places::top_level()?);
    let directory = places::state_root()?.join(&project);
    let (free, in_use) = take(&directory)?;
    if let Some(first) = free.first() {
        let runtime = places::runtime_directory(&project, &first.path);
        places::private_directory(&runtime)?;
        reap(&free, &runtime).await?;
    }
    let mut volumes = BTreeSet::new();
    for slot in &free {
        volumes.extend(clean_slot(&project, &slot.path)?);
    }
    if in_use == 0 {
        // Also what slots share, and what is left of slots whose directory is gone.
        volumes.extend(list_volumes(&format!("name=^{}", Places::volume_prefix(&project)))?);
    } else {
        output::aside(format_args!(
            "note: runs of this project in progress: {in_use}; what they use stays"
        ));
    }
    if !volumes.is_empty() {
        let names = volumes.iter().map(String::as_str);
        podman(&["volume", "rm"].into_iter().chain(names).collect::<Vec<_>>())?;
    }
    let kept = if in_use == 0 {
        places::remove_tree(&directory)?;
        directory.display().to_string()
    } else {
        format!("what {} ended runs kept in {}", free.len(), directory.display())
    };
    output::line(format_args!("removed {} volumes and {kept}", volumes.len()))
}

/// A slot that is ours, so that no run begins in it while it is cleaned.
struct Slot {
    path: PathBuf,
    _lock: File,
}

/// The slots nobody uses, and how many are used.
fn take(directory: &Path) -> Result<(Vec<Slot>, usize), CliError> {
    let (mut free, mut in_use) = (Vec::new(), 0);
    for path in slots(directory)? {
        match places::lock(&path)? {
            Some(lock) => free.push(Slot { path, _lock: lock }),
            None => in_use += 1,
        }
    }
    Ok((free, in_use))
}

/// Removes what jobs of killed runs left in this account's podman.
async fn reap(slots: &[Slot], runtime: &Path) -> Result<(), CliError> {
    let ids: Vec<String> = slots
        .iter()
        .filter_map(|slot| system_id(&slot.path).transpose())
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let podman = Podman::provide(runtime).await?;
    let engine = Engine::new(EngineSettings {
        socket: podman.socket.clone(),
        ..EngineSettings::default()
    });
    let mut outcome = Ok(());
    for id in &ids {
        let reaped = objects::reap_leftovers(&engine, id, &Keep::default()).await;
        outcome = outcome.and(reaped.map(drop));
    }
    podman.end().await?;
    Ok(outcome.context("remove what jobs left")?)
}

/// Directories of the project's slots; none if it never ran.
fn slots(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error.context(format!("read {}", directory.display())).into());
        }
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| format!("read {}", directory.display()))?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

/// Removes the sandbox that a killed run left in the slot, and what was kept of it. Gives the slot's volumes.
fn clean_slot(project: &str, slot: &Path) -> Result<BTreeSet<String>, CliError> {
    let sandbox = nested::sandbox(project, slot);
    podman(&["rm", "--force", "--ignore", "--volumes", "--time", "0", &sandbox])?;
    let mut volumes = list_volumes(&format!("name=^{sandbox}-"))?;
    if let Some(id) = system_id(slot)? {
        volumes.extend(list_volumes(&format!("label=pipglr.system_id={id}"))?);
    }
    places::remove_tree(&places::runtime_directory(project, slot))?;
    // The lock stays: it is what makes the slot ours.
    for entry in fs::read_dir(slot).with_context(|| format!("read {}", slot.display()))? {
        let path = entry.with_context(|| format!("read {}", slot.display()))?.path();
        if path.is_dir() {
            places::remove_tree(&path)?;
        }
    }
    Ok(volumes)
}

/// By this, what belongs to the engine that worked in the slot is known.
fn system_id(slot: &Path) -> Result<Option<String>, CliError> {
    let path = slot.join("runner/.runner_system_id");
    match fs::read_to_string(&path) {
        Ok(id) => Ok(Some(id.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let error = anyhow::Error::new(error);
            Err(error.context(format!("read {}", path.display())).into())
        }
    }
}

fn list_volumes(filter: &str) -> Result<BTreeSet<String>, CliError> {
    let list = podman(&["volume", "ls", "--quiet", "--filter", filter])?;
    Ok(list
        .lines()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn podman(arguments: &[&str]) -> Result<String, CliError> {
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
