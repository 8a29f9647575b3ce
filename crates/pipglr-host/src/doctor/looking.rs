//! The one way a check sees the host: files under a root directory, commands of the account.

use super::mounts::{Mount, on_top, table};
use super::packages::Manager;
use crate::account::Account;
use serde_json::Value;
use std::cell::OnceCell;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
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

impl Answer {
    pub(super) const fn success(&self) -> bool {
        self.code == 0
    }

    /// What it said, without blanks around it, if it succeeded.
    pub(super) fn text(&self) -> Option<String> {
        self.success().then(|| self.out.trim().to_owned())
    }

    /// The last line of its complaint.
    pub(super) fn complaint(&self) -> String {
        let last = self.err.lines().rev().find(|line| !line.trim().is_empty());
        match (self.code, last) {
            (124, _) => format!("no answer after {PATIENCE} s"),
            (_, Some(line)) => line.trim_start_matches("Error: ").trim().to_owned(),
            (code, None) => format!("exit code {code}"),
        }
    }
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) mode: u32,
    pub(super) uid: u32,
}

type Ask = Box<dyn Fn(&[&str]) -> Answer>;

/// A host, and the account a runner lives in.
pub struct Host {
    root: PathBuf,
    pub(super) account: Account,
    ask: Ask,
    info: OnceCell<Result<Value, String>>,
    mounts: OnceCell<Vec<Mount>>,
    containers: OnceCell<bool>,
    settings: OnceCell<String>,
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
            info: OnceCell::new(),
            mounts: OnceCell::new(),
            containers: OnceCell::new(),
            settings: OnceCell::new(),
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

    /// The number in a file of /proc/sys.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    pub(super) fn status(&self, path: impl AsRef<Path>) -> Option<Status> {
        let data = std::fs::metadata(self.place(path.as_ref())).ok()?;
        Some(Status {
            mode: data.mode() & 0o7777,
            uid: data.uid(),
        })
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.status(path).is_some()
    }

    /// The nearest directory above `path`, or itself, that is there.
    pub(super) fn nearest(&self, path: &Path) -> PathBuf {
        let there = path.ancestors().find(|path| self.exists(path));
        there.unwrap_or(Path::new("/")).to_owned()
    }

    /// Whether a program has file capabilities.
    pub(super) fn has_capabilities(&self, path: &str) -> bool {
        let mut value = [0_u8; 64];
        let place = self.place(Path::new(path));
        rustix::fs::getxattr(place, "security.capability", &mut value).is_ok_and(|size| size > 0)
    }

    /// The mount a path is on.
    pub(super) fn mount_of(&self, path: &Path) -> Option<Mount> {
        let table = self
            .mounts
            .get_or_init(|| table(&self.text("/proc/self/mountinfo").unwrap_or_default()));
        on_top(table, path).cloned()
    }

    /// A program's place, as the account's shell finds it.
    pub(super) fn which(&self, program: &str) -> Option<String> {
        let line = format!("PATH=$PATH:/usr/sbin:/sbin; command -v {program}");
        self.ask(&["sh", "-c", &line]).text().filter(|path| !path.is_empty())
    }

    /// What podman says of itself, asked once; else its complaint.
    pub(super) fn podman_info(&self) -> Result<&Value, &str> {
        let ask = || {
            let answer = self.ask(&["podman", "info", "--format=json"]);
            if !answer.success() {
                return Err(answer.complaint());
            }
            serde_json::from_str(&answer.out).map_err(|error| format!("podman info is no JSON: {error}"))
        };
        self.info.get_or_init(ask).as_ref().map_err(String::as_str)
    }

    /// Whether containers of the account run, which some remedies would end.
    pub(super) fn containers_run(&self) -> bool {
        let ask = || !self.ask(&["podman", "ps", "--quiet"]).out.trim().is_empty();
        *self.containers.get_or_init(ask)
    }

    /// Whether one of the account's settings of podman is this line, which has no blanks. They are read once.
    pub(super) fn is_set(&self, line: &str) -> bool {
        let ask = || {
            let cat = "for d in /usr/share/containers /etc/containers ~/.config/containers; do \
                       cat $d/containers.conf $d/containers.conf.d/*.conf 2>/dev/null; done";
            self.ask(&["sh", "-c", cat]).out.replace(' ', "")
        };
        self.settings.get_or_init(ask).lines().any(|there| there == line)
    }

    pub(super) fn manager(&self) -> Option<Manager> {
        Manager::of(&self.text("/etc/os-release")?)
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
