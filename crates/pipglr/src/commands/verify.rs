//! `pipglr runner verify`.

use super::Outcome;
use crate::cli::VerifyArgs;
use pipglr_runner::config::{self, file::ConfigFile};
use pipglr_runner::registration;

#[expect(clippy::print_stdout, reason = "the command's output")]
pub(super) async fn run(args: &VerifyArgs) -> Outcome {
    let path = &args.config.config;
    let runners = config::load_config(path)?.config.runners;
    let system_id = config::load_or_create_system_id(&args.config.state_dir())?;
    let selected: Vec<_> = runners
        .iter()
        .filter(|r| args.name.as_ref().is_none_or(|n| *n == r.name))
        .collect();
    if selected.is_empty() && args.name.is_some() {
        return Err(anyhow::anyhow!("no runner matches the filtering parameters").into());
    }
    let mut dead = Vec::new();
    for runner in selected {
        let token = runner.token.short();
        match registration::verify(runner, &system_id).await {
            Ok(true) => println!("Verifying runner... is valid     runner={token}"),
            Ok(false) => {
                println!("Verifying runner... is not valid runner={token}");
                dead.push(runner.token.clone());
            }
            // A runner is only given up when GitLab says so.
            Err(error) => println!("Verifying runner... could not be checked, counts as alive runner={token}: {error}"),
        }
    }
    if dead.is_empty() {
        return Ok(0);
    }
    if !args.delete {
        return Err(anyhow::anyhow!("Failed to verify runners").into());
    }
    let mut file = ConfigFile::open(path)?;
    let count = file.remove_runners(|token| dead.contains(token));
    file.save()?;
    println!("Removed {count} of {} runners from {}", runners.len(), path.display());
    Ok(0)
}
