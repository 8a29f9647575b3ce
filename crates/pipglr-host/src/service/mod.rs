//! The runner as a service of the account's systemd: Quadlet units, linger, start at boot. What is there ([`look`]) makes a
//! plan of steps, which is shown or carried out ([`Step::take`]).

mod carry_out;
mod kept;
mod look;
mod plan;
mod wish;

pub use carry_out::ServiceError;
pub use kept::Kept;
pub(crate) use look::unit_file;
pub use look::{Facts, look};
pub use plan::{Obstacle, Step, install, uninstall};
pub use wish::Wish;

use crate::render::Unit;

/// Where podman's generator finds units of an account, below its home.
pub const DIRECTORY: &str = ".config/containers/systemd";
/// Begins every file of ours.
pub const MARK: &str = "# Written by pipglr service install; pipglr service uninstall removes it.\n";

/// The content of a unit's file.
#[must_use]
pub fn content(unit: &Unit) -> String {
    format!("{MARK}{}", unit.text())
}
