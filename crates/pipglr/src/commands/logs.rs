//! `pipglr logs`.

use super::{Outcome, host};
use crate::cli::LogsArgs;
use crate::error::CliError;
use crate::output;
use pipglr_host::running::Running;
use pipglr_host::running::logs::Selection;

pub(super) fn run(args: &LogsArgs) -> Outcome {
    let running = Running::new(&host::account(&args.account)?, &args.account.container);
    let wanted = Selection {
        follow: args.follow,
        component: args.component.map(Into::into),
        job: args.job,
    };
    let mut failed: Option<CliError> = None;
    let outcome = running.logs(wanted, |line| match output::line(line) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    outcome.map_err(host::explained)?;
    failed.map_or(Ok(0), Err)
}
