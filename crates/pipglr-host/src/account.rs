//! The account without root that owns the runner.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where systemd keeps a file of each account that lingers.
pub(crate) const LINGER: &str = "/var/lib/systemd/linger";

/// Whether the account's systemd answers, by what `systemctl --user is-system-running` says.
pub(crate) fn systemd_answers(state: &str) -> bool {
    !matches!(state, "" | "offline" | "unknown")
}

/// Of the caller's environment, what another account's commands see.
const PASSED_ON: [&str; 4] = ["PATH", "TERM", "LANG", "NO_COLOR"];

/// Whether a variable names a proxy, or hosts that are reached without one.
pub(crate) fn is_of_a_proxy(name: &str) -> bool {
    ["http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy"]
        .iter()
        .any(|known| name == *known || name == known.to_ascii_uppercase())
}

/// Of variables, `NAME=value` each, those for proxies.
pub(crate) fn proxies<'v>(environment: impl IntoIterator<Item = &'v str>) -> Vec<(String, String)> {
    let pairs = environment.into_iter().filter_map(|text| text.split_once('='));
    pairs
        .filter(|(name, _)| is_of_a_proxy(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An account of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    /// `XDG_RUNTIME_DIR`: podman keeps its locks and sockets there.
    pub runtime_dir: PathBuf,
}

/// There is no such account, or it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is no account {0} on this host")]
    Missing(String),
    #[error("/etc/passwd: the entry of {0} cannot be read")]
    Entry(String),
    #[error("only root can act for the account {0}")]
    NotRoot(String),
    #[error("getent: {0}")]
    Getent(#[source] std::io::Error),
}

impl Account {
    /// The account this process runs under.
    ///
    /// # Errors
    /// It has no entry in the host's databases.
    pub fn current() -> Result<Self, AccountError> {
        let mut account = Self::lookup(&rustix::process::getuid().as_raw().to_string())?;
        if let Some(directory) = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
            account.runtime_dir = directory.into();
        }
        if let Some(home) = std::env::home_dir().filter(|home| home.is_absolute()) {
            account.home = home;
        }
        Ok(account)
    }

    /// The account of this name, if it is ours or we are root.
    ///
    /// # Errors
    /// There is none, or we may not act for it.
    pub fn named(name: &str) -> Result<Self, AccountError> {
        let account = Self::lookup(name)?;
        if account.is_current() {
            return Self::current();
        }
        if rustix::process::getuid().is_root() {
            Ok(account)
        } else {
            Err(AccountError::NotRoot(account.name))
        }
    }

    /// By name or number, through the host's name services: accounts need not stand in /etc/passwd.
    fn lookup(key: &str) -> Result<Self, AccountError> {
        let output = Command::new("getent")
            .args(["passwd", key])
            .output()
            .map_err(AccountError::Getent)?;
        if !output.status.success() {
            return Err(AccountError::Missing(key.to_owned()));
        }
        Self::of_entry(String::from_utf8_lossy(&output.stdout).trim_end())
            .ok_or_else(|| AccountError::Entry(key.to_owned()))
    }

    /// A line of passwd(5).
    fn of_entry(line: &str) -> Option<Self> {
        let [name, _, uid, gid, _, home, _] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
        let uid = uid.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            uid,
            gid: gid.parse().ok()?,
            home: home.into(),
            runtime_dir: Path::new("/run/user").join(uid.to_string()),
        })
    }

    /// Whether this process runs under it.
    #[must_use]
    pub fn is_current(&self) -> bool {
        rustix::process::getuid().as_raw() == self.uid
    }

    /// A command that runs under the account, in its home (if there is one) if we are somebody else.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        if self.is_current() {
            let mut command = Command::new(program);
            command.env("XDG_RUNTIME_DIR", &self.runtime_dir);
            return command;
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--init-groups", "--inh-caps=-all"])
            .args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)])
            .args(["--", program])
            .current_dir(if self.home.is_dir() { &self.home } else { Path::new("/") })
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)))
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .env("XDG_RUNTIME_DIR", &self.runtime_dir)
            .env(
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}/bus", self.runtime_dir.display()),
            );
        // A Ctrl-C of the terminal is for us, who end it in order.
        command.process_group(0);
        command
    }

    /// `systemctl --user`; what it said, or why it cannot be started, if it fails.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Result<(), String> {
        match self.command("systemctl").arg("--user").args(arguments).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn is_passed_on(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| PASSED_ON.contains(&name) || is_of_a_proxy(name))
}

#[cfg(test)]
mod tests {
    use super::{Account, is_passed_on};

    #[test]
    fn another_account_gets_the_proxies_and_nothing_secret() {
        for (name, passed_on) in [
            ("PATH", true),
            ("https_proxy", true),
            ("HTTPS_PROXY", true),
            ("no_proxy", true),
            ("ALL_PROXY", true),
            ("Http_Proxy", false),
            ("SSH_AUTH_SOCK", false),
            ("CI_JOB_TOKEN", false),
            ("HOME", false),
        ] {
            assert_eq!(is_passed_on(name.as_ref()), passed_on, "{name}");
        }
    }

    #[test]
    fn entries_of_passwd() {
        let account = Account::of_entry("ci:x:1005:1006:CI,,,:/home/ci:/bin/bash").unwrap();
        assert_eq!((account.name.as_str(), account.uid, account.gid), ("ci", 1005, 1006));
        assert_eq!(account.runtime_dir.to_str(), Some("/run/user/1005"));
        for broken in ["", "ci:x:1005", "ci:x:no:1:::/bin/sh"] {
            assert_eq!(Account::of_entry(broken), None, "{broken}");
        }
    }
}
