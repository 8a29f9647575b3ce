//! `cargo xtask load`: many jobs with services at once, all of them looking up names all the time.

use crate::test;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs, each with two services
    #[arg(long, default_value_t = 150)]
    jobs: u32,
    /// Jobs at once
    #[arg(long, default_value_t = 10)]
    parallel: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let story = "load: jobs with services look up names all the time".to_owned();
    test::run_stories(
        &[story],
        &[
            ("PIPGLR_LOAD_JOBS", args.jobs.to_string()),
            ("PIPGLR_LOAD_PARALLEL", args.parallel.to_string()),
        ],
    )
}
