//! `pipglr runner list`.

use super::Outcome;
use crate::cli::ConfigArgs;
use pipglr_runner::config;

/// Prints one line per runner, on stderr as gitlab-runner does; tokens are shortened.
#[expect(clippy::print_stderr, reason = "the command's output, where scripts expect it")]
pub(super) fn run(args: &ConfigArgs) -> Outcome {
    let parsed = config::load_config(&args.config)?;
    eprintln!("Listing configured runners ConfigFile={}", args.config.display());
    for runner in parsed.config.runners {
        eprintln!(
            "{} Executor={} Token={} URL={}",
            runner.name,
            runner.executor,
            runner.token.short(),
            runner.url
        );
    }
    Ok(0)
}
