//! The account's podman, by its command line: there is no socket where nothing is set up yet.

use crate::account::Account;
use serde::de::DeserializeOwned;
use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

/// What podman was asked could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PodmanError {
    #[error("podman cannot be started")]
    Start(#[source] io::Error),
    /// podman's own last words; none of its arguments, which may be long.
    #[error("podman {command}: {message}")]
    Failed { command: String, message: String },
    #[error("podman {command}: its answer cannot be read")]
    Answer {
        command: String,
        #[source]
        source: serde_json::Error,
    },
}

/// podman of an account.
#[derive(Debug, Clone)]
pub struct Podman {
    account: Account,
    /// Variables it has besides the caller's.
    environment: Vec<(String, String)>,
}

impl Podman {
    /// Starts nothing.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        Self {
            account: account.clone(),
            environment: Vec::new(),
        }
    }

    /// The same, with proxies of a container where the caller knows none of the name: podman hands its own on to containers.
    /// In no command line, as they may have a password.
    #[must_use]
    pub(crate) fn with_proxies(mut self, proxies: &[(String, String)]) -> Self {
        let is_known = |name: &str| {
            [name.to_ascii_lowercase(), name.to_ascii_uppercase()]
                .iter()
                .any(|name| std::env::var_os(name).is_some())
        };
        let unknown = proxies.iter().filter(|(name, _)| !is_known(name));
        self.environment.extend(unknown.cloned());
        self
    }

    /// The command, for a caller who wants its streams. A remote podman (`CONTAINER_HOST`) is not this host's.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.account.command("podman");
        command
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("CONTAINER_HOST");
        command
    }

    /// Standard output as text, without the line break at its end.
    ///
    /// # Errors
    /// podman cannot be started, or fails.
    pub fn text(&self, arguments: &[&str]) -> Result<String, PodmanError> {
        let output = self.succeed(arguments, None)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// As [`Podman::text`], with what is read from standard input: the way for secrets.
    ///
    /// # Errors
    /// As [`Podman::text`].
    pub fn text_with_input(&self, arguments: &[&str], input: &[u8]) -> Result<String, PodmanError> {
        let output = self.succeed(arguments, Some(input))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Standard output, byte for byte.
    ///
    /// # Errors
    /// As [`Podman::text`].
    pub fn bytes(&self, arguments: &[&str]) -> Result<Vec<u8>, PodmanError> {
        self.succeed(arguments, None).map(|output| output.stdout)
    }

    /// JSON on standard output.
    ///
    /// # Errors
    /// As [`Podman::text`], or the answer has another shape.
    pub fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, PodmanError> {
        let output = self.succeed(arguments, None)?;
        serde_json::from_slice(&output.stdout).map_err(|source| PodmanError::Answer {
            command: name(arguments),
            source,
        })
    }

    /// Whether podman says so (`podman container exists …`, `podman secret exists` is not in podman 4.3).
    ///
    /// # Errors
    /// podman cannot be started, or fails otherwise than by saying no.
    pub fn says_yes(&self, arguments: &[&str]) -> Result<bool, PodmanError> {
        let output = self.output(arguments, None)?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(arguments, &output)),
        }
    }

    /// Whether a container runs; `None` if there is none of the name.
    ///
    /// # Errors
    /// As [`Podman::text`].
    pub fn is_running(&self, container: &str) -> Result<Option<bool>, PodmanError> {
        if !self.says_yes(&["container", "exists", container])? {
            return Ok(None);
        }
        let running = self.text(&["container", "inspect", "--format={{.State.Running}}", container])?;
        Ok(Some(running == "true"))
    }

    fn succeed(&self, arguments: &[&str], input: Option<&[u8]>) -> Result<Output, PodmanError> {
        let output = self.output(arguments, input)?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(failed(arguments, &output))
        }
    }

    /// Everything it says, and how it ended; `input` is its standard input.
    ///
    /// # Errors
    /// podman cannot be started.
    pub fn output(&self, arguments: &[&str], input: Option<&[u8]>) -> Result<Output, PodmanError> {
        output_of(self.command(arguments), input).map_err(PodmanError::Start)
    }
}

/// Everything a command says, and how it ended; `input` is its standard input, of which it may read as much as it likes.
///
/// # Errors
/// It cannot be started.
pub(crate) fn output_of(mut command: Command, input: Option<&[u8]>) -> io::Result<Output> {
    command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input)
        && let Err(error) = pipe.write_all(input)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    child.wait_with_output()
}

/// The words before the first option: `volume create`.
fn name(arguments: &[&str]) -> String {
    let words = arguments.iter().take_while(|word| !word.starts_with('-')).take(2);
    words.copied().collect::<Vec<_>>().join(" ")
}

fn failed(arguments: &[&str], output: &Output) -> PodmanError {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    PodmanError::Failed {
        command: name(arguments),
        message: last.map_or_else(
            || format!("ended with {}", output.status),
            |line| line.trim_start_matches("Error: ").to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Podman;
    use crate::account::Account;

    #[test]
    fn proxies_of_a_container_are_variables_and_no_arguments() {
        let account = Account::current().unwrap();
        // No caller has such a one.
        let proxies = [("ftp_proxy".to_owned(), "http://u:secret@p:1".to_owned())];
        let podman = Podman::of(&account).with_proxies(&proxies);
        let command = podman.command(&["run"]);
        let found = command.get_envs().find(|(name, _)| *name == "ftp_proxy");
        assert_eq!(found.and_then(|(_, value)| value), Some("http://u:secret@p:1".as_ref()));
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["run"]);
    }
}
