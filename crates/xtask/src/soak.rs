//! `cargo xtask soak`: short jobs in a row; whatever grows with their number is a leak.

use crate::test;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs between the first and the last count
    #[arg(long, default_value_t = 2000)]
    jobs: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let story = "soak: short jobs leave nothing behind".to_owned();
    test::run_stories(&[story], &[("PIPGLR_SOAK_JOBS", args.jobs.to_string())])
}
