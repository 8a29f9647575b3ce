//! `pipglr runner unregister`.

use super::Outcome;
use super::roster::Roster;
use crate::cli::UnregisterArgs;
use crate::error::CliError;
use crate::output;
use pipglr_runner::config::{self, RunnerConfig};
use pipglr_runner::registration;

pub(super) async fn run(args: &UnregisterArgs) -> Outcome {
    let roster = Roster::load(&args.config)?;
    let selected = select(args, &roster)?;
    let system_id = config::load_or_create_system_id(&args.config.state_dir())?;
    let (mut gone, mut failed) = (Vec::new(), None);
    for runner in selected {
        let token = runner.token.short();
        match registration::unregister(runner, &system_id).await {
            Ok(()) => {
                output::message("Unregistering runner from GitLab succeeded", &[("runner", &token)]);
                gone.push(runner.token.clone());
            }
            Err(error) => {
                output::problem(
                    "Unregistering runner from GitLab failed",
                    &[("runner", &token), ("reason", &error)],
                );
                failed = Some(runner.name.clone());
            }
        }
    }
    roster.remove(&gone)?;
    match failed {
        // Compat: gitlab-runner commands/unregister.go: with all of them, failures are only told.
        Some(name) if !args.all_runners => Err(anyhow::anyhow!("Failed to unregister runner {name}").into()),
        _ => Ok(0),
    }
}

/// All of them, the first of the name, or the one with the token.
fn select<'a>(args: &UnregisterArgs, roster: &'a Roster) -> Result<Vec<&'a RunnerConfig>, CliError> {
    if args.all_runners {
        return Ok(roster.runners.iter().collect());
    }
    if let Some(name) = args.name.as_ref().filter(|name| !name.is_empty()) {
        return Ok(vec![roster.named(name)?]);
    }
    let Some(token) = args.token.as_ref().filter(|token| !token.is_empty()) else {
        return Err(CliError::usage(
            "no runner selected: give --name, --token or --all-runners",
        ));
    };
    let found = roster.runners.iter().find(|r| roster.has_token(r, token));
    let file = roster.file.display();
    let found = found.ok_or_else(|| anyhow::anyhow!("there is no runner with this token in {file}"))?;
    Ok(vec![found])
}
