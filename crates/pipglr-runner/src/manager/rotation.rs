//! Exchanging authentication tokens before they expire.
//!
//! Compat: gitlab-runner commands/multi.go. There a runner with `FF_DISABLE_AUTOMATIC_TOKEN_ROTATION` ends it for all.

use crate::config::file::ConfigFile;
use crate::config::{Config, NewToken, ReloadCounts, RunnerConfig, TokenStore};
use crate::registration;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// After an exchange that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// Longest sleep: the clock may be set meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Where new tokens go.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub tokens: TokenStore,
    /// Changed as well, where it can be written.
    pub config_file: PathBuf,
    /// Makes the configuration be read again.
    pub reload: Arc<Notify>,
    pub counts: Arc<ReloadCounts>,
}

/// Where a new token was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptIn {
    pub state_directory: bool,
    pub config_file: bool,
}

impl KeptIn {
    /// Whether it was kept at all.
    #[must_use]
    pub fn anything(self) -> bool {
        self.state_directory || self.config_file
    }
}

impl Rotation {
    /// Exchanges tokens as they become due, until `stop`.
    pub(super) async fn run(self, mut configs: watch::Receiver<Arc<Config>>, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let config = configs.borrow_and_update().clone();
            let Some((due, runner)) = next(&config) else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = configs.changed() => if changed.is_err() { return } else { continue },
                }
            };
            let pause = pause_until(due, Timestamp::now()).max(FIRST_PAUSE * failures);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = configs.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => {
                    if due > Timestamp::now() {
                        continue;
                    }
                    if !self.exchange(runner).await {
                        failures = (failures + 1).min(60);
                        continue;
                    }
                    failures = 0;
                    // The old token must not be exchanged again before the configuration has the new one.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        changed = configs.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// True if there is a new token.
    async fn exchange(&self, runner: &RunnerConfig) -> bool {
        let short = runner.token.short();
        let new = match registration::reset_token(runner, None).await {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(runner = short, %error, "the runner's token could not be renewed; it will be tried again");
                return false;
            }
        };
        let kept = keep(&self.tokens, &self.config_file, runner, &new);
        self.counts.written(kept.config_file);
        tracing::info!(
            runner = short,
            expires_at = new.expires_at,
            "the runner's token was renewed"
        );
        self.reload.notify_one();
        true
    }
}

/// Writes a new token to wherever it can be written.
pub fn keep(tokens: &TokenStore, config_file: &std::path::Path, runner: &RunnerConfig, new: &NewToken) -> KeptIn {
    let short = runner.token.short();
    let stored = tokens.replace(&runner.token, new);
    let written = ConfigFile::open(config_file).and_then(|mut file| {
        let is_it = |written: &pipglr_protocol::Secret| {
            tokens.is_now(written, &runner.token) || tokens.is_now(written, &new.token)
        };
        if file.replace_token(is_it, new) > 0 {
            file.save()?;
        }
        Ok(())
    });
    match (&stored, &written) {
        (Err(error), Err(_)) => {
            tracing::error!(runner = short, error = %chain(error), "the runner's new token could not be kept anywhere: register again when this process has ended");
        }
        (Err(error), Ok(())) => {
            tracing::warn!(runner = short, error = %chain(error), "the runner's new token is in config.toml only");
        }
        (Ok(()), Err(error)) => {
            tracing::debug!(runner = short, error = %chain(error), "config.toml keeps the old token, the state directory has the new one");
        }
        (Ok(()), Ok(())) => {}
    }
    KeptIn {
        state_directory: stored.is_ok(),
        config_file: written.is_ok(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|c| format!(": {c}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// The runner whose token is due first, and when.
fn next(config: &Config) -> Option<(Timestamp, &RunnerConfig)> {
    let stays = |r: &&RunnerConfig| r.feature_flags.get("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION") == Some(&true);
    let runners = config.runners.iter().filter(|r| !r.token.is_empty() && !stays(r));
    let due = runners.filter_map(|r| Some((due(r.token_obtained_at(), r.token_expires_at()?), r)));
    due.min_by_key(|(due, _)| *due)
}

/// After three quarters of its life; at once if nobody knows when it began.
fn due(obtained: Option<Timestamp>, expires: Timestamp) -> Timestamp {
    let Some(obtained) = obtained.filter(|o| *o < expires) else {
        return Timestamp::UNIX_EPOCH;
    };
    let life = expires.as_second() - obtained.as_second();
    Timestamp::from_second(obtained.as_second() + life / 4 * 3).unwrap_or(obtained)
}

fn pause_until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(due.as_second() - now.as_second()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::next;
    use crate::config::parse_config;

    #[test]
    fn the_token_that_is_due_first_is_next() {
        let entry = |token: &str, obtained: &str, expires: &str, flags: &str| {
            format!(
                "[[runners]]\nurl = \"http://x\"\ntoken = \"{token}\"\n{obtained}\ntoken_expires_at = {expires}\nfeature_flags = {{ {flags} }}\n"
            )
        };
        let obtained = "token_obtained_at = 2026-01-01T00:00:00Z";
        let year = entry("year", obtained, "2027-01-01T00:00:00Z", "");
        let month = entry("month", obtained, "2026-02-02T00:00:00Z", "");
        let never = entry("never", obtained, "0001-01-01T00:00:00Z", "");
        let stays = entry(
            "stays",
            obtained,
            "2026-01-02T00:00:00Z",
            "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true",
        );
        let unknown = entry("unknown", "", "2026-02-02T00:00:00Z", "");
        for (text, expected) in [
            (
                format!("{year}{month}{never}{stays}"),
                Some(("2026-01-25T00:00:00Z", "month")),
            ),
            (format!("{month}{unknown}"), Some(("1970-01-01T00:00:00Z", "unknown"))),
            (format!("{never}{stays}"), None),
        ] {
            let config = parse_config(&text, "c").unwrap().config;
            let found = next(&config).map(|(due, r)| (due.to_string(), r.token.expose().to_owned()));
            assert_eq!(found, expected.map(|(due, token)| (due.to_owned(), token.to_owned())));
        }
    }
}
