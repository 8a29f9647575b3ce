//! `cargo xtask faults`: kills runner and podman's service at random moments, and looks whether jobs notice.

use crate::test;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The same seed gives the same pauses and the same choice of who is killed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kills
    #[arg(long, default_value_t = 40)]
    rounds: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let story = "adoption: kills at random moments".to_owned();
    test::run_stories(
        &[story],
        &[
            ("PIPGLR_FAULTS_SEED", args.seed.to_string()),
            ("PIPGLR_FAULTS_ROUNDS", args.rounds.to_string()),
        ],
    )
}
