//! `pipglr down` and `pipglr restart`.

use super::{Outcome, host};
use crate::cli::{DownArgs, RestartArgs};
use crate::error::CliError;
use crate::output;
use pipglr_host::running::{Running, RunningError};

/// Also where it is down already: what was asked for is there.
pub(super) fn run(args: &DownArgs) -> Outcome {
    let name = &args.account.container;
    let running = Running::new(&host::account(&args.account)?, name);
    let was_there = running.state().map_err(host::explained)?.is_some();
    if was_there {
        say_that_jobs_end(args.time, name)?;
        running.down(args.time).map_err(host::explained)?;
    }
    let removed = if args.volumes {
        running.remove_volumes().map_err(host::explained)?
    } else {
        Vec::new()
    };
    for volume in &removed {
        output::line(format_args!("removed the volume {volume}"))?;
    }
    output::line(if was_there {
        format!("{name} is down")
    } else if removed.is_empty() {
        format!("nothing to do: there is no container {name}")
    } else {
        format!("there was no container {name}")
    })?;
    Ok(0)
}

pub(super) fn restart(args: &RestartArgs) -> Outcome {
    let name = &args.account.container;
    let running = Running::new(&host::account(&args.account)?, name);
    if running.state().map_err(host::explained)?.is_none() {
        return Err(host::explained(RunningError::Missing(name.clone())));
    }
    say_that_jobs_end(args.time, name)?;
    running.restart(args.time).map_err(host::explained)?;
    output::line(format_args!("{name} was restarted"))?;
    Ok(0)
}

fn say_that_jobs_end(time: Option<u32>, name: &str) -> Result<(), CliError> {
    let limit = time.map_or_else(
        || "as long as they take, two hours at most".to_owned(),
        |s| format!("{s} s at most"),
    );
    output::line(format_args!(
        "stopping {name}: it takes no more jobs and waits for those that run, {limit}"
    ))
}
