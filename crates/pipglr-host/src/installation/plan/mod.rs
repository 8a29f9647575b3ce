//! What has to be done, as data.

use super::command_line::{missing, options, own};
use super::look::{Config, Container, Facts};
use super::wish::Wish;
use crate::sandbox::Sandbox;
use serde::Serialize;
use std::fmt;

/// Longest time a new container has until runner and engine answer, in seconds.
const HEALTH_LIMIT: u32 = 120;

/// One thing that is missing or differs. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    PullImage {
        image: String,
    },
    /// The configuration can be read now: the rest is planned then.
    LookAgain,
    PrepareVolume {
        volume: String,
        owner: &'static str,
    },
    Register {
        url: String,
        name: String,
    },
    SetConcurrent {
        from: Option<i64>,
        to: u32,
    },
    StoreConfiguration,
    /// No more jobs are taken; those that run come to their end.
    StopContainer {
        name: String,
        because: Vec<String>,
        limit: u32,
    },
    RemoveContainer {
        name: String,
    },
    RunContainer {
        name: String,
        image: String,
    },
    StartContainer {
        name: String,
    },
    WaitForHealth {
        name: String,
        limit: u32,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullImage { image } => write!(f, "pull the image {image}"),
            Self::LookAgain => f.write_str("read the stored configuration, and plan the rest by it"),
            Self::PrepareVolume { volume, owner } => write!(f, "prepare the volume {volume} for the user {owner}"),
            Self::Register { url, name } => write!(f, "register the runner {name:?} at {url}"),
            Self::SetConcurrent { from: Some(from), to } => write!(f, "set concurrent from {from} to {to}"),
            Self::SetConcurrent { from: None, to } => write!(f, "set concurrent to {to}"),
            Self::StoreConfiguration => f.write_str("store the configuration as the secret config.toml"),
            Self::StopContainer { name, because, limit } => write!(
                f,
                "stop the container {name} ({}): it takes no more jobs and waits up to {limit} s for those that run",
                because.join(", ")
            ),
            Self::RemoveContainer { name } => write!(f, "remove the container {name}"),
            Self::RunContainer { name, image } => write!(f, "start the container {name} of {image}"),
            Self::StartContainer { name } => write!(f, "start the container {name} again"),
            Self::WaitForHealth { name, limit } => write!(f, "wait up to {limit} s for {name} to be healthy"),
        }
    }
}

/// Steps in order, and the container they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub sandbox: Sandbox,
}

/// No plan leads to what is wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("the account may not open {0}")]
    Device(&'static str),
    #[error("no runner is registered yet, and there is no token to register one with")]
    NoRunner,
    #[error("{container} is kept by the unit {unit} of systemd, and differs from what is wished: {differences}")]
    Unit {
        container: String,
        unit: String,
        differences: String,
    },
}

impl Obstacle {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Device("/dev/fuse") => "as root: modprobe fuse; chmod 666 /dev/fuse".to_owned(),
            Self::Device(path) => format!("as root: modprobe tun; chmod 666 {path}"),
            Self::NoRunner => "create a runner in GitLab (CI/CD settings, Runners) and give its token: \
                               --url URL --token-file FILE, or --token-stdin"
                .to_owned(),
            Self::Unit { unit, .. } => format!("change the unit's file, then: systemctl --user restart {unit}"),
        }
    }
}

/// What makes `facts` as `wish` has it.
///
/// # Errors
/// [`Obstacle`].
pub fn plan(facts: &Facts, wish: &Wish) -> Result<Plan, Obstacle> {
    if let Some(device) = facts.devices.iter().find(|device| !device.usable) {
        return Err(Obstacle::Device(device.path));
    }
    let sandbox = sandbox(facts, wish);
    let mut steps = Vec::new();
    if facts.image_id.is_none() {
        steps.push(Step::PullImage {
            image: facts.image.clone(),
        });
    }
    if matches!(facts.config, Config::Unread) {
        steps.push(Step::LookAgain);
        return Ok(Plan { steps, sandbox });
    }
    steps.extend(volumes(facts, &sandbox));
    let configured = configuration(facts, wish)?;
    let stored_anew = !configured.is_empty();
    steps.extend(configured);
    container(facts, &sandbox, stored_anew, &mut steps)?;
    Ok(Plan { steps, sandbox })
}

/// The container as it is wanted, with what a person added to the one that is there.
fn sandbox(facts: &Facts, wish: &Wish) -> Sandbox {
    let mut sandbox = Sandbox::new(&wish.container, &facts.image);
    sandbox.health_checks = facts.session_systemd;
    sandbox.extra.clone_from(&wish.run_options);
    if let Some(there) = &facts.container {
        let wanted = options(&sandbox.run_arguments(), &sandbox.image);
        let kept = own(&options(&there.command, &there.image), &wanted);
        sandbox.extra.extend(kept);
    }
    sandbox
}

fn volumes(facts: &Facts, sandbox: &Sandbox) -> Vec<Step> {
    let owned = sandbox.volumes().into_iter().filter(|volume| {
        let fact = facts.volumes.iter().find(|fact| fact.name == volume.mount.volume);
        fact.and_then(|fact| fact.owner) != Some(volume.uid())
    });
    let step = |volume: crate::sandbox::OwnedVolume| Step::PrepareVolume {
        volume: volume.mount.volume,
        owner: volume.owner,
    };
    owned.map(step).collect()
}

fn configuration(facts: &Facts, wish: &Wish) -> Result<Vec<Step>, Obstacle> {
    let stored = match &facts.config {
        Config::Stored { configuration, .. } => Some(configuration.as_ref()),
        Config::Missing | Config::Unread => None,
    };
    let mut steps = Vec::new();
    match &wish.registration {
        Some(wanted) if !stored.is_some_and(|stored| stored.has(wanted)) => steps.push(Step::Register {
            url: wanted.url.clone(),
            name: wanted.name.clone(),
        }),
        None if stored.is_none_or(|stored| stored.runners() == 0) => return Err(Obstacle::NoRunner),
        Some(_) | None => {}
    }
    let from = stored.and_then(super::Configuration::concurrent);
    if let Some(to) = wish.concurrent.filter(|&to| from != Some(i64::from(to))) {
        steps.push(Step::SetConcurrent { from, to });
    }
    if !steps.is_empty() {
        steps.push(Step::StoreConfiguration);
    }
    Ok(steps)
}

fn container(facts: &Facts, sandbox: &Sandbox, stored_anew: bool, steps: &mut Vec<Step>) -> Result<(), Obstacle> {
    let name = sandbox.name.clone();
    let wait = Step::WaitForHealth {
        name: name.clone(),
        limit: HEALTH_LIMIT,
    };
    let run = Step::RunContainer {
        name: name.clone(),
        image: sandbox.image.clone(),
    };
    let Some(there) = &facts.container else {
        steps.extend([run, wait]);
        return Ok(());
    };
    let because = differences(facts, there, sandbox, stored_anew);
    match (&there.unit, because.is_empty()) {
        (Some(unit), false) => {
            return Err(Obstacle::Unit {
                container: name,
                unit: unit.clone(),
                differences: because.join(", "),
            });
        }
        (_, true) if there.healthy => {}
        (_, true) if there.running => steps.push(wait),
        (_, true) => steps.extend([Step::StartContainer { name }, wait]),
        (None, false) => {
            if there.running {
                steps.push(Step::StopContainer {
                    name: name.clone(),
                    because,
                    limit: sandbox.stop_timeout,
                });
            }
            steps.extend([Step::RemoveContainer { name }, run, wait]);
        }
    }
    Ok(())
}

/// Why the container that is there is not the one that is wanted.
fn differences(facts: &Facts, there: &Container, sandbox: &Sandbox, stored_anew: bool) -> Vec<String> {
    let mut all = Vec::new();
    if facts.image_id.as_ref() != Some(&there.image_id) {
        all.push("its image is another".to_owned());
    }
    let stored = match &facts.config {
        Config::Stored { secret_id, .. } => Some(secret_id),
        Config::Missing | Config::Unread => None,
    };
    if stored_anew || stored != there.config_id.as_ref() {
        all.push("its configuration is another".to_owned());
    }
    // What a unit's container was made by is the unit's matter.
    if there.unit.is_none() {
        let wanted = options(&sandbox.run_arguments(), &sandbox.image);
        let have = options(&there.command, &there.image);
        all.extend(
            missing(&have, &wanted)
                .into_iter()
                .map(|option| format!("it lacks {option}")),
        );
    }
    all
}

#[cfg(test)]
mod tests;
