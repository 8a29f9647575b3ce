//! `pipglr top`.

use super::{Outcome, host, status};
use crate::cli::TopArgs;
use crate::output;
use pipglr_host::running::Running;
use pipglr_host::running::usage::Usage;

pub(super) fn run(args: &TopArgs) -> Outcome {
    let running = Running::new(&host::account(&args.account)?, &args.account.container);
    let usage = running.usage().map_err(host::explained)?;
    if args.json {
        output::line(serde_json::to_string(&usage)?)?;
        return Ok(0);
    }
    let heading = [
        "JOB",
        "CONTAINER",
        "CPU",
        "MEMORY",
        "DISK IO",
        "NETWORK IO",
        "PROCESSES",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(usage.into_iter().map(row));
    status::table(&rows)?;
    Ok(0)
}

fn row(usage: Usage) -> Vec<String> {
    vec![
        usage.job,
        usage.kind,
        usage.cpu,
        usage.memory,
        usage.block_io,
        usage.network_io,
        usage.processes,
    ]
}
