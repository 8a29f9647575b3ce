//! `pipglr runner list`.

use super::Outcome;
use super::roster::Roster;
use crate::cli::ConfigArgs;
use crate::output;

/// One line per runner, on stderr as gitlab-runner does; tokens are shortened.
pub(super) fn run(args: &ConfigArgs) -> Outcome {
    let roster = Roster::load(args)?;
    output::message("Listing configured runners", &[("ConfigFile", &roster.file.display())]);
    for runner in &roster.runners {
        output::message(
            &runner.name,
            &[
                ("Executor", &runner.executor),
                ("Token", &runner.token.short()),
                ("URL", &runner.url),
            ],
        );
    }
    Ok(0)
}
