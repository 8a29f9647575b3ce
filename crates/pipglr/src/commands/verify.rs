//! `pipglr runner verify`.

use super::Outcome;
use super::roster::Roster;
use crate::cli::VerifyArgs;
use crate::output;
use pipglr_runner::config::{self, RunnerConfig};
use pipglr_runner::registration;

pub(super) async fn run(args: &VerifyArgs) -> Outcome {
    let roster = Roster::load(&args.config)?;
    let system_id = config::load_or_create_system_id(&args.config.state_dir())?;
    let selected: Vec<_> = roster.runners.iter().filter(|r| selects(args, &roster, r)).collect();
    let filtered = args.name.is_some() || args.token.is_some() || args.url.is_some();
    if selected.is_empty() && filtered {
        return Err(anyhow::anyhow!("no runner matches the filtering parameters").into());
    }
    let mut dead = Vec::new();
    for runner in selected {
        let token = runner.token.short();
        match registration::verify(runner, &system_id).await {
            Ok(true) => output::message("Verifying runner... is valid", &[("runner", &token)]),
            Ok(false) => {
                output::problem("Verifying runner... is not valid", &[("runner", &token)]);
                dead.push(runner.token.clone());
            }
            // A runner is only given up when GitLab says so.
            Err(error) => output::problem(
                "Verifying runner... failed, it counts as alive",
                &[("runner", &token), ("reason", &error)],
            ),
        }
    }
    if dead.is_empty() {
        return Ok(0);
    }
    if !args.delete {
        return Err(anyhow::anyhow!("Failed to verify runners").into());
    }
    roster.remove(&dead)?;
    Ok(0)
}

/// Compat: gitlab-runner commands/verify.go: by name, or by token where the address does not contradict.
fn selects(args: &VerifyArgs, roster: &Roster, runner: &RunnerConfig) -> bool {
    let url = args.url.as_deref().filter(|url| !url.is_empty() && *url != "*");
    let here = url.is_none_or(|url| url.trim_end_matches('/') == runner.url.trim_end_matches('/'));
    match (&args.name, &args.token) {
        (None, None) => here,
        (name, token) => {
            name.as_ref().is_some_and(|name| *name == runner.name)
                || (here && token.as_ref().is_some_and(|token| roster.has_token(runner, token)))
        }
    }
}
