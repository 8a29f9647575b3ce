//! A private mount namespace whose `/sys/fs/cgroup` is plain cgroup v2, for hosts where it is not.
//!
//! crun refuses "hybrid" cgroups; podman also wants `/` to be a shared mount. Both are arranged where nobody else sees
//! it. Its root may be another directory: an installed Debian becomes a host of its own. A sleeping process keeps the
//! namespace alive.

use crate::command::CommandExt as _;
use anyhow::Context as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Keeps the namespace; it ends with this value.
#[derive(Debug)]
pub(super) struct Keeper(Child);

impl Keeper {
    /// Whether this host needs one: it has no plain cgroup v2, or `/` is not shared.
    pub(super) fn is_needed() -> anyhow::Result<bool> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
        let line_of = |path: &str| mounts.lines().find(|l| l.split(' ').nth(4) == Some(path));
        let plain_cgroup2 = line_of("/sys/fs/cgroup").is_some_and(|l| l.contains(" - cgroup2 "));
        let shared_root = line_of("/").is_some_and(|l| l.contains(" shared:"));
        Ok(!plain_cgroup2 || !shared_root)
    }

    /// Makes the namespace with a cgroup owned by `account`; with `root`, that directory becomes its `/`.
    pub(super) fn start(account: &str, root: Option<&Path>) -> anyhow::Result<Self> {
        // No chroot: the kernel lets nobody who is in one make a user namespace.
        let mounts = match root {
            None => "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup",
            Some(_) => {
                "mount --bind \"$1\" \"$1\"; cd \"$1\"; mount -t proc proc proc; mount -t sysfs sysfs sys; \
                 mount -t cgroup2 none sys/fs/cgroup; mount --rbind /dev dev; mount -t tmpfs tmpfs run; \
                 pivot_root . mnt; cd /; umount -l /mnt"
            }
        };
        let script = format!(
            "set -e; {mounts}; mkdir -p /sys/fs/cgroup/{account}; chown -R {account} /sys/fs/cgroup/{account}; \
             mount --make-rshared /; echo ready; exec sleep infinity"
        );
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
            .args(root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start unshare")?;
        let stdout = child.stdout.take().context("stdout was asked for")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        anyhow::ensure!(line.trim() == "ready", "the private mount namespace could not be made");
        Ok(Self(child))
    }

    /// A command that enters the namespace and the account's cgroup, then becomes what follows.
    pub(super) fn enter(&self, account: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--mount", "--wdns=/", "--"]);
        command.args([
            "sh",
            "-c",
            &format!("echo $$ > /sys/fs/cgroup/{account}/cgroup.procs; exec \"$@\""),
            "sh",
        ]);
        command
    }

    /// Ends the namespace.
    pub(super) fn stop(mut self, account: &str) -> anyhow::Result<()> {
        self.0.kill().context("end the namespace's keeper")?;
        self.0.wait()?;
        // The cgroup is seen by all mounts of cgroup2; its leftover children are empty.
        let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        for root in unified {
            let dir = format!("{root}/{account}");
            if Path::new(&dir).is_dir() {
                Command::new("find")
                    .args([dir.as_str(), "-depth", "-type", "d", "-delete"])
                    .run_any()?;
            }
        }
        Ok(())
    }
}
