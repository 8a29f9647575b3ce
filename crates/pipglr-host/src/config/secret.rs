//! The podman secret `config.toml`, replaced so that no moment is without it for good.

use crate::account::Account;
use crate::podman::{Podman, PodmanError};
use crate::sandbox::CONFIG_SECRET;
use serde::Deserialize;

/// The new text while the secret is replaced.
const ASIDE: &str = "config.toml.new";

/// Why the secret cannot be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error("the secret {0} is no UTF-8 text")]
    NoText(&'static str),
}

/// The secret `config.toml` of an account.
#[derive(Debug)]
pub struct ConfigSecret {
    podman: Podman,
}

/// One act on podman's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Remove(&'static str),
    Create(&'static str),
}

/// Which secrets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Present {
    config: bool,
    aside: bool,
}

/// podman 4.3 cannot replace a secret, and later ones do it by removing it first. At any moment one of both names has the
/// old text or the new one, whole.
fn replacement(present: Present) -> Vec<Act> {
    let mut acts = Vec::new();
    if present.config {
        if present.aside {
            acts.push(Act::Remove(ASIDE));
        }
        acts.extend([Act::Create(ASIDE), Act::Remove(CONFIG_SECRET)]);
    }
    acts.push(Act::Create(CONFIG_SECRET));
    if present.config || present.aside {
        acts.push(Act::Remove(ASIDE));
    }
    acts
}

/// The secret that has the text in force.
fn source(present: Present) -> Option<&'static str> {
    match present {
        Present { config: true, .. } => Some(CONFIG_SECRET),
        // A replacement was broken off between the two.
        Present { aside: true, .. } => Some(ASIDE),
        _ => None,
    }
}

/// As `podman secret inspect --showsecret` shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "SecretData")]
    data: String,
}

impl ConfigSecret {
    #[must_use]
    pub fn of(account: &Account) -> Self {
        Self {
            podman: Podman::of(account),
        }
    }

    /// Its text; `None` if there is none. A replacement that was broken off is brought to its end. Before podman 4.7 it
    /// takes a container of `image` to read a secret.
    ///
    /// # Errors
    /// podman fails, or it is no text.
    pub fn read(&self, image: &str) -> Result<Option<String>, SecretError> {
        let present = self.present()?;
        let Some(name) = source(present) else {
            return Ok(None);
        };
        let text = self.text_of(name, image)?;
        if name == ASIDE {
            self.replace(present, &text)?;
        }
        Ok(Some(text))
    }

    /// Keeps `text` as the secret, in place of what was there.
    ///
    /// # Errors
    /// podman fails. The old text or the new one is there in any case.
    pub fn store(&self, text: &str) -> Result<(), SecretError> {
        self.replace(self.present()?, text)
    }

    fn replace(&self, present: Present, text: &str) -> Result<(), SecretError> {
        for act in replacement(present) {
            match act {
                Act::Remove(name) => self.podman.text(&["secret", "rm", name])?,
                Act::Create(name) => {
                    let create = ["secret", "create", "--label=pipglr.managed=true", name, "-"];
                    self.podman.text_with_input(&create, text.as_bytes())?
                }
            };
        }
        Ok(())
    }

    fn present(&self) -> Result<Present, PodmanError> {
        let names = self
            .podman
            .text(&["secret", "ls", "--noheading", "--format={{.Name}}"])?;
        let is_there = |name: &str| names.lines().any(|line| line.trim() == name);
        Ok(Present {
            config: is_there(CONFIG_SECRET),
            aside: is_there(ASIDE),
        })
    }

    fn text_of(&self, name: &'static str, image: &str) -> Result<String, SecretError> {
        if let Ok(shown) = self
            .podman
            .json::<Vec<Shown>>(&["secret", "inspect", "--showsecret", name])
            && let Some(shown) = shown.into_iter().next()
        {
            return Ok(shown.data);
        }
        let (secret, file) = (format!("--secret={name}"), format!("/run/secrets/{name}"));
        let read = [
            "run",
            "--rm",
            "--network=none",
            "--log-driver=none",
            &secret,
            image,
            "cat",
            &file,
        ];
        let bytes = self.podman.bytes(&read)?;
        String::from_utf8(bytes).map_err(|_| SecretError::NoText(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{ASIDE, Act, CONFIG_SECRET, Present, replacement, source};
    use std::collections::BTreeMap;

    /// Wherever it is killed, what is read next is the old text or the new one; a second try ends with the new one alone.
    #[test]
    fn a_replacement_that_is_killed_loses_nothing() {
        let present = |secrets: &BTreeMap<&str, &str>| Present {
            config: secrets.contains_key(CONFIG_SECRET),
            aside: secrets.contains_key(ASIDE),
        };
        let act = |secrets: &mut BTreeMap<&str, &str>, act: Act, text: &'static str| match act {
            Act::Remove(name) => assert!(secrets.remove(name).is_some(), "{name} is not there"),
            Act::Create(name) => assert!(secrets.insert(name, text).is_none(), "{name} is there"),
        };
        for start in [
            BTreeMap::new(),
            BTreeMap::from([(CONFIG_SECRET, "old")]),
            BTreeMap::from([(ASIDE, "old")]),
            BTreeMap::from([(CONFIG_SECRET, "old"), (ASIDE, "old")]),
        ] {
            let acts = replacement(present(&start));
            for killed_after in 0..=acts.len() {
                let mut secrets = start.clone();
                for done in &acts[..killed_after] {
                    act(&mut secrets, *done, "new");
                }
                let read = source(present(&secrets)).map(|name| secrets[name]);
                assert!(
                    read == Some("new") || read == source(present(&start)).map(|name| start[name]),
                    "{start:?} killed after {killed_after}: {read:?}"
                );
                for again in replacement(present(&secrets)) {
                    act(&mut secrets, again, "newer");
                }
                assert_eq!(secrets, BTreeMap::from([(CONFIG_SECRET, "newer")]), "{start:?}");
            }
        }
    }
}
