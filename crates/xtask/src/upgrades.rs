//! `cargo xtask upgrades`: the image is replaced again and again while jobs come and go.

use crate::test;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Upgrades, to one of two images and back
    #[arg(long, default_value_t = 20)]
    rounds: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let story = "upgrade: under load".to_owned();
    test::run_stories(&[story], &[("PIPGLR_UPGRADES_ROUNDS", args.rounds.to_string())])
}
