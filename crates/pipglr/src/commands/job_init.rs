//! `pipglr job-init`: process 1 of a build container, and the small process that becomes the job's user.

use super::{Outcome, exit_code, single_threaded};
use crate::cli::JobInitArgs;
use pipglr_runner::container_side::init;

pub(super) fn run(args: &JobInitArgs) -> Outcome {
    match &args.run_as {
        Some(identity) => Err(init::run_as(identity, &args.command).into()),
        None => single_threaded()?.block_on(async { Ok(exit_code(init::run().await)) }),
    }
}
