//! An image is tried out beside the container in service: on volumes of its own, which go again, and without a network, so
//! that it takes no jobs.

use super::carry_out::words;
use crate::podman::{Podman, PodmanError};
use crate::sandbox::{CONFIG_SECRET, Sandbox};
use std::process::Output;

/// Longest time until runner and engine answer, in seconds.
const HEALTH_LIMIT: &str = "120";
/// Lines of the container's log that are told of one that did not become healthy.
const LAST_LINES: &str = "--tail=12";
/// A container of the image's own files, as helper containers are.
const NESTED: [&str; 11] = [
    "podman",
    "--remote",
    "run",
    "--rm",
    "--network=none",
    "--log-driver=none",
    "--read-only",
    "--volume=/usr:/usr:ro",
    "--rootfs",
    "/usr/lib/pipglr/helper-root:O",
    "/usr/bin/true",
];

/// The image is not fit to take over.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error("it cannot use the stored configuration: {0}")]
    Configuration(String),
    #[error("it does not start: {0}")]
    Start(String),
    #[error("it is not healthy after {HEALTH_LIMIT} s: {0}")]
    Unhealthy(String),
    #[error("its engine cannot run a container: {0}")]
    Nested(String),
}

/// Tries out what `sandbox` would be.
///
/// # Errors
/// [`TrialError`]. Nothing of the trial is left in any case that podman allows.
pub(super) fn try_out(podman: &Podman, sandbox: &Sandbox) -> Result<(), TrialError> {
    configuration(podman, sandbox)?;
    let trial = sandbox.trial();
    // Of a trial that was killed.
    clear(podman, &trial)?;
    let outcome = run(podman, &trial);
    let cleared = clear(podman, &trial);
    outcome?;
    Ok(cleared?)
}

fn configuration(podman: &Podman, sandbox: &Sandbox) -> Result<(), TrialError> {
    let (secret, file) = (
        format!("--secret={CONFIG_SECRET}"),
        format!("/run/secrets/{CONFIG_SECRET}"),
    );
    let check = [
        "run",
        "--rm",
        "--network=none",
        "--log-driver=none",
        &secret,
        &sandbox.image,
        "pipglr",
        "config",
        "check",
        &file,
    ];
    let output = podman.output(&check, None)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(TrialError::Configuration(said(&output)))
    }
}

fn run(podman: &Podman, trial: &Sandbox) -> Result<(), TrialError> {
    for volume in trial.volumes() {
        let output = podman.output(&words(&trial.prepare_arguments(&volume)), None)?;
        if !output.status.success() {
            return Err(TrialError::Start(said(&output)));
        }
    }
    let output = podman.output(&words(&trial.run_arguments()), None)?;
    if !output.status.success() {
        return Err(TrialError::Start(said(&output)));
    }
    let healthy = podman.output(&["exec", &trial.name, "pipglr", "health", "--wait", HEALTH_LIMIT], None)?;
    if !healthy.status.success() {
        let log = podman.output(&["logs", LAST_LINES, &trial.name], None)?;
        return Err(TrialError::Unhealthy(format!("{}; {}", said(&healthy), said(&log))));
    }
    let mut nested = vec!["exec", crate::running::ENGINE, &trial.name];
    nested.extend(NESTED);
    let output = podman.output(&nested, None)?;
    if !output.status.success() {
        return Err(TrialError::Nested(said(&output)));
    }
    Ok(())
}

fn clear(podman: &Podman, trial: &Sandbox) -> Result<(), PodmanError> {
    podman.text(&["rm", "--force", "--ignore", "--time=0", &trial.name])?;
    for mount in &trial.mounts {
        if podman.says_yes(&["volume", "exists", &mount.volume])? {
            podman.text(&["volume", "rm", "--force", &mount.volume])?;
        }
    }
    Ok(())
}

/// Both streams in a line.
fn said(output: &Output) -> String {
    let both = [output.stderr.as_slice(), output.stdout.as_slice()].map(String::from_utf8_lossy);
    let lines = both.iter().flat_map(|text| text.lines()).map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_start_matches("Error: ").trim_start_matches("error: "))
        .collect();
    if lines.is_empty() {
        output.status.to_string()
    } else {
        lines.join("; ")
    }
}
