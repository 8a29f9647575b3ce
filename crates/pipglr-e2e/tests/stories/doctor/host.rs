//! A throw-away host: Debian 13 with systemd, logind and podman in a container, whose root may break everything in it.

use crate::stage::wait_for;
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::Account;
use pipglr_e2e::job_images::HOST_WITH_SYSTEMD;
use std::process::Output;
use std::time::Duration;

const IMAGE: &str = "localhost/pipglr-story-doctor";
const CONTAINER: &str = "pipglr-story-doctor";
/// The account that owns the container: the host in it has accounts of its own with ranges of their own.
const ACCOUNT: &str = "pipglr-doctor";
const SUBORDINATE_IDS: u64 = 600_000;
/// What the host needs to be ready, as its root.
const PREPARE: &str = include_str!("prepare.sh");
/// What the account can run once its podman is in order.
const PROOF_IMAGE: &str = "as-ci podman import --quiet /opt/proof.tar localhost/proof && \
                           as-ci podman save --quiet --format=oci-archive --output=/opt/ci/proof.oci localhost/proof";

pub(super) struct Host {
    account: Account,
}

impl Host {
    /// Boots it; its account `ci` is as useradd makes it.
    pub(super) fn boot(say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
        let account = Account::provide_with(ACCOUNT, SUBORDINATE_IDS, say)?;
        let host = Self { account };
        match host.begin(&program, say) {
            Ok(()) => Ok(host),
            Err(error) => {
                host.end()?;
                Err(error)
            }
        }
    }

    fn begin(&self, program: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let tar = std::fs::File::open(HOST_WITH_SYSTEMD.rootfs(say)?)?;
        let mut import = self.account.podman([
            "import",
            "--quiet",
            "--change=CMD=[\"/usr/lib/systemd/systemd\"]",
            "--change=STOPSIGNAL=SIGRTMIN+3",
            "-",
            IMAGE,
        ]);
        let imported = import.stdin(tar).run_any()?;
        ensure!(imported.status.success(), "podman import: {imported:?}");
        // All privileges there are in the account's own user namespace: none outside of it.
        let run = [
            "run",
            "--detach",
            "--tty",
            "--privileged",
            "--systemd=always",
            "--security-opt=unmask=all",
            "--volume=/home",
            "--name",
            CONTAINER,
            IMAGE,
        ];
        self.account.podman(run).run_text()?;
        wait_for("the host's logind", Duration::from_secs(60), || {
            Ok(self.root("loginctl list-users")?.status.success().then_some(()))
        })?;
        std::fs::copy(program, self.account.home().join("pipglr")).with_context(|| format!("copy {program}"))?;
        self.account
            .shell(&format!("podman cp ~/pipglr {CONTAINER}:/usr/local/bin/pipglr"))
            .run_text()?;
        self.succeed(PREPARE).context("prepare the host").map(drop)
    }

    /// What the account needs for a proof, once its podman works.
    pub(super) fn provide_proof(&self) -> anyhow::Result<()> {
        self.succeed(PROOF_IMAGE).map(drop)
    }

    /// A shell line of the host's root, in the directory where remedies are carried out.
    pub(super) fn root(&self, line: &str) -> anyhow::Result<Output> {
        let arguments = ["exec", "--workdir=/", CONTAINER, "sh", "-c"];
        let line = format!("cd /opt/remedy 2>/dev/null; {line}");
        self.account.podman(arguments).arg(line).run_any()
    }

    /// As [`Host::root`], for what has to succeed.
    pub(super) fn succeed(&self, line: &str) -> anyhow::Result<String> {
        let output = self.root(line)?;
        ensure!(
            output.status.success(),
            "{}: {}{}",
            line.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Nothing of it stays.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let removed = self
            .account
            .podman(["rm", "--force", "--time=0", "--volumes", CONTAINER])
            .run_any();
        self.account.close(true)?;
        removed.map(drop)
    }
}
