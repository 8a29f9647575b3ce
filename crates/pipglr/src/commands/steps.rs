//! From what is there to what is wished, step by step, for `pipglr up` and `pipglr upgrade`.

use super::Outcome;
use crate::error::CliError;
use crate::output;
use anyhow::Context as _;
use pipglr_host::account::Account;
use pipglr_host::doctor::CarriedOut;
use pipglr_host::installation::{Boot, CarryOutError, Facts, Plan, Pull, Step, Wish, Worker, look, plan};
use serde_json::json;

/// How it is told, and whether it is done.
pub(super) struct Manner {
    pub(super) dry_run: bool,
    pub(super) json: bool,
    /// What was done to the host before, or would be.
    pub(super) host: Vec<CarriedOut>,
}

/// Plans, carries out and tells.
pub(super) fn lead(account: &Account, mut wish: Wish, facts: Facts, manner: &Manner) -> Outcome {
    let first = planned(&facts, &wish)?;
    let has_unit = facts.unit_file.is_some() || facts.container.as_ref().is_some_and(|there| there.unit.is_some());
    let alone = facts.boot == Boot::Nothing && !has_unit;
    let steps = if manner.dry_run {
        first.steps
    } else {
        carry_out_all(account, &mut wish, facts, first, manner.json)?
    };
    let Wish { container, .. } = &wish;
    // Images that are pulled, and go again, are no change of the runner.
    let is_asking = |step: &Step| {
        matches!(
            step,
            Step::PullImage { .. } | Step::LookAgain | Step::RemoveImage { .. }
        )
    };
    let did_something = !manner.host.is_empty() || !steps.iter().all(is_asking);
    let changed = did_something && !manner.dry_run;
    if manner.json {
        output::line(json(container, manner, changed, &steps))?;
    } else if changed {
        output::line(format_args!("{container} is up and healthy"))?;
        if alone {
            output::line(
                "nothing starts it again with the machine: pipglr service install does, where the account has a systemd",
            )?;
        }
    } else if manner.dry_run && !steps.is_empty() {
        for step in &steps {
            output::line(format_args!("would {step}"))?;
        }
    } else {
        output::line(format_args!("nothing to do: {container} is healthy and as wished"))?;
    }
    Ok(0)
}

/// What is to be done on a host on which nothing can be looked at yet.
pub(super) fn unseen(wish: &Wish, manner: &Manner) -> Outcome {
    if manner.json {
        output::line(json(&wish.container, manner, false, &[Step::LookAgain]))?;
    } else {
        output::line(format_args!("would {}", Step::LookAgain))?;
    }
    Ok(0)
}

fn json(container: &str, manner: &Manner, changed: bool, steps: &[Step]) -> serde_json::Value {
    let Manner { dry_run, host, .. } = manner;
    json!({ "container": container, "dry_run": dry_run, "changed": changed, "host": host, "steps": steps })
}

fn planned(facts: &Facts, wish: &Wish) -> Result<Plan, CliError> {
    plan(facts, wish).map_err(|obstacle| {
        let hint = obstacle.hint();
        CliError::with_hint(obstacle, hint)
    })
}

/// Carries out plans until one does not end with another look. Gives all steps.
fn carry_out_all(
    account: &Account,
    wish: &mut Wish,
    mut facts: Facts,
    mut plan: Plan,
    mut quiet: bool,
) -> Result<Vec<Step>, CliError> {
    let mut done = Vec::new();
    loop {
        let mut worker = Worker::new(account, &facts, wish, &plan);
        for (at, step) in plan.steps.iter().enumerate() {
            // That nobody reads is no reason to leave a runner half replaced; who tells the end will notice.
            quiet = quiet || output::line(step).is_err();
            if let Err(error) = worker.take(step) {
                return Err(failed(&mut worker, step, error, plan.way_back_from(at), quiet));
            }
        }
        let again = plan.steps.last() == Some(&Step::LookAgain);
        done.append(&mut plan.steps);
        if !again {
            return Ok(done);
        }
        // Once is enough.
        if wish.pull == Pull::Newer {
            wish.pull = Pull::Missing;
        }
        let before = facts.image_id;
        facts = look(account, wish)?;
        facts.superseded = before.filter(|id| facts.image_id.as_ref() != Some(id));
        plan = planned(&facts, wish)?;
    }
}

/// Goes the way back, if there is one, and tells both.
fn failed(worker: &mut Worker, step: &Step, error: CarryOutError, way_back: &[Step], quiet: bool) -> CliError {
    let hint = error.hint();
    let mut told = CliError::with_hint(anyhow::Error::new(error).context(format!("cannot {step}")), hint);
    if way_back.is_empty() {
        return told;
    }
    told.hints.clear();
    let back = way_back.iter().try_for_each(|step| {
        if !quiet {
            output::aside(format_args!("going back: {step}"));
        }
        worker.take(step).with_context(|| format!("cannot {step}"))
    });
    told.hints.push(match back {
        Ok(()) => "the container that was there before is in service again".to_owned(),
        Err(error) => format!("going back failed, too: {error:#}; the same command again goes on from here"),
    });
    told
}
