//! `pipglr import`: a gitlab-runner's config.toml, or what an earlier pipglr left in podman.

use super::config::Owner;
use super::{Outcome, check};
use crate::cli::ImportArgs;
use crate::error::CliError;
use crate::output;
use anyhow::anyhow;
use pipglr_host::sandbox::{CACHE_VOLUME, CONFIG_SECRET, STATE_VOLUME, STORAGE_VOLUME};
use pipglr_runner::config;
use std::path::Path;

/// Volumes, and what becomes of them where they are there or not.
const VOLUMES: [(&str, &str, &str); 3] = [
    (STORAGE_VOLUME, "its images are used again", "images are pulled anew"),
    (
        CACHE_VOLUME,
        "it is used again; caches of jobs are found if their keys are the same",
        "caches begin empty",
    ),
    (
        STATE_VOLUME,
        "the runner keeps its system ID",
        "GitLab will see a new runner manager",
    ),
];

pub(super) fn run(args: &ImportArgs) -> Outcome {
    let owner = Owner::of(&args.account, args.image.as_deref())?;
    let stored = owner.read()?;
    let (name, text) = match &args.config {
        Some(file) => (file.as_path(), config::read(file)?),
        None => (Path::new(CONFIG_SECRET), stored.clone().ok_or_else(nothing_there)?),
    };
    let checked = config::check_config(&text);
    for line in check::report(name, &checked) {
        output::line(line)?;
    }
    if args.from_podman {
        tell_volumes(&owner)?;
    }
    if checked.config.is_none() {
        return Err(CliError::with_hint(
            anyhow!("{} cannot be used", name.display()),
            "correct the errors above and import it again",
        ));
    }
    match stored {
        Some(stored) if stored == text => {
            output::line(format_args!(
                "nothing to store: the secret {CONFIG_SECRET} has it; pipglr up starts the runner"
            ))?;
        }
        _ if args.dry_run => output::line(format_args!("would store it as the secret {CONFIG_SECRET}"))?,
        Some(_) if !args.replace => {
            return Err(CliError::with_hint(
                anyhow!("the account has another configuration"),
                "pipglr config diff FILE shows how it differs; --replace puts the file in its place",
            ));
        }
        _ => owner.store(&text, false)?,
    }
    Ok(0)
}

fn nothing_there() -> CliError {
    CliError::with_hint(
        anyhow!("there is no secret {CONFIG_SECRET} in the account's podman"),
        "name a file: pipglr import FILE",
    )
}

fn tell_volumes(owner: &Owner) -> Result<(), CliError> {
    for (volume, there, missing) in VOLUMES {
        if owner.podman.says_yes(&["volume", "exists", volume])? {
            output::line(format_args!("volume {volume}: {there}"))?;
        } else {
            output::line(format_args!("volume {volume} is not there: {missing}"))?;
        }
    }
    let name = &owner.container;
    if owner.podman.says_yes(&["container", "exists", name])? {
        output::line(format_args!(
            "container {name}: pipglr up makes it anew if it differs, when its jobs have ended"
        ))?;
    }
    Ok(())
}
