//! `pipglr local --nested`: the stage's account runs a pipeline in the image's sandbox.

use crate::stage::{Stage, contains, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

/// What the account has, below its home.
const ROOT: &str = "nested-story";
const PROJECT: &str = "nested-story/project";

const CONFIGURATION: &str = "\
stages: [build, test]
default: { image: '@SMALL@' }
compile:
  stage: build
  cache: { key: story, paths: [kept] }
  script:
    - mkdir -p out kept
    - 'cat tracked changed > out/all'
    - 'echo again >> kept/count'
    - 'echo \"runs: $(wc -l < kept/count)\"'
  artifacts: { paths: [out] }
broken:
  stage: test
  script: ['cat out/all', 'echo \"$CI_PROJECT_NAME $GREETING\"', exit 7]
long:
  stage: test
  rules: [{ if: $LONG }]
  script: ['echo begun', 'sleep 1000']
  after_script: ['echo cleaning up', 'sleep ${PAUSE:-0}', 'echo cleaned']
";

/// Output, exit code, logs and artifacts are as without; caches stay; nothing of a job meets the account's podman.
pub(crate) fn pipeline(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(stage)?;
    stage.account.write(&format!("{PROJECT}/changed"), "not committed\n")?;
    let (code, said) = desk.run("-e GREETING --log-dir logs --artifacts=taken")?;
    ensure!(code == 3, "exit code {code}: {said}");
    for part in [
        "compile | runs: 1\n",
        "broken  | not committed\n",
        "broken  | project hello\n",
        "\npipeline: failed\n",
        "logs/broken.log",
    ] {
        contains(&said, part)?;
    }
    contains(&desk.shell("cat taken/out/all")?, "not committed\n")?;
    contains(&desk.shell("cat logs/broken.log")?, "project hello\n")?;
    desk.is_left_clean()?;

    let (code, said) = desk.run("compile --json")?;
    ensure!(code == 0, "exit code {code}: {said}");
    contains(&said, "\"line\":\"runs: 2\"")?;
    contains(&said, "\"event\":\"end\"")?;

    interrupted(&desk)?;
    leftovers_go(&desk)?;

    let (code, said) = desk.typed("local --clean")?;
    ensure!(code == 0, "{said}");
    let volumes = stage.account.podman(["volume", "ls", "--quiet"]).run_text()?;
    ensure!(volumes.is_empty(), "{volumes}");
    Ok(())
}

/// The first Ctrl-C lets after_script run, the second does not.
fn interrupted(desk: &Desk<'_>) -> anyhow::Result<()> {
    let once = desk.interrupt("-e LONG=1 long", &["| begun"])?;
    contains(&once, "long    | cleaned\n")?;
    contains(&once, "\nexit 130\n")?;
    desk.is_left_clean()?;
    let twice = desk.interrupt("-e LONG=1 -e PAUSE=1000 long", &["| begun", "| cleaning up"])?;
    ensure!(!twice.contains("long    | cleaned\n"), "{twice}");
    contains(&twice, "\nexit 130\n")?;
    desk.is_left_clean()
}

/// What a killed run left is removed by the next.
fn leftovers_go(desk: &Desk<'_>) -> anyhow::Result<()> {
    let mut child = desk.start("-e LONG=1 long")?;
    desk.wait_for("| begun")?;
    desk.shell("kill -KILL $(cat pid)")?;
    child.wait()?;
    let left = desk.stage.account.podman(["ps", "--quiet"]).run_text()?;
    ensure!(left.lines().count() == 1, "one sandbox is left: {left:?}");
    let (code, said) = desk.run("compile")?;
    ensure!(code == 0, "{said}");
    contains(&said, "compile | runs: 3\n")?;
    desk.is_left_clean()
}

/// The account's project, and the program that works on it.
struct Desk<'s> {
    stage: &'s Stage,
}

impl<'s> Desk<'s> {
    fn set(stage: &'s Stage) -> anyhow::Result<Self> {
        let account = &stage.account;
        let desk = Self { stage };
        account
            .shell(&format!("rm -rf {ROOT} .local/state/pipglr; mkdir -p {ROOT}"))
            .run_text()?;
        let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
        std::fs::copy(&program, account.home().join(ROOT).join("pipglr")).with_context(|| format!("copy {program}"))?;
        // The registry of the stage speaks no TLS.
        let registry = stage.registry.address_inside();
        account.write(
            &format!("{ROOT}/registries.conf"),
            &format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"),
        )?;
        let configuration = CONFIGURATION.replace("@SMALL@", &stage.small());
        account.write(&format!("{PROJECT}/.gitlab-ci.yml"), &configuration)?;
        for (name, text) in [
            ("tracked", "committed\n"),
            ("changed", "committed\n"),
            (".gitignore", "logs\ntaken\nshown\npid\n"),
        ] {
            account.write(&format!("{PROJECT}/{name}"), text)?;
        }
        desk.shell(
            "chmod 700 . && git init --quiet --initial-branch=main && git add --all && \
             git -c user.name=x -c user.email=x commit --quiet --message first",
        )?;
        Ok(desk)
    }

    /// A shell line in the project, with its errors in its output.
    fn shell(&self, line: &str) -> anyhow::Result<String> {
        let line = format!("cd {PROJECT} && {{ {line}\n}} 2>&1");
        self.stage.account.shell(&line).run_text()
    }

    /// Exit code, and everything that was said.
    fn run(&self, arguments: &str) -> anyhow::Result<(i32, String)> {
        self.typed(&format!("local --nested={} {arguments}", self.stage.image))
    }

    fn typed(&self, arguments: &str) -> anyhow::Result<(i32, String)> {
        let line = format!("cd {PROJECT} && {} ../pipglr {arguments} 2>&1", self.environment());
        let output = self.stage.account.shell(&line).run_any()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.code().unwrap_or(-1), said))
    }

    fn environment(&self) -> String {
        let file = self.stage.account.home().join(ROOT).join("registries.conf");
        format!(
            "GREETING=hello PIPGLR_OPTIONS='--volume={}:/etc/containers/registries.conf.d/10-own.conf:ro'",
            file.display()
        )
    }

    /// Starts it with its output in `shown` and its ID in `pid`.
    fn start(&self, arguments: &str) -> anyhow::Result<std::process::Child> {
        self.shell("rm -f shown pid")?;
        // In the background of a shell without job control SIGINT is ignored: it is set back first.
        let line = format!(
            "cd {PROJECT} && export {} && perl -e '$SIG{{INT}} = \"DEFAULT\"; open(F, \">pid\"); print F $$; close F; \
             exec @ARGV' ../pipglr local --nested={} {arguments} >shown 2>&1; echo exit $? >>shown",
            self.environment(),
            self.stage.image
        );
        Ok(self.stage.account.shell(&line).spawn()?)
    }

    fn wait_for(&self, word: &str) -> anyhow::Result<()> {
        let shown = self.stage.account.home().join(PROJECT).join("shown");
        wait_for(word, Duration::from_secs(90), || {
            let text = std::fs::read_to_string(&shown).unwrap_or_default();
            Ok(text.contains(word).then_some(()))
        })
    }

    /// Sends SIGINT each time the next of these words is shown; gives all that was said.
    fn interrupt(&self, arguments: &str, words: &[&str]) -> anyhow::Result<String> {
        let mut child = self.start(arguments)?;
        for word in words {
            self.wait_for(word)?;
            self.shell("kill -INT $(cat pid)")?;
        }
        child.wait()?;
        self.shell("cat shown")
    }

    /// No container is left; volumes are the project's two, with their labels; nothing of a job is on this podman.
    fn is_left_clean(&self) -> anyhow::Result<()> {
        let account = &self.stage.account;
        let containers = account.podman(["ps", "--all", "--quiet"]).run_text()?;
        ensure!(containers.is_empty(), "containers: {containers}");
        let all = account.podman(["volume", "ls", "--quiet"]).run_text()?;
        let ours = ["volume", "ls", "--quiet", "--filter", "label=pipglr.managed=true"];
        let ours = account.podman(ours).run_text()?;
        ensure!(all == ours && all.lines().count() == 2, "volumes: {all} ours: {ours}");
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
