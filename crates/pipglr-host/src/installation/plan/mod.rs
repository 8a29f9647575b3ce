//! What has to be done, as data.

mod container;
mod step;
mod unit;

pub use step::Step;

use super::command_line::{options, own};
use super::look::{Boot, Config, Container, Facts};
use super::wish::{Pull, Wish};
use crate::sandbox::Sandbox;
use crate::service::Kept;
use crate::tenancy::Tenant;

/// Steps in order, and the container they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub sandbox: Sandbox,
    /// What brings the container back that was replaced, from when it was set aside on. Empty where there is none.
    pub way_back: Vec<Step>,
}

impl Plan {
    /// What to do when the step at this place has failed.
    #[must_use]
    pub fn way_back_from(&self, failed: usize) -> &[Step] {
        match self.steps.get(failed) {
            Some(
                Step::RunContainer { .. }
                | Step::StartContainer { .. }
                | Step::RestartUnit { .. }
                | Step::WaitForHealth { .. },
            ) => &self.way_back,
            // The container is the one that was there: only the unit's file is brought back.
            Some(Step::WriteUnit { .. } | Step::ReloadUnits) => self.way_back.get(..2).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// No plan leads to what is wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("no runner is registered yet, and there is no token to register one with")]
    NoRunner,
    #[error("the image {image} is not on this host")]
    NoImage { image: String },
    #[error("{0}")]
    Taken(Tenant),
    #[error(
        "{container} is kept by the unit {unit} of systemd, which pipglr did not write, and differs from what is wished: \
         {differences}"
    )]
    Unit {
        container: String,
        unit: String,
        differences: String,
        /// The unit says what is wished already; its container was made before that.
        is_old: bool,
    },
}

impl Obstacle {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoRunner => "create a runner in GitLab (CI/CD settings, Runners) and give its token: \
                               --url URL --token-file FILE, or --token-stdin"
                .to_owned(),
            Self::NoImage { image } if is_of_this_host(image) => format!(
                "names under localhost/ are never pulled: podman build --tag {image} … or podman load makes it; \
                 podman images shows what is here"
            ),
            Self::NoImage { image } => {
                format!(
                    "without --no-pull it is pulled; podman pull {image} does it by hand, podman images shows what is here"
                )
            }
            Self::Taken(tenant) => tenant.hint(),
            Self::Unit { unit, is_old: true, .. } => {
                format!("systemctl --user restart {unit} makes the container anew; it waits for jobs first")
            }
            Self::Unit { unit, .. } => format!(
                "change the unit's file, then: systemctl --user daemon-reload; systemctl --user restart {unit}. Or move it \
                 away, and pipglr service install writes one that pipglr up and pipglr upgrade keep up to date"
            ),
        }
    }
}

/// What makes `facts` as `wish` has it.
///
/// # Errors
/// [`Obstacle`].
pub fn plan(facts: &Facts, wish: &Wish) -> Result<Plan, Obstacle> {
    if let Some(tenant) = &facts.tenant {
        return Err(Obstacle::Taken(tenant.clone()));
    }
    let sandbox = sandbox(facts, wish);
    let mut steps = Vec::new();
    let may_pull = wish.pull != Pull::Never && !is_of_this_host(&facts.image);
    if facts.image_id.is_none() && !may_pull {
        return Err(Obstacle::NoImage {
            image: facts.image.clone(),
        });
    }
    let newer_wanted = may_pull && wish.pull == Pull::Newer;
    if newer_wanted || facts.image_id.is_none() {
        steps.push(Step::PullImage {
            image: facts.image.clone(),
        });
    }
    if newer_wanted || matches!(facts.config, Config::Unread) {
        steps.push(Step::LookAgain);
        return Ok(Plan {
            steps,
            sandbox,
            way_back: Vec::new(),
        });
    }
    steps.extend(superseded(facts));
    steps.extend(volumes(facts, &sandbox));
    let configured = configuration(facts, wish)?;
    let stored_anew = !configured.is_empty();
    steps.extend(configured);
    let container::Replacing { steps: last, way_back } = match kept(facts) {
        Some((file, _)) => unit::steps(facts, wish, &sandbox, file, stored_anew),
        None => container::steps(facts, wish, &sandbox, stored_anew)?,
    };
    let left_over = left_over(facts, &last);
    steps.extend(last);
    steps.extend(left_over);
    steps.extend(with_the_machine(facts));
    Ok(Plan {
        steps,
        sandbox,
        way_back,
    })
}

/// An image that was pulled and never put in service, when another one has its name now.
fn superseded(facts: &Facts) -> Option<Step> {
    let image = facts.superseded.clone()?;
    let of_container = |id: &String| containers(facts).any(|there| there.image_id == *id);
    (facts.nameless.contains(&image) && !of_container(&image)).then_some(Step::RemoveImage { image })
}

/// Images of the containers that are gone when these steps are taken. What has a name stays for who wants to go back.
fn left_over(facts: &Facts, steps: &[Step]) -> Vec<Step> {
    let is_new = steps.iter().any(|step| {
        matches!(
            step,
            Step::RunContainer { .. } | Step::RestartUnit { .. } | Step::StartUnit { .. }
        )
    });
    let in_service = if is_new {
        facts.image_id.as_ref()
    } else {
        facts.container.as_ref().map(|there| &there.image_id)
    };
    let gone = containers(facts).map(|there| &there.image_id);
    let mut gone: Vec<&String> = gone
        .filter(|id| Some(*id) != in_service && facts.nameless.contains(id))
        .collect();
    gone.dedup();
    gone.into_iter()
        .map(|image| Step::RemoveImage { image: image.clone() })
        .collect()
}

fn containers(facts: &Facts) -> impl Iterator<Item = &Container> {
    facts.container.iter().chain(&facts.aside)
}

/// What was made here is in no registry.
fn is_of_this_host(image: &str) -> bool {
    image.starts_with("localhost/")
}

/// The file of the unit that keeps the container, and what it says of it, if `pipglr service install` wrote it.
fn kept(facts: &Facts) -> Option<(&str, Kept)> {
    let file = facts.unit_file.as_deref()?;
    let by_it = |there: &Container| there.unit.is_some();
    facts.container.as_ref().is_none_or(by_it).then_some(())?;
    Some((file, Kept::of_file(file)?))
}

/// The container as it is wanted, with what a person added to the one that is there.
fn sandbox(facts: &Facts, wish: &Wish) -> Sandbox {
    let mut sandbox = Sandbox::new(&wish.container, &facts.image);
    sandbox.extra.clone_from(&wish.run_options);
    if let Some((_, kept)) = kept(facts) {
        kept.add_to(&mut sandbox);
        return sandbox;
    }
    sandbox.health_checks = facts.session_systemd;
    if let Some(there) = facts.container.as_ref().or(facts.aside.as_ref()) {
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

/// A unit of its own starts its container with the machine, too.
fn with_the_machine(facts: &Facts) -> Option<Step> {
    let unit = facts.container.as_ref().and_then(|there| there.unit.as_ref());
    let has_unit = unit.is_some() || kept(facts).is_some();
    (facts.boot == Boot::Disabled && !has_unit).then_some(Step::EnableRestart)
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

#[cfg(test)]
mod host_tests;
#[cfg(test)]
mod tests;
