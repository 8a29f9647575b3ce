//! A container that a unit of ours keeps: systemd makes it anew by the unit's file.

use super::Step;
use super::container::{HEALTH_LIMIT, ILL_LIMIT, Replacing};
use crate::installation::look::{Container, Facts};
use crate::installation::wish::Wish;
use crate::render::quadlet;
use crate::sandbox::Sandbox;
use crate::service::content;

/// What leads from the unit's container to the one that is wanted, and back if that is not healthy.
pub(super) fn steps(facts: &Facts, wish: &Wish, sandbox: &Sandbox, file: &str, stored_anew: bool) -> Replacing {
    let unit = Unit::of(sandbox);
    let wanted = quadlet(sandbox)
        .files
        .into_iter()
        .next()
        .map(|(_, unit)| content(&unit));
    let rewritten = wanted.filter(|text| text != file);
    let mut steps = Vec::new();
    let is_of_image = |there: &Container| facts.image_id.as_ref() == Some(&there.image_id);
    let another_image = facts.container.as_ref().is_some_and(|there| !is_of_image(there));
    if another_image {
        steps.push(Step::TryOut {
            image: sandbox.image.clone(),
        });
    }
    let because = because(facts, another_image, stored_anew, rewritten.is_some());
    let mut way_back = Vec::new();
    if let Some(text) = &rewritten {
        steps.extend(unit.rewrite(text));
        way_back.extend(unit.rewrite(file));
    }
    if let Some(there) = facts.container.as_ref().filter(|_| another_image)
        && there.image == facts.image
    {
        // The unit's file knows it by this name.
        way_back.push(Step::TagImage {
            id: there.image_id.clone(),
            name: there.image.clone(),
        });
    }
    match &facts.container {
        Some(Container { healthy: true, .. }) if because.is_empty() => {}
        Some(Container { running: true, .. }) if because.is_empty() => steps.push(unit.wait()),
        Some(Container { running: true, .. }) => {
            let limit = wish.patience.unwrap_or(sandbox.stop_timeout);
            steps.extend([unit.restart(because, limit), unit.wait()]);
        }
        Some(_) | None => steps.extend([unit.start(), unit.wait()]),
    }
    if !way_back.is_empty() {
        way_back.extend([
            unit.restart(vec!["it is not healthy".to_owned()], ILL_LIMIT),
            unit.wait(),
        ]);
    }
    if facts.aside.is_some() {
        steps.push(Step::RemoveContainer {
            name: Sandbox::aside(&sandbox.name),
        });
    }
    Replacing { steps, way_back }
}

/// Why the container has to be made anew; nothing where there is none.
fn because(facts: &Facts, another_image: bool, stored_anew: bool, rewritten: bool) -> Vec<String> {
    let Some(there) = &facts.container else {
        return Vec::new();
    };
    let reasons = [
        (another_image, "its image is another"),
        (stored_anew || !there.is_configured, "its configuration is another"),
        (rewritten && !another_image, "its unit is another"),
    ];
    let given = reasons.into_iter().filter(|(holds, _)| *holds);
    given.map(|(_, reason)| reason.to_owned()).collect()
}

/// The unit of a container.
struct Unit<'s> {
    name: &'s str,
}

impl<'s> Unit<'s> {
    fn of(sandbox: &'s Sandbox) -> Self {
        Self { name: &sandbox.name }
    }

    fn service(&self) -> String {
        format!("{}.service", self.name)
    }

    fn rewrite(&self, text: &str) -> [Step; 2] {
        let write = Step::WriteUnit {
            file: format!("{}.container", self.name),
            text: text.to_owned(),
        };
        [write, Step::ReloadUnits]
    }

    fn start(&self) -> Step {
        Step::StartUnit { unit: self.service() }
    }

    fn restart(&self, because: Vec<String>, limit: u32) -> Step {
        Step::RestartUnit {
            unit: self.service(),
            name: self.name.to_owned(),
            because,
            limit,
        }
    }

    fn wait(&self) -> Step {
        Step::WaitForHealth {
            name: self.name.to_owned(),
            limit: HEALTH_LIMIT,
        }
    }
}
