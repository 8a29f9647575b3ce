//! The container: made, started, or replaced with a way back.

use super::{Obstacle, Step};
use crate::installation::command_line::{missing, options};
use crate::installation::look::{Container, Facts};
use crate::installation::wish::Wish;
use crate::sandbox::Sandbox;

/// Longest time a new container has until runner and engine answer, in seconds.
pub(super) const HEALTH_LIMIT: u32 = 120;
/// Longest time the jobs of a container have that is replaced because it is ill, in seconds.
pub(super) const ILL_LIMIT: u32 = 60;

/// Steps, and those that bring the replaced container back.
pub(super) struct Replacing {
    pub(super) steps: Vec<Step>,
    pub(super) way_back: Vec<Step>,
}

/// What leads from the container that is there to the one that is wanted.
///
/// # Errors
/// A unit of systemd keeps it.
pub(super) fn steps(facts: &Facts, wish: &Wish, sandbox: &Sandbox, stored_anew: bool) -> Result<Replacing, Obstacle> {
    let names = Names::of(sandbox);
    let (run, wait) = (names.run(sandbox), names.wait());
    let Some(there) = &facts.container else {
        // What was replaced when it was broken off is the way back.
        let mut steps = Vec::new();
        if facts.aside.as_ref().is_some_and(|aside| aside.running) {
            steps.push(names.stop_aside());
        }
        steps.extend([run, wait]);
        return Ok(names.with_way_back(steps, facts.aside.is_some()));
    };
    let mut because = differences(facts, there, sandbox, stored_anew);
    if there.unit.is_some() {
        because.extend(lacks(facts, there, &wish.run_options));
    }
    if let (Some(unit), false) = (&there.unit, because.is_empty()) {
        return Err(Obstacle::Unit {
            container: sandbox.name.clone(),
            unit: unit.clone(),
            differences: because.join(", "),
            is_old: there.image == facts.image && lacks(facts, there, &wish.run_options).is_empty(),
        });
    }
    if because.is_empty() {
        let steps = match there {
            Container { healthy: true, .. } => Vec::new(),
            Container { running: true, .. } => vec![wait],
            _ => vec![names.start(), wait],
        };
        return Ok(names.with_way_back(steps, facts.aside.is_some()));
    }
    let mut steps = Vec::new();
    // One that is healthy is the better way back.
    let mut has_aside = facts.aside.is_some();
    if has_aside && there.healthy {
        steps.push(names.remove_aside());
        has_aside = false;
    }
    if facts.image_id.as_ref() != Some(&there.image_id) {
        steps.push(Step::TryOut {
            image: sandbox.image.clone(),
        });
    }
    if there.running {
        steps.push(Step::StopContainer {
            name: sandbox.name.clone(),
            because,
            limit: wish.patience.unwrap_or(sandbox.stop_timeout),
        });
    }
    steps.push(if has_aside { names.remove() } else { names.set_aside() });
    steps.extend([run, wait]);
    let mut replacing = names.with_way_back(steps, true);
    if !there.running && !has_aside {
        // As it was: it did not run.
        replacing
            .way_back
            .retain(|step| !matches!(step, Step::StartContainer { .. } | Step::WaitForHealth { .. }));
    }
    Ok(replacing)
}

/// The container in service and the one it replaces.
struct Names {
    name: String,
    aside: String,
}

impl Names {
    fn of(sandbox: &Sandbox) -> Self {
        Self {
            name: sandbox.name.clone(),
            aside: Sandbox::aside(&sandbox.name),
        }
    }

    fn run(&self, sandbox: &Sandbox) -> Step {
        Step::RunContainer {
            name: self.name.clone(),
            image: sandbox.image.clone(),
        }
    }

    fn start(&self) -> Step {
        Step::StartContainer {
            name: self.name.clone(),
        }
    }

    fn wait(&self) -> Step {
        Step::WaitForHealth {
            name: self.name.clone(),
            limit: HEALTH_LIMIT,
        }
    }

    fn set_aside(&self) -> Step {
        Step::RenameContainer {
            from: self.name.clone(),
            to: self.aside.clone(),
        }
    }

    fn remove(&self) -> Step {
        Step::RemoveContainer {
            name: self.name.clone(),
        }
    }

    fn remove_aside(&self) -> Step {
        Step::RemoveContainer {
            name: self.aside.clone(),
        }
    }

    fn stop_aside(&self) -> Step {
        Step::StopContainer {
            name: self.aside.clone(),
            because: vec!["it was to be replaced".to_owned()],
            limit: ILL_LIMIT,
        }
    }

    /// The steps, and if there is a container aside, what becomes of it.
    fn with_way_back(&self, mut steps: Vec<Step>, has_aside: bool) -> Replacing {
        let mut way_back = Vec::new();
        if has_aside {
            way_back.extend([
                Step::StopContainer {
                    name: self.name.clone(),
                    because: vec!["it is not healthy".to_owned()],
                    limit: ILL_LIMIT,
                },
                self.remove(),
                Step::RenameContainer {
                    from: self.aside.clone(),
                    to: self.name.clone(),
                },
                self.start(),
                self.wait(),
            ]);
            steps.push(self.remove_aside());
        }
        Replacing { steps, way_back }
    }
}

/// Why the container that is there is not the one that is wanted.
fn differences(facts: &Facts, there: &Container, sandbox: &Sandbox, stored_anew: bool) -> Vec<String> {
    let mut all = Vec::new();
    if facts.image_id.as_ref() != Some(&there.image_id) {
        all.push("its image is another".to_owned());
    }
    if stored_anew || !there.is_configured {
        all.push("its configuration is another".to_owned());
    }
    // What a unit's container was made by is the unit's matter.
    if there.unit.is_none() {
        all.extend(lacks(facts, there, &sandbox.run_arguments()));
    }
    all
}

/// Options the container was not made with.
fn lacks(facts: &Facts, there: &Container, arguments: &[String]) -> Vec<String> {
    let mut command = vec!["run".to_owned()];
    command.extend(arguments.iter().filter(|word| *word != "run").cloned());
    let wanted = options(&command, &facts.image);
    let have = options(&there.command, &there.image);
    let missing = missing(&have, &wanted).into_iter();
    missing.map(|option| format!("it lacks {option}")).collect()
}
