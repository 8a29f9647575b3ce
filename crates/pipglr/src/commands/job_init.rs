//! `pipglr job-init`: process 1 of a build container, and the small process that becomes the job's user.

use super::{Outcome, exit_code, single_threaded};
use crate::cli::JobInitArgs;
use anyhow::Context as _;
use pipglr_runner::container_side::{init, relay as relays};

pub(super) fn run(args: &JobInitArgs) -> Outcome {
    match &args.run_as {
        Some(identity) => Err(init::run_as(identity, &args.command).into()),
        None => {
            relay(args.relay)?;
            single_threaded()?.block_on(async { Ok(exit_code(init::run().await)) })
        }
    }
}

/// Makes the coordinator reachable at a port of the container's loopback, if that is how it is reached.
pub(super) fn relay(port: Option<u16>) -> anyhow::Result<()> {
    match port {
        Some(port) => relays::serve_inside(port).with_context(|| format!("listen on port {port} of the container")),
        None => Ok(()),
    }
}
