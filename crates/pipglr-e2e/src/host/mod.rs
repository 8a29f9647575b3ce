//! The host's side: packages, an account without root, and the namespace it lives in where the host is not ideal.

mod account;
pub mod debian13;
mod keeper;
pub mod packages;
mod turn;

pub use account::Account;

/// The account of stories, quickstart and figures. It is one: they wait for each other.
pub const STAGE_ACCOUNT: &str = "pipglr-stage";

/// Stands before the real command line in commands that run inside an account.
pub(crate) const MARK: &str = "PIPGLR_STAGE";
