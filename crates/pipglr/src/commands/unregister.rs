//! `pipglr runner unregister`.

use super::Outcome;
use crate::cli::UnregisterArgs;
use crate::error::CliError;
use pipglr_runner::config::{self, file::ConfigFile};
use pipglr_runner::registration;

#[expect(clippy::print_stdout, reason = "the command's output")]
pub(super) async fn run(args: &UnregisterArgs) -> Outcome {
    let path = &args.config.config;
    let runners = config::load_config(path)?.config.runners;
    let system_id = config::load_or_create_system_id(&args.config.state_dir())?;
    let wanted = |r: &&config::RunnerConfig| {
        args.all_runners
            || args.name.as_ref().is_some_and(|n| *n == r.name)
            || args.token.as_ref().is_some_and(|t| t == r.token.expose())
    };
    let selected: Vec<_> = runners
        .iter()
        .filter(wanted)
        .take(if args.all_runners { usize::MAX } else { 1 })
        .collect();
    if selected.is_empty() {
        return Err(CliError::usage(
            "no runner selected: give --name, --token or --all-runners",
        ));
    }
    let mut gone = Vec::new();
    let mut failed = 0;
    for runner in selected {
        match registration::unregister(runner, &system_id).await {
            Ok(()) => {
                println!(
                    "Unregistering runner from GitLab succeeded runner={}",
                    runner.token.short()
                );
                gone.push(runner.token.clone());
            }
            Err(error) => {
                failed += 1;
                tracing::error!(runner = runner.token.short(), %error, "unregistering runner from GitLab failed");
            }
        }
    }
    let mut file = ConfigFile::open(path)?;
    file.remove_runners(|token| gone.contains(token));
    file.save()?;
    Ok(u8::from(failed > 0 && !args.all_runners))
}
