//! `pipglr upgrade`: what `pipglr up` does about another image, which it gets first.

use super::steps::{self, Manner};
use super::{Outcome, host};
use crate::cli::UpgradeArgs;
use crate::error::CliError;
use pipglr_host::installation::{Pull, Wish, look};
use pipglr_host::running::RunningError;

pub(super) fn run(args: UpgradeArgs) -> Outcome {
    let account = host::account(&args.account)?;
    let patience = args.timeout.map(|limit| {
        u32::try_from(limit.as_secs()).map_err(|_| CliError::usage("--timeout: nobody waits for that long"))
    });
    let wish = Wish {
        container: args.account.container,
        image: args.image,
        pull: if args.no_pull { Pull::Never } else { Pull::Newer },
        registration: None,
        concurrent: None,
        run_options: Vec::new(),
        patience: patience.transpose()?,
    };
    let facts = look(&account, &wish)?;
    if facts.container.is_none() && facts.aside.is_none() {
        return Err(host::explained(RunningError::Missing(wish.container)));
    }
    let manner = Manner {
        dry_run: args.dry_run,
        json: args.json,
        host: Vec::new(),
    };
    steps::lead(&account, wish, facts, &manner)
}
