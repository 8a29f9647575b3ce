//! The one way a check sees the host: files under a root directory, commands of the account.

use crate::account::Account;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How long a command may take, in seconds: storage on a network that is gone never answers.
const PATIENCE: &str = "30";

/// What a command said. Exit code 127 is a program that is not there, 124 one that took too long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

type Ask = Box<dyn Fn(&[&str]) -> Answer>;

/// A host, and the account a runner lives in.
pub struct Host {
    root: PathBuf,
    pub(super) account: Account,
    ask: Ask,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("root", &self.root)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// This host. Commands run as the account.
    #[must_use]
    pub fn this(account: &Account) -> Self {
        let asked = account.clone();
        Self::new("/".into(), account, Box::new(move |words| run(&asked, words)))
    }

    /// A host whose files are under `root` and whose commands are answered by `ask`.
    #[must_use]
    pub fn new(root: PathBuf, account: &Account, ask: Ask) -> Self {
        Self {
            root,
            account: account.clone(),
            ask,
        }
    }

    pub(super) fn ask(&self, words: &[&str]) -> Answer {
        (self.ask)(words)
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; nothing where it cannot be read.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = std::fs::read(self.place(path.as_ref())).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn run(account: &Account, words: &[&str]) -> Answer {
    let mut command: Command = account.command("timeout");
    command
        .arg(PATIENCE)
        .args(words)
        .env("LC_ALL", "C")
        .env_remove("CONTAINER_HOST")
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => Answer {
            code: 127,
            out: String::new(),
            err: error.to_string(),
        },
    }
}
