//! Where a story types `pipglr local`: a project of the stage's account, and the program.

use crate::stage::{Stage, lacks, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Output};
use std::time::Duration;

/// What the account has, below its home.
const ROOT: &str = "local-story";
const PROGRAM: &str = "local-story/pipglr";
const PROJECT: &str = "local-story/project";

/// The account's project, and the program that works on it.
pub(super) struct Desk<'s> {
    pub(super) stage: &'s Stage,
    /// Variables of the shell, before the program.
    environment: String,
    /// The command and what all runs are told.
    command: String,
    /// How many volumes there are between runs, if that is always the same.
    volumes: Option<usize>,
}

/// What came of a run.
pub(super) struct Ran {
    pub(super) code: i32,
    output: Output,
}

impl Ran {
    /// Everything that was said.
    pub(super) fn text(&self) -> String {
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        said(&self.output.stderr) + said(&self.output.stdout).as_str()
    }
}

impl<'s> Desk<'s> {
    /// A committed project with this configuration, the small image in the account's podman.
    pub(super) fn set(stage: &'s Stage, configuration: &str) -> anyhow::Result<Self> {
        let desk = Self::equip(stage, "local".to_owned(), String::new())?;
        desk.commit(configuration)?;
        // The name under which jobs inside the sandbox pull it is of no use here.
        let small = stage.small();
        let reachable = small.replace(&stage.registry.address_inside(), &stage.registry.address());
        let account = &stage.account;
        account
            .podman(["pull", "--quiet", "--tls-verify=false", &reachable])
            .run_text()?;
        account.podman(["tag", &reachable, &small]).run_text()?;
        Ok(desk)
    }

    /// A committed project with this configuration, whose runs are in the sandbox.
    pub(super) fn nested(stage: &'s Stage, configuration: &str) -> anyhow::Result<Self> {
        let file = stage.account.home().join(ROOT).join("registries.conf");
        let environment = format!(
            "GREETING=hello PIPGLR_OPTIONS='--volume={}:/etc/containers/registries.conf.d/10-own.conf:ro'",
            file.display()
        );
        let mut desk = Self::equip(stage, format!("local --nested={}", stage.image), environment)?;
        // The storage and the state of the sandbox.
        desk.volumes = Some(2);
        // The registry of the stage speaks no TLS.
        let registry = stage.registry.address_inside();
        stage.account.write(
            &format!("{ROOT}/registries.conf"),
            &format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"),
        )?;
        desk.commit(configuration)?;
        Ok(desk)
    }

    /// The program, and an empty project.
    pub(super) fn equip(stage: &'s Stage, command: String, environment: String) -> anyhow::Result<Self> {
        stage
            .account
            .shell(&format!("rm -rf {ROOT} .local/state/pipglr; mkdir -p {PROJECT}"))
            .run_text()?;
        let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
        let target = stage.account.home().join(PROGRAM);
        std::fs::copy(&program, &target).with_context(|| format!("copy {program}"))?;
        Ok(Self {
            stage,
            environment,
            command,
            volumes: None,
        })
    }

    fn commit(&self, configuration: &str) -> anyhow::Result<()> {
        for (name, text) in [
            (
                ".gitlab-ci.yml",
                configuration.replace("@SMALL@", &self.stage.small()).as_str(),
            ),
            ("tracked", "committed\n"),
            ("changed", "committed\n"),
            (".gitignore", "ignored\nlogs\ntaken\nshown\npid\nbin\n"),
        ] {
            self.write(name, text)?;
        }
        self.commit_all()
    }

    /// All that is in the project becomes its first commit.
    pub(super) fn commit_all(&self) -> anyhow::Result<()> {
        self.shell(
            "chmod 700 . && git init --quiet --initial-branch=main && git add --all && \
             git -c user.name=x -c user.email=x commit --quiet --message first",
        )
        .map(drop)
    }

    pub(super) fn program(&self) -> String {
        self.stage.account.home().join(PROGRAM).display().to_string()
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.stage.account.home().join(PROJECT)
    }

    /// A file of the project.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        self.stage.account.write(&format!("{PROJECT}/{name}"), text)
    }

    pub(super) fn read(&self, name: &str) -> anyhow::Result<String> {
        self.shell(&format!("cat {name}"))
    }

    /// A shell line in the project, with its errors in its output.
    pub(super) fn shell(&self, line: &str) -> anyhow::Result<String> {
        let line = format!("cd {PROJECT} && {{ {line}\n}} 2>&1");
        self.stage.account.shell(&line).run_text()
    }

    /// `pipglr local` with these arguments.
    pub(super) fn run(&self, arguments: &str) -> anyhow::Result<Ran> {
        self.typed(&format!("{} {arguments}", self.command))
    }

    /// `pipglr` with these arguments.
    pub(super) fn typed(&self, arguments: &str) -> anyhow::Result<Ran> {
        let line = format!(
            "cd {PROJECT} && {} exec {} {arguments}",
            self.environment,
            self.program()
        );
        let output = self.stage.account.shell(&line).run_any()?;
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            output,
        })
    }

    /// `pipglr local` in the background, with its output in `shown` and its ID in `pid`.
    pub(super) fn start(&self, arguments: &str) -> anyhow::Result<Child> {
        self.shell("rm -f shown pid")?;
        // In the background of a shell without job control SIGINT is ignored: it is set back first.
        let line = format!(
            "cd {PROJECT} && {} perl -e '$SIG{{INT}} = \"DEFAULT\"; open(F, \">pid\"); print F $$; close F; \
             exec @ARGV' {} {} {arguments} >shown 2>&1; echo exit $? >>shown",
            self.environment,
            self.program(),
            self.command
        );
        Ok(self.stage.account.shell(&line).spawn()?)
    }

    /// Until this has been said so many times by what was started.
    pub(super) fn wait_for(&self, word: &str, times: usize) -> anyhow::Result<()> {
        let shown = self.directory().join("shown");
        wait_for(word, Duration::from_secs(90), || {
            let text = std::fs::read_to_string(&shown).unwrap_or_default();
            Ok((text.matches(word).count() >= times).then_some(()))
        })
    }

    /// Starts it and sends SIGINT each time the next of these words is shown; gives all that was said.
    pub(super) fn interrupt(&self, arguments: &str, words: &[&str]) -> anyhow::Result<String> {
        let mut child = self.start(arguments)?;
        for word in words {
            self.wait_for(word, 1)?;
            self.shell("kill -INT $(cat pid)")?;
        }
        child.wait()?;
        self.read("shown")
    }

    /// `pipglr local` on a terminal with a shell in a job that failed, into which this is typed; gives all that was shown.
    pub(super) fn on_terminal(&self, arguments: &str, typed: &str) -> anyhow::Result<String> {
        // The shell is there when it says so.
        let typed = format!(
            "sleep 1; for i in $(seq 300); do grep -q 'shell is in its container' shown && break; sleep 0.2; done; \
             sleep 2; printf '{typed}\\nexit\\n'; sleep 3"
        );
        let line = format!(
            "rm -f shown; touch shown; ({typed}) | {} TERM=xterm script --quiet --return --flush \
             --command '{} {} {arguments}' shown >/dev/null; echo exit $?; cat shown",
            self.environment,
            self.program(),
            self.command
        );
        Ok(self.shell(&line)?.replace('\r', ""))
    }

    /// No container, no network, no socket, no service of podman is left; volumes have labels.
    pub(super) fn is_left_clean(&self) -> anyhow::Result<()> {
        let account = &self.stage.account;
        let containers = account.podman(["ps", "--all", "--quiet"]).run_text()?;
        ensure!(containers.is_empty(), "containers: {containers}");
        let networks = account
            .podman(["network", "ls", "--quiet", "--filter", "name=runner-"])
            .run_text()?;
        ensure!(networks.is_empty(), "networks: {networks}");
        let all = account.podman(["volume", "ls", "--quiet"]).run_text()?;
        let ours = ["volume", "ls", "--quiet", "--filter", "label=pipglr.managed=true"];
        let ours = account.podman(ours).run_text()?;
        let count = all.lines().count();
        ensure!(
            all == ours && self.volumes.is_none_or(|expected| expected == count),
            "volumes: {all} ours: {ours}"
        );
        let runtime = account.shell("ls $XDG_RUNTIME_DIR").run_text()?;
        lacks(&runtime, "pipglr")?;
        let services = account
            .shell("pgrep --uid $(id -u) --full '[p]odman system service' || true")
            .run_text()?;
        ensure!(services.trim().is_empty(), "podman's services: {services}");
        Ok(())
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        // Whatever became of the story, the next one starts anew.
        let _ = self
            .stage
            .account
            .shell(&format!("rm -rf {ROOT} .local/state/pipglr"))
            .run_any();
    }
}
