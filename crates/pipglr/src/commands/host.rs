//! The account a host command acts for.

use crate::cli::AccountArgs;
use crate::error::CliError;
use pipglr_host::account::{Account, AccountError};
use pipglr_host::running::RunningError;

/// # Errors
/// There is no such account, we may not act for it, or it is root.
pub(super) fn account(args: &AccountArgs) -> Result<Account, CliError> {
    account_named(args.user.as_deref())
}

/// As [`account`]; without a name, the one we are.
pub(super) fn account_named(user: Option<&str>) -> Result<Account, CliError> {
    let found = match user {
        Some(name) => Account::named(name),
        None => Account::current(),
    };
    let account = found.map_err(|error| match error {
        AccountError::Missing(_) => CliError::with_hint(error, "as root: useradd --create-home ACCOUNT"),
        AccountError::NotRoot(_) => CliError::with_hint(error, "give the command as that account, or as root"),
        error => error.into(),
    })?;
    if account.uid == 0 {
        return Err(CliError::with_hint(
            anyhow::anyhow!("a runner belongs to an account without root"),
            "name it: --user ACCOUNT",
        ));
    }
    Ok(account)
}

/// An error about a container, with what to do about it.
pub(super) fn explained(error: RunningError) -> CliError {
    let hint = match &error {
        RunningError::Missing(_) => "pipglr up sets one up",
        RunningError::Stopped(_) => "pipglr up starts it; pipglr logs reads what it said before",
        RunningError::Answer { .. } => "the image is of another version than this program: pipglr up --image IMAGE",
        RunningError::Podman(_) | RunningError::Unit { .. } | RunningError::Stream(_) => return error.into(),
    };
    CliError::with_hint(error, hint)
}
