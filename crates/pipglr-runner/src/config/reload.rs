//! Reading config.toml again when it changes. A file with an error changes nothing.
//!
//! Compat: gitlab-runner commands/multi.go: every three seconds, and at once on SIGHUP.

use super::tokens::TokenStore;
use super::{Config, ConfigError, Parsed, load_config};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

/// Pause between two looks at the file.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(3);

/// A config.toml and the tokens that replace those in it.
#[derive(Debug)]
pub struct ConfigSource {
    path: PathBuf,
    tokens: TokenStore,
    seen: Option<Stamp>,
}

/// Tells versions of the two files apart.
type Stamp = (SystemTime, u64, Option<SystemTime>);

/// How often the configuration was read and written, for metrics.
#[derive(Debug, Default)]
pub struct ReloadCounts {
    pub loaded: AtomicU64,
    pub failed: AtomicU64,
    pub saved: AtomicU64,
    pub not_saved: AtomicU64,
}

impl ReloadCounts {
    /// The file was to be written.
    pub(crate) fn written(&self, done: bool) {
        let counter = if done { &self.saved } else { &self.not_saved };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl ConfigSource {
    /// The file at `path`, with the tokens kept in `state_dir`.
    #[must_use]
    pub fn new(path: &Path, state_dir: &Path) -> Self {
        Self {
            path: path.to_owned(),
            tokens: TokenStore::new(state_dir),
            seen: None,
        }
    }

    /// Reads both.
    ///
    /// # Errors
    /// [`ConfigError`] of the file; tokens that cannot be read are only told to the operator.
    pub fn load(&mut self) -> Result<Parsed, ConfigError> {
        self.seen = self.stamp();
        let mut parsed = load_config(&self.path)?;
        self.renew_tokens(&mut parsed.config);
        Ok(parsed)
    }

    fn renew_tokens(&self, config: &mut Config) {
        if let Err(error) = self.tokens.apply(config) {
            tracing::error!(error = %format!("{:#}", anyhow::Error::from(error)), "tokens of config.toml may be outdated");
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), self.tokens.changed_at()))
    }

    /// Gives `first`, and from then on each good version of the file. Looks at the file every `interval`, and whenever
    /// `asked` is notified.
    pub fn follow(
        mut self,
        first: Config,
        interval: Duration,
        asked: Arc<Notify>,
        counts: Arc<ReloadCounts>,
    ) -> watch::Receiver<Arc<Config>> {
        let (sender, receiver) = watch::channel(Arc::new(first));
        counts.loaded.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let mut look = tokio::time::interval(interval);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let forced = tokio::select! {
                    () = sender.closed() => return,
                    () = asked.notified() => true,
                    _ = look.tick() => false,
                };
                if !forced && self.stamp() == self.seen {
                    continue;
                }
                if let Some(config) = self.reload() {
                    counts.loaded.fetch_add(1, Ordering::Relaxed);
                    sender.send_replace(Arc::new(config));
                    continue;
                }
                counts.failed.fetch_add(1, Ordering::Relaxed);
                if forced {
                    // A token may have been renewed meanwhile: the old one is worth nothing.
                    let mut config = Config::clone(&sender.borrow());
                    self.renew_tokens(&mut config);
                    sender.send_replace(Arc::new(config));
                }
            }
        });
        receiver
    }

    fn reload(&mut self) -> Option<Config> {
        match self.load() {
            Ok(parsed) => {
                for finding in parsed.findings {
                    tracing::warn!("{}:{}: {}", self.path.display(), finding.place, finding.message);
                }
                tracing::info!(config = %self.path.display(), "configuration read again");
                Some(parsed.config)
            }
            Err(error) => {
                tracing::error!(error = %format!("{:#}", anyhow::Error::from(error)), "the changed configuration cannot be used; the last good one stays in force");
                None
            }
        }
    }
}
