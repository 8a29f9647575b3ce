//! The account without root that owns everything a story does.

use super::keeper::Keeper;
use super::packages::is_root;
use super::subordinate_ids::{NEEDED, grant, withdraw};
use super::turn::{Turn, clear_leftovers};
use crate::HOST_LOOPBACK;
use crate::command::CommandExt as _;
use anyhow::Context as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The machine's files of accounts and ranges are changed by one thread at a time.
static FILES: Mutex<()> = Mutex::new(());

/// An account that podman runs under: one of our own if we are root, else ours.
#[derive(Debug)]
pub struct Account {
    name: String,
    uid: u32,
    home: PathBuf,
    keeper: Option<Keeper>,
    foreign: bool,
    /// The root directory of the host it is an account of, if that is not this machine's; goes with the account.
    root: Option<PathBuf>,
    /// Nobody else has the account as long as this one lives; our own account is ours.
    turn: Option<Turn>,
}

impl Account {
    /// Creates the account `name` if it is not there, with all that podman needs; as anybody but root it is our own.
    /// Waits while another run uses it; what a run that was killed left behind is cleared.
    ///
    /// # Errors
    /// A step fails; the error says which.
    pub fn provide(name: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        Self::provide_with(name, NEEDED, say)
    }

    /// As [`Account::provide`], with more subordinate IDs: for a host in a container, which has accounts of its own.
    ///
    /// # Errors
    /// As [`Account::provide`].
    pub fn provide_with(name: &str, ids: u64, say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        if !is_root() {
            return Self::own();
        }
        let turn = Turn::take(name, say)?;
        let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if lookup(Path::new("/"), name)?.is_none() {
            say(&format!("creating the unprivileged account {name}"));
            Command::new("useradd")
                .args(["--create-home", "--shell", "/bin/bash", name])
                .run_text()?;
        }
        for file in ["/etc/subuid", "/etc/subgid"] {
            grant(Path::new(file), name, ids)?;
        }
        drop(files);
        let needed = Keeper::is_needed()?;
        if needed {
            say("this host's cgroups or mounts are not what podman wants: using a private mount namespace");
        }
        Self::equip(name, None, needed, turn, say)
    }

    /// Creates the account `name` on the host whose root directory is `root`, which goes when the account is closed.
    /// Its `uid` must belong to nobody on this machine: both have one kernel.
    pub(super) fn provide_in(
        root: PathBuf,
        name: &str,
        uid: u32,
        turn: Turn,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Self> {
        let mut useradd = Command::new("useradd");
        useradd.arg("--root").arg(&root).args([
            "--uid",
            &uid.to_string(),
            "--create-home",
            "--shell",
            "/bin/bash",
            name,
        ]);
        useradd.run_text()?;
        for file in ["etc/subuid", "etc/subgid"] {
            grant(&root.join(file), name, NEEDED)?;
        }
        Self::equip(name, Some(root), true, turn, say)
    }

    /// All that podman needs, for an account that is there.
    fn equip(
        name: &str,
        root: Option<PathBuf>,
        keeper: bool,
        turn: Turn,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Self> {
        let slash = root.as_deref().unwrap_or(Path::new("/"));
        let (uid, home) = lookup(slash, name)?.with_context(|| format!("account {name} is not there after useradd"))?;
        if turn.is_outermost() {
            clear_leftovers(uid)?;
        }
        for device in ["/dev/fuse", "/dev/net/tun"] {
            open_device(Path::new(device), say)?;
        }
        let keeper = if keeper {
            Some(Keeper::start(name, root.as_deref())?)
        } else {
            None
        };
        let mut install = keeper.as_ref().map_or_else(|| Command::new("env"), |k| k.enter(name));
        install.args([
            "install",
            "--directory",
            "--mode=700",
            "--owner",
            name,
            "--group",
            name,
            &format!("/run/user/{uid}"),
        ]);
        install.run_text()?;
        let account = Self {
            name: name.to_owned(),
            uid,
            home,
            keeper,
            foreign: true,
            root,
            turn: Some(turn),
        };
        account.configure_podman()?;
        Ok(account)
    }

    fn own() -> anyhow::Result<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
        let uid = Command::new("id").arg("-u").run_text()?.trim().parse()?;
        let name = Command::new("id").arg("-un").run_text()?.trim().to_owned();
        Ok(Self {
            name,
            uid,
            home,
            keeper: None,
            foreign: false,
            root: None,
            turn: None,
        })
    }

    /// The account's home, as seen from here.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.seen_from_here(&self.home)
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's user ID.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// A command run by the account, in its home, with nothing of our environment but `PATH`.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.prefix(Some(&self.home));
        command.arg(program);
        command
    }

    /// A shell line run by root where the account's mounts are.
    ///
    /// # Errors
    /// We are not root.
    pub fn root_shell(&self, line: &str) -> anyhow::Result<Command> {
        anyhow::ensure!(is_root(), "only root can do this: {line}");
        let mut command = match &self.keeper {
            Some(keeper) => keeper.enter(&self.name),
            None => Command::new("env"),
        };
        command.args(["sh", "-c", line]);
        Ok(command)
    }

    fn seen_from_here(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// What makes a command run as the account; the command itself follows.
    fn prefix(&self, directory: Option<&Path>) -> Command {
        let mut command = match &self.keeper {
            Some(keeper) => keeper.enter(&self.name),
            None => Command::new("env"),
        };
        if self.foreign {
            if self.keeper.is_none() {
                command = Command::new("setpriv");
            } else {
                command.arg("setpriv");
            }
            command.args(["--reuid", &self.name, "--regid", &self.name, "--init-groups", "env"]);
        }
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", self.uid);
        let home = format!("HOME={}", self.home.display());
        command.arg("-i");
        if let Some(directory) = directory {
            command.arg(format!("--chdir={}", directory.display()));
        }
        command.args([home.as_str(), &runtime, "TERM=dumb"]);
        command.arg(format!("USER={}", self.name));
        command.arg("PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        // Splits set-up and command for error messages; `env` takes it as a variable.
        command.arg(format!("{}=", super::MARK));
        command
    }

    /// `podman` run by the account.
    #[must_use]
    pub fn podman<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command("podman");
        command.args(arguments);
        command
    }

    /// A shell line run by the account.
    #[must_use]
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.command("bash");
        command.args(["-c", line]);
        command
    }

    /// Writes a script that runs its arguments as the account in the directory it is called from.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_wrapper(&self, path: &Path) -> anyhow::Result<()> {
        let command = self.prefix(None);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        // Entering the namespace leaves the directory.
        let quote = |w: &std::ffi::OsStr| match w.to_string_lossy().as_ref() {
            "--wdns=/" => "--wdns=\"$PWD\"".to_owned(),
            word => format!("'{}'", word.replace('\'', "'\\''")),
        };
        let quoted: Vec<String> = words.map(quote).collect();
        fs::write(path, format!("#!/bin/sh\nexec {} \"$@\"\n", quoted.join(" ")))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("write {}", path.display()))
    }

    /// Writes a file of the account.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let path = self.home.join(name);
        if let Some(parent) = path.parent() {
            self.shell(&format!("mkdir -p '{}'", parent.display())).run_text()?;
        }
        let path = self.seen_from_here(&path);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        if self.foreign {
            chown(&path, Some(self.uid), Some(self.uid))?;
        }
        Ok(())
    }

    /// Ends every process of the account and the namespace; with `purge` the account and all it has goes, too.
    ///
    /// # Errors
    /// Something is left and cannot be removed.
    pub fn close(self, purge: bool) -> anyhow::Result<()> {
        if !self.foreign {
            return Ok(());
        }
        if !purge {
            // Each build with another program leaves its layers behind: a few gigabytes a day.
            self.podman(["image", "prune", "--force"]).run_any()?;
        }
        // Containers are long gone; this ends podman's pause process and the like.
        Command::new("pkill")
            .args(["--signal", "KILL", "--uid", &self.uid.to_string()])
            .run_any()?;
        if purge && self.root.is_none() {
            self.shell("podman unshare rm -rf \"$HOME/.local/share/containers\"")
                .run_any()?;
            Command::new("pkill")
                .args(["--signal", "KILL", "--uid", &self.uid.to_string()])
                .run_any()?;
        }
        if let Some(keeper) = self.keeper {
            keeper.stop(&self.name)?;
        }
        if self.turn.as_ref().is_some_and(Turn::is_outermost) {
            clear_leftovers(self.uid)?;
        }
        if let Some(root) = self.root {
            return fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()));
        }
        if purge {
            let _files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
            Command::new("userdel")
                .args(["--force", "--remove", &self.name])
                .run_any()?;
            for file in ["/etc/subuid", "/etc/subgid"] {
                withdraw(Path::new(file), &self.name)?;
            }
            fs::remove_dir_all(format!("/run/user/{}", self.uid)).context("remove the account's runtime directory")?;
        }
        Ok(())
    }

    /// Settings of podman that stories rely on: native overlay, containers that reach the host's loopback.
    fn configure_podman(&self) -> anyhow::Result<()> {
        self.write(".config/containers/storage.conf", "[storage]\ndriver = \"overlay\"\n")?;
        let conf = format!(
            "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             network_cmd_options = [\"allow_host_loopback=true\"]\n\
             [network]\npasta_options = [\"--map-host-loopback\", \"{HOST_LOOPBACK}\"]\n"
        );
        self.write(".config/containers/containers.conf", &conf)
    }
}

/// uid and home of an account of the host with this root directory.
fn lookup(root: &Path, name: &str) -> anyhow::Result<Option<(u32, PathBuf)>> {
    let passwd = fs::read_to_string(root.join("etc/passwd")).context("read etc/passwd")?;
    let entry = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f.first() == Some(&name));
    entry.map(|f| Ok((f[2].parse()?, PathBuf::from(f[5])))).transpose()
}

/// Accounts without root must be able to open it.
fn open_device(path: &Path, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let metadata =
        fs::metadata(path).with_context(|| format!("{} is missing: load its kernel module", path.display()))?;
    if metadata.permissions().mode() & 0o666 != 0o666 {
        say(&format!("chmod 666 {}", path.display()));
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    }
    Ok(())
}
