//! The account a host command acts for.

use crate::cli::AccountArgs;
use crate::error::CliError;
use pipglr_host::account::{Account, AccountError};

/// # Errors
/// There is no such account, we may not act for it, or it is root.
pub(super) fn account(args: &AccountArgs) -> Result<Account, CliError> {
    let found = match &args.user {
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
