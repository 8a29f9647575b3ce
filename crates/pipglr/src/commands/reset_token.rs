//! `pipglr runner reset-token`.

use super::Outcome;
use super::roster::Roster;
use crate::cli::ResetTokenArgs;
use crate::error::CliError;
use crate::output;
use pipglr_protocol::Secret;
use pipglr_runner::config::RunnerConfig;
use pipglr_runner::config::file::ConfigFile;
use pipglr_runner::manager::rotation;
use pipglr_runner::registration;
use std::fmt::Display;

pub(super) async fn run(args: &ResetTokenArgs) -> Outcome {
    let roster = Roster::load(&args.config)?;
    let selected = select(args, &roster)?;
    ensure_writable(&roster)?;
    let personal = args.pat.as_ref().map(Secret::new);
    let (mut changed, mut failed) = (false, false);
    for runner in selected {
        let token = runner.token.short();
        if let Err(error) = reset(&roster, runner, personal.as_ref()).await {
            output::problem(
                "Resetting runner authentication token... failed",
                &[("name", &runner.name), ("runner", &token), ("reason", &error)],
            );
            failed = true;
        } else {
            changed = true;
            output::message(
                "Resetting runner authentication token... succeeded",
                &[("name", &runner.name), ("runner", &token)],
            );
        }
    }
    if changed {
        output::message(&format!("Updated {}", roster.file.display()), &[]);
    }
    if failed && !args.all_runners {
        return Err(anyhow::anyhow!("Failed to reset runner token").into());
    }
    Ok(0)
}

fn select<'a>(args: &ResetTokenArgs, roster: &'a Roster) -> Result<Vec<&'a RunnerConfig>, CliError> {
    if args.all_runners {
        return Ok(roster.runners.iter().collect());
    }
    if let Some(name) = args.name.as_ref().filter(|name| !name.is_empty()) {
        return Ok(vec![roster.named(name)?]);
    }
    let (Some(url), Some(id)) = (&args.url, args.id) else {
        return Err(CliError::usage(
            "no runner selected: give --name, --url with --id, or --all-runners",
        ));
    };
    let same = |r: &&RunnerConfig| r.id == id && r.url.trim_end_matches('/') == url.trim_end_matches('/');
    let found = roster.runners.iter().find(same);
    let file = roster.file.display();
    Ok(vec![found.ok_or_else(|| {
        anyhow::anyhow!("there is no runner {id} of {url} in {file}")
    })?])
}

/// A new token that cannot be kept would be lost, and the old one is worth nothing then.
fn ensure_writable(roster: &Roster) -> Result<(), CliError> {
    let Err(in_state) = roster.tokens.check() else {
        return Ok(());
    };
    let in_file = ConfigFile::open(&roster.file).and_then(|file| file.save());
    in_file.map_err(|error| {
        CliError::with_hint(
            error,
            format!("a new token could be kept nowhere, so none was asked for ({in_state})"),
        )
    })
}

async fn reset(roster: &Roster, runner: &RunnerConfig, personal: Option<&Secret>) -> Result<(), Box<dyn Display>> {
    if personal.is_some() && runner.id == 0 {
        return Err(Box::new("the entry has no id, which a personal access token needs"));
    }
    let new = registration::reset_token(runner, personal)
        .await
        .map_err(|error| Box::new(error) as Box<dyn Display>)?;
    if rotation::keep(&roster.tokens, &roster.file, runner, &new).anything() {
        Ok(())
    } else {
        Err(Box::new("the new token could not be kept: register this runner again"))
    }
}
