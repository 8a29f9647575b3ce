//! Commands of gitlab-runner that are refused.

use super::Outcome;
use crate::cli::Refused;
use crate::error::{CliError, Kind};

pub(super) fn run(refused: &Refused) -> Outcome {
    let Refused { name, why, instead } = refused;
    Err(CliError {
        kind: Kind::Usage,
        source: anyhow::anyhow!("there is no command `{name}` here: {why}"),
        hints: vec![(*instead).to_owned()],
    })
}
