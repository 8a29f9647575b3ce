//! The runners of a config.toml as commands see them: with the tokens that are good now.

use crate::cli::ConfigArgs;
use crate::error::CliError;
use crate::output;
use pipglr_protocol::Secret;
use pipglr_runner::config::file::ConfigFile;
use pipglr_runner::config::{ConfigSource, RunnerConfig, TokenStore};
use std::path::PathBuf;

pub(super) struct Roster {
    pub(super) runners: Vec<RunnerConfig>,
    pub(super) tokens: TokenStore,
    pub(super) file: PathBuf,
}

impl Roster {
    /// Reads the file and the tokens that replace those in it.
    pub(super) fn load(args: &ConfigArgs) -> Result<Self, CliError> {
        let state_dir = args.state_dir();
        let parsed = ConfigSource::new(&args.config, &state_dir).load()?;
        Ok(Self {
            runners: parsed.config.runners,
            tokens: TokenStore::new(&state_dir),
            file: args.config.clone(),
        })
    }

    /// The first runner of this name.
    pub(super) fn named(&self, name: &str) -> Result<&RunnerConfig, CliError> {
        let found = self.runners.iter().find(|r| r.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.runners.iter().map(|r| r.name.as_str()).collect();
            CliError::with_hint(
                anyhow::anyhow!("there is no runner {name:?} in {}", self.file.display()),
                format!("its runners are: {}", names.join(", ")),
            )
        })
    }

    /// Whether `given` is the runner's token, or was it once.
    pub(super) fn has_token(&self, runner: &RunnerConfig, given: &str) -> bool {
        self.tokens.is_now(&Secret::new(given), &runner.token)
    }

    /// Takes entries with these tokens out of the file.
    pub(super) fn remove(&self, gone: &[Secret]) -> Result<(), CliError> {
        let mut file = ConfigFile::open(&self.file)?;
        let is_gone = |written: &Secret| gone.iter().any(|token| self.tokens.is_now(written, token));
        if file.remove_runners(is_gone) > 0 {
            file.save()?;
            output::message(&format!("Updated {}", self.file.display()), &[]);
        }
        Ok(())
    }
}
