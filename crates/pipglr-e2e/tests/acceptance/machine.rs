//! The virtual machine: QEMU without KVM, reached by ssh on loopback. What it changes on its disk is gone with it.

use crate::project::wait_for;
use crate::transcript::Transcript;
use anyhow::{Context as _, bail, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Two processors of an emulator cost two of this machine.
const PROCESSORS: &str = "2";
const MEMORY: &str = "3072";

/// `timeout` ends what it runs with this code.
const TIMED_OUT: i32 = 124;

/// What a machine is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub disk: PathBuf,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    /// For what the machine writes to its disk and says on its console.
    pub directory: PathBuf,
}

/// A machine that runs; it is switched off with this value.
#[derive(Debug)]
pub(crate) struct Machine {
    qemu: Child,
    port: u16,
    keys: TempDir,
    pub transcript: Transcript,
}

/// What a script said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Machine {
    /// Switches one on.
    pub(crate) fn start(parts: &Parts, transcript: Transcript) -> anyhow::Result<Self> {
        let keys = tempfile::tempdir()?;
        let key = keys.path().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "acceptance", "-f"])
            .arg(&key);
        keygen.run_text()?;
        let public = std::fs::read_to_string(key.with_extension("pub"))?;
        let encoded = Command::new("base64").arg("--wrap=0").run_with_input(&public)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let console = File::create(parts.directory.join("console.log"))?;
        // Switched off even if this program is killed.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"])
            .args(["-smp", PROCESSORS, "-m", MEMORY])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(&parts.kernel)
            .arg("-initrd")
            .arg(&parts.initrd)
            // systemd's own way to be told who may log in.
            .args([
                "-append",
                &format!(
                    "root=/dev/vda rw console=ttyS0 quiet \
                     systemd.set_credential_binary=ssh.authorized_keys.root:{}",
                    encoded.trim()
                ),
            ])
            .args([
                "-drive",
                &format!(
                    "file={},format=raw,if=virtio,snapshot=on,cache=unsafe,discard=unmap",
                    parts.disk.display()
                ),
            ])
            .args(["-device", "virtio-rng-pci"])
            .args([
                "-nic",
                &format!("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"),
            ]);
        let child = qemu
            // The changed parts of the disk are a file without a name there.
            .env("TMPDIR", &parts.directory)
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("start QEMU")?;
        Ok(Self {
            qemu: child,
            port,
            keys,
            transcript,
        })
    }

    /// Waits until `account` can log in.
    pub(crate) fn wait_until_up(&mut self, account: &str, limit: Duration) -> anyhow::Result<()> {
        wait_for("the machine to come up", limit, || {
            if let Some(status) = self.qemu.try_wait()? {
                bail!("QEMU has ended: {status}; console.log says why");
            }
            let said = self.ssh(account, Duration::from_secs(10)).arg("true").run_any()?;
            Ok(said.status.success().then_some(()))
        })
    }

    /// Runs a shell script as `account`, in a session as a login makes it; fails unless it succeeds.
    pub(crate) fn run(&self, account: &str, script: &str, limit: Duration) -> anyhow::Result<String> {
        let said = self.attempt(account, script, limit)?;
        ensure!(
            said.code == Some(0),
            "{script}\nended with {:?}:\n{}",
            said.code,
            said.text
        );
        Ok(said.text)
    }

    /// Runs a shell script as `account`, whatever comes of it.
    pub(crate) fn attempt(&self, account: &str, script: &str, limit: Duration) -> anyhow::Result<Said> {
        self.transcript.says(account, script)?;
        let mut child = self
            .ssh(account, limit)
            .arg("exec bash -lec \"$(cat)\" </dev/null 2>&1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            std::io::Write::write_all(&mut pipe, script.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output.status.code();
        self.transcript.hears(&text, code)?;
        ensure!(
            code != Some(TIMED_OUT),
            "not done after {} s:\n{script}\n{text}",
            limit.as_secs()
        );
        Ok(Said { code, text })
    }

    /// Gives a file to `account`, as `to` in its home.
    pub(crate) fn send(&self, account: &str, file: &Path, to: &str, limit: Duration) -> anyhow::Result<()> {
        self.transcript.says(account, &format!("(gets {})", file.display()))?;
        let input = File::open(file).with_context(|| format!("open {}", file.display()))?;
        let mut ssh = self.ssh(account, limit);
        let said = ssh.arg(format!("cat >'{to}'")).stdin(input).run_any()?;
        ensure!(
            said.status.success(),
            "send {to}: {}: {}",
            said.status,
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(())
    }

    /// Writes a secret to a file of `account`; the transcript does not see it.
    pub(crate) fn type_secret(&self, account: &str, to: &str, secret: &str, limit: Duration) -> anyhow::Result<()> {
        self.transcript.says(account, &format!("(writes a secret to {to})"))?;
        let mut ssh = self.ssh(account, limit);
        ssh.arg(format!("umask 077; cat >'{to}'"));
        ssh.run_with_input(secret).map(drop)
    }

    fn ssh(&self, account: &str, limit: Duration) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.arg(limit.as_secs().to_string()).args(["ssh", "-i"]);
        ssh.arg(self.keys.path().join("key"));
        ssh.args(["-p", &self.port.to_string(), "-l", account]);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=9",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=8",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg("127.0.0.1");
        ssh
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
