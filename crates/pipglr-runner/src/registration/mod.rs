//! `register`, `verify`, `unregister`: what changes config.toml and GitLab's list of runners.

mod entry;
pub mod options;
mod register;
mod template;

pub use entry::{EntryError, OptionError, runner_of};
pub use options::{Kind, OPTIONS, RunnerOption};
pub use register::{RegisterError, RegisterRequestFields, Registered, register};
pub use template::Template;

use crate::config::{NewToken, RunnerConfig};
use crate::gitlab::{Connection, Error, GitLab, TlsFiles, Verified};
use crate::manager::runner_info;
use jiff::Timestamp;
use pipglr_protocol::Secret;

/// Whether the coordinator knows a configured runner's token.
///
/// # Errors
/// The coordinator cannot be asked.
pub async fn verify(runner: &RunnerConfig, system_id: &str) -> Result<bool, Error> {
    let verified = connect(runner)?
        .verify(&runner.token, system_id, &runner_info(Some(runner)))
        .await?;
    Ok(matches!(verified, Verified::Alive(_)))
}

/// Takes a configured runner out of GitLab: of a `glrt-` runner only this manager.
///
/// # Errors
/// The coordinator refuses or cannot be asked.
pub async fn unregister(runner: &RunnerConfig, system_id: &str) -> Result<(), Error> {
    let manager = is_created_token(runner.token.expose()).then_some(system_id);
    connect(runner)?.unregister(&runner.token, manager).await
}

/// Exchanges a configured runner's token for a new one; the old one is worth nothing afterwards. With a personal access
/// token the runner is named by its number.
///
/// # Errors
/// The coordinator refuses or cannot be asked.
pub async fn reset_token(runner: &RunnerConfig, personal: Option<&Secret>) -> Result<NewToken, Error> {
    let gitlab = connect(runner)?;
    let response = match personal {
        None => gitlab.reset_token(&runner.token).await?,
        Some(personal) => gitlab.reset_token_of(runner.id, personal).await?,
    };
    Ok(NewToken {
        token: response.token,
        obtained_at: whole_second_now().to_string(),
        expires_at: response.token_expires_at,
    })
}

/// Now, as the file writes times.
fn whole_second_now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Tokens of runners that were created in GitLab beforehand.
fn is_created_token(token: &str) -> bool {
    token.starts_with("glrt-")
}

fn connect(runner: &RunnerConfig) -> Result<GitLab, Error> {
    let tls = TlsFiles {
        ca: runner.tls_ca_file.clone(),
        cert: runner.tls_cert_file.clone(),
        key: runner.tls_key_file.clone(),
        ca_text: None,
        identity_text: None,
    };
    GitLab::connect(&Connection {
        url: runner.url.clone(),
        tls,
    })
}
