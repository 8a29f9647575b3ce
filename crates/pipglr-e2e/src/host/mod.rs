//! The host's side: packages, an account without root, and the namespace it lives in where the host is not ideal.

mod account;
pub mod debian13;
mod keeper;
pub mod packages;
mod subordinate_ids;
mod turn;

pub use account::Account;

/// The account of stories, quickstart and figures. It is one: they wait for each other. A checkout that is built with
/// another name in `PIPGLR_STAGE_ACCOUNT` has one of its own, and can be worked on beside others.
pub const STAGE_ACCOUNT: &str = match option_env!("PIPGLR_STAGE_ACCOUNT") {
    Some(name) => name,
    None => "pipglr-stage",
};

/// Stands before the real command line in commands that run inside an account.
pub(crate) const MARK: &str = "PIPGLR_STAGE";
