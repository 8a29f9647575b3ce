//! Authentication tokens that were exchanged for new ones, kept on the state directory.
//!
//! config.toml may be a secret that cannot be written back. Tokens that are no longer good are known by their digest.

use super::{Config, expanded};
use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Digests that are kept of one runner's earlier tokens.
const REMEMBERED: usize = 20;

/// The tokens could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep new tokens of runners in {}", path.display())]
pub struct TokenStoreError {
    path: PathBuf,
    source: io::Error,
}

/// A token with its times, as config.toml writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    pub token: Secret,
    pub obtained_at: String,
    /// `None` is never.
    pub expires_at: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Digests of the tokens that this one replaces, oldest first.
    replaces: Vec<String>,
    #[serde(flatten)]
    new: NewToken,
}

/// The file that keeps them.
#[derive(Debug, Clone)]
pub struct TokenStore {
    path: PathBuf,
}

impl TokenStore {
    /// The store in `state_dir`.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("runner-tokens.json"),
        }
    }

    /// The token that stands for `token` now.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn current(&self, token: &Secret) -> Result<Secret, TokenStoreError> {
        let digest = digest(token);
        let entries = self.read()?;
        let entry = entries.into_iter().find(|e| e.replaces.contains(&digest));
        Ok(entry.map_or_else(|| token.clone(), |e| e.new.token))
    }

    /// Whether `written`, as it stands in a config.toml, is `token` by now.
    #[must_use]
    pub fn is_now(&self, written: &Secret, token: &Secret) -> bool {
        let written = expanded(written);
        written == *token || self.current(&written).is_ok_and(|current| current == *token)
    }

    /// Whether tokens can be kept: by writing those that are.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn check(&self) -> Result<(), TokenStoreError> {
        let entries = self.read()?;
        self.write_entries(&entries)
    }

    /// When the file was last changed.
    pub(super) fn changed_at(&self) -> Option<SystemTime> {
        fs::metadata(&self.path).and_then(|m| m.modified()).ok()
    }

    /// Puts new tokens and their times in the place of old ones.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), TokenStoreError> {
        let entries = self.read()?;
        for runner in &mut config.runners {
            let digest = digest(&runner.token);
            if let Some(entry) = entries.iter().find(|e| e.replaces.contains(&digest)) {
                runner.token = entry.new.token.clone();
                runner.token_obtained_at = entry.new.obtained_at.parse().ok();
                runner.token_expires_at = entry.new.expires_at.as_ref().and_then(|t| t.parse().ok());
            }
        }
        Ok(())
    }

    /// Remembers that `new` replaces `old`.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn replace(&self, old: &Secret, new: &NewToken) -> Result<(), TokenStoreError> {
        let mut entries = self.read()?;
        let old_digest = digest(old);
        match entries.iter_mut().find(|e| e.new.token == *old) {
            Some(entry) => {
                entry.replaces.push(old_digest);
                let surplus = entry.replaces.len().saturating_sub(REMEMBERED);
                // The oldest may still stand in config.toml, so the second oldest goes.
                entry.replaces.drain(1..=surplus);
                entry.new = new.clone();
            }
            None => entries.push(Entry {
                replaces: vec![old_digest],
                new: new.clone(),
            }),
        }
        self.write_entries(&entries)
    }

    fn write_entries(&self, entries: &[Entry]) -> Result<(), TokenStoreError> {
        let text = serde_json::to_vec_pretty(entries).expect("plain data serializes");
        self.write(&text).map_err(|source| self.error(source))
    }

    fn read(&self) -> Result<Vec<Entry>, TokenStoreError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| {
                // serde_json's own words would show a piece of the file.
                self.error(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("line {}: not as it was written", e.line()),
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(self.error(source)),
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        self.leave_to_the_directorys_owner(&file)?;
        fs::rename(&beside, &self.path)
    }

    /// Commands are called by root as well, for a manager that is somebody else.
    fn leave_to_the_directorys_owner(&self, file: &File) -> io::Result<()> {
        let directory = fs::metadata(self.path.parent().unwrap_or(Path::new(".")))?;
        if !rustix::process::geteuid().is_root() || file.metadata()?.uid() == directory.uid() {
            return Ok(());
        }
        fchown(file, Some(directory.uid()), Some(directory.gid()))
    }

    fn error(&self, source: io::Error) -> TokenStoreError {
        TokenStoreError {
            path: self.path.clone(),
            source,
        }
    }
}

fn digest(token: &Secret) -> String {
    let digest = Sha256::digest(token.expose().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{NewToken, TokenStore};
    use pipglr_protocol::Secret;
    use std::os::unix::fs::PermissionsExt as _;

    fn new(token: &str) -> NewToken {
        NewToken {
            token: Secret::new(token),
            obtained_at: "2026-01-01T00:00:00Z".to_owned(),
            expires_at: Some("2026-02-01T00:00:00Z".to_owned()),
        }
    }

    #[test]
    fn the_latest_token_of_a_chain_counts() {
        let directory = tempfile::tempdir().unwrap();
        let store = TokenStore::new(directory.path());
        let current = |token: &str| store.current(&Secret::new(token)).unwrap().expose().to_owned();
        assert_eq!(current("first"), "first");
        for (old, latest) in [("first", "second"), ("second", "third"), ("other", "another")] {
            store.replace(&Secret::new(old), &new(latest)).unwrap();
        }
        assert_eq!(
            ["first", "second", "third", "other"].map(current),
            ["third", "third", "third", "another"]
        );
        let mut config = crate::config::parse_config("[[runners]]\ntoken = \"first\"\nurl = \"http://x\"\n", "c")
            .unwrap()
            .config;
        store.apply(&mut config).unwrap();
        assert_eq!(config.runners[0].token.expose(), "third");
        assert_eq!(
            config.runners[0].token_expires_at().unwrap().to_string(),
            "2026-02-01T00:00:00Z"
        );
    }

    #[test]
    fn the_file_is_for_its_owner_and_knows_old_tokens_by_digest() {
        let directory = tempfile::tempdir().unwrap();
        let store = TokenStore::new(directory.path());
        for n in 0..60 {
            let (old, latest) = (format!("token{n:02}"), format!("token{:02}", n + 1));
            store.replace(&Secret::new(old), &new(&latest)).unwrap();
        }
        let path = directory.path().join("runner-tokens.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("token59") && text.len() < 2500, "{text}");
        assert_eq!(store.current(&Secret::new("token00")).unwrap().expose(), "token60");
        std::fs::write(&path, "[{\"token\": \"glrt-secret\", nonsense").unwrap();
        let error = format!(
            "{:#}",
            anyhow::Error::from(store.current(&Secret::new("x")).unwrap_err())
        );
        assert!(
            error.contains("runner-tokens.json") && !error.contains("glrt-secret"),
            "{error}"
        );
    }
}
