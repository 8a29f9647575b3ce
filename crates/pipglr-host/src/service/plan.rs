//! What has to be done, as plain steps.

use super::look::{Container, Facts};
use super::{DIRECTORY, MARK, content};
use crate::render::Quadlet;
use crate::sandbox::{CONFIG_SECRET, Sandbox};
use crate::tenancy::Tenant;
use std::fmt;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Write { file: String, text: String },
    Remove { file: String },
    EnableLinger { account: String },
    Reload,
    StopContainer { name: String, limit: u32 },
    RemoveContainer { name: String },
    Start { unit: String },
    Restart { unit: String, limit: u32 },
    Stop { unit: String, limit: u32 },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { file, .. } => write!(f, "write ~/{DIRECTORY}/{file}"),
            Self::Remove { file } => write!(f, "remove ~/{DIRECTORY}/{file}"),
            Self::EnableLinger { account } => write!(f, "let the services of {account} run without a session"),
            Self::Reload => write!(f, "let systemd read its units again"),
            Self::StopContainer { name, limit } => {
                write!(
                    f,
                    "stop the container {name}: it takes no more jobs and waits up to {limit} s for those that run"
                )
            }
            Self::RemoveContainer { name } => write!(f, "remove the container {name}: the unit makes its own"),
            Self::Start { unit } => write!(f, "start {unit}"),
            Self::Restart { unit, limit } => {
                write!(
                    f,
                    "restart {unit}: it takes no more jobs and waits up to {limit} s for those that run"
                )
            }
            Self::Stop { unit, limit } => {
                write!(
                    f,
                    "stop {unit}: it takes no more jobs and waits up to {limit} s for those that run"
                )
            }
        }
    }
}

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("systemd does not run for this account")]
    NoSystemd,
    #[error("podman here has no generator of units: that takes podman 4.4")]
    NoGenerator,
    #[error("there is no secret {CONFIG_SECRET}")]
    NoConfiguration,
    #[error("~/{DIRECTORY}/{0} is there and was not written by pipglr")]
    NotOurs(String),
    #[error("{0}")]
    Taken(Tenant),
}

impl Obstacle {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Taken(tenant) => return tenant.hint(),
            Self::NoSystemd => "as root: loginctl enable-linger ACCOUNT, then give the command again",
            Self::NoGenerator => "a newer podman, or pipglr up, which needs no units",
            Self::NoConfiguration => "pipglr config apply FILE stores a configuration, pipglr up registers a runner",
            Self::NotOurs(_) => "move it away, or keep it and leave the service as it is",
        };
        hint.to_owned()
    }
}

/// From what is there to a runner that systemd keeps.
///
/// # Errors
/// [`Obstacle`].
pub fn install(facts: &Facts, sandbox: &Sandbox, quadlet: &Quadlet) -> Result<Vec<Step>, Obstacle> {
    if !facts.generator {
        return Err(Obstacle::NoGenerator);
    }
    if !facts.configuration {
        return Err(Obstacle::NoConfiguration);
    }
    if let Some(tenant) = &facts.tenant {
        return Err(Obstacle::Taken(tenant.clone()));
    }
    let mut steps = Vec::new();
    for (file, unit) in &quadlet.files {
        let text = content(unit);
        match facts.files.get(file) {
            Some(there) if *there == text => {}
            Some(there) if !there.starts_with(MARK) => return Err(Obstacle::NotOurs(file.clone())),
            _ => steps.push(Step::Write {
                file: file.clone(),
                text,
            }),
        }
    }
    let changed = !steps.is_empty();
    if !facts.linger {
        let account = facts.account.clone();
        steps.push(Step::EnableLinger { account });
    } else if !facts.systemd {
        return Err(Obstacle::NoSystemd);
    }
    if changed {
        steps.push(Step::Reload);
    }
    let limit = sandbox.stop_timeout;
    let unit = unit_of(sandbox);
    let name = sandbox.name.clone();
    if let Container::Other { running } = facts.container {
        if running {
            steps.push(Step::StopContainer {
                name: name.clone(),
                limit,
            });
        }
        steps.push(Step::RemoveContainer { name });
    }
    if !facts.active {
        steps.push(Step::Start { unit });
    } else if changed {
        steps.push(Step::Restart { unit, limit });
    }
    Ok(steps)
}

/// Removes what [`install`] wrote, and nothing else: the secret, volumes and linger stay. Files of these names that are not
/// ours stay, too.
#[must_use]
pub fn uninstall(facts: &Facts, sandbox: &Sandbox, quadlet: &Quadlet) -> Vec<Step> {
    let ours = quadlet.files.iter().map(|(file, _)| file);
    let ours = ours.filter(|file| facts.files.get(*file).is_some_and(|text| text.starts_with(MARK)));
    let removals: Vec<Step> = ours.map(|file| Step::Remove { file: file.clone() }).collect();
    if removals.is_empty() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    // One that fails is started again and again until it is stopped.
    if facts.systemd {
        steps.push(Step::Stop {
            unit: unit_of(sandbox),
            limit: sandbox.stop_timeout,
        });
    }
    steps.extend(removals);
    if facts.systemd {
        steps.push(Step::Reload);
    }
    steps
}

fn unit_of(sandbox: &Sandbox) -> String {
    format!("{}.service", sandbox.name)
}

#[cfg(test)]
mod tests {
    use super::super::look::{Container, Facts};
    use super::super::{MARK, content};
    use super::{Obstacle, Step, Tenant, install, uninstall};
    use crate::render::{Quadlet, quadlet};
    use crate::sandbox::Sandbox;

    fn set_up() -> (Sandbox, Quadlet, Facts) {
        let sandbox = Sandbox::new("pipglr", "i:1");
        let quadlet = quadlet(&sandbox);
        let facts = Facts {
            account: "ci".to_owned(),
            files: std::collections::BTreeMap::new(),
            generator: true,
            configuration: true,
            linger: true,
            systemd: true,
            active: false,
            container: Container::Missing,
            tenant: None,
        };
        (sandbox, quadlet, facts)
    }

    fn installed(facts: &Facts, quadlet: &Quadlet) -> Facts {
        let files = quadlet.files.iter().map(|(name, unit)| (name.clone(), content(unit)));
        Facts {
            files: files.collect(),
            active: true,
            container: Container::OfTheUnit,
            ..facts.clone()
        }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Write { file, .. } => format!("write {file}"),
            Step::Remove { file } => format!("remove {file}"),
            Step::EnableLinger { .. } => "linger".to_owned(),
            Step::Reload => "reload".to_owned(),
            Step::StopContainer { .. } => "stop container".to_owned(),
            Step::RemoveContainer { .. } => "remove container".to_owned(),
            Step::Start { unit } => format!("start {unit}"),
            Step::Restart { unit, .. } => format!("restart {unit}"),
            Step::Stop { unit, .. } => format!("stop {unit}"),
        };
        steps.iter().map(word).collect()
    }

    /// The steps that write every file, and what follows.
    fn with(rest: &[&str]) -> Vec<String> {
        let files = [
            "pipglr.container",
            "pipglr-storage.volume",
            "pipglr-cache.volume",
            "pipglr-state.volume",
        ];
        let written = files.iter().map(|file| format!("write {file}"));
        written.chain(rest.iter().map(|word| (*word).to_owned())).collect()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn installing() {
        let (sandbox, quadlet, facts) = set_up();
        let there = installed(&facts, &quadlet);
        let mut changed = there.clone();
        changed
            .files
            .insert("pipglr.container".to_owned(), format!("{MARK}[Container]\n"));
        let other = Tenant {
            volume: "pipglr-state",
            container: "old".to_owned(),
        };
        let mut foreign = there.clone();
        foreign
            .files
            .insert("pipglr-cache.volume".to_owned(), "[Volume]\n".to_owned());
        for (facts, expected) in [
            (facts.clone(), Ok(with(&["reload", "start pipglr.service"]))),
            (
                Facts {
                    linger: false,
                    systemd: false,
                    ..facts.clone()
                },
                Ok(with(&["linger", "reload", "start pipglr.service"])),
            ),
            (
                Facts {
                    container: Container::Other { running: true },
                    ..facts.clone()
                },
                Ok(with(&[
                    "reload",
                    "stop container",
                    "remove container",
                    "start pipglr.service",
                ])),
            ),
            (there.clone(), Ok(Vec::new())),
            (
                Facts { active: false, ..there },
                Ok(vec!["start pipglr.service".to_owned()]),
            ),
            (
                changed,
                Ok(vec![
                    "write pipglr.container".to_owned(),
                    "reload".to_owned(),
                    "restart pipglr.service".to_owned(),
                ]),
            ),
            (
                Facts {
                    tenant: Some(other.clone()),
                    ..facts.clone()
                },
                Err(Obstacle::Taken(other)),
            ),
            (foreign, Err(Obstacle::NotOurs("pipglr-cache.volume".to_owned()))),
            (
                Facts {
                    systemd: false,
                    ..facts.clone()
                },
                Err(Obstacle::NoSystemd),
            ),
            (
                Facts {
                    generator: false,
                    ..facts.clone()
                },
                Err(Obstacle::NoGenerator),
            ),
            (
                Facts {
                    configuration: false,
                    ..facts
                },
                Err(Obstacle::NoConfiguration),
            ),
        ] {
            let plan = install(&facts, &sandbox, &quadlet).map(|steps| words(&steps));
            assert_eq!(plan, expected, "{facts:?}");
        }
    }

    #[test]
    fn uninstalling_takes_what_is_ours() {
        let (sandbox, quadlet, facts) = set_up();
        assert_eq!(uninstall(&facts, &sandbox, &quadlet), []);
        let mut there = installed(&facts, &quadlet);
        there
            .files
            .insert("pipglr-cache.volume".to_owned(), "[Volume]\n".to_owned());
        assert_eq!(
            words(&uninstall(&there, &sandbox, &quadlet)),
            [
                "stop pipglr.service",
                "remove pipglr.container",
                "remove pipglr-storage.volume",
                "remove pipglr-state.volume",
                "reload"
            ]
        );
    }
}
