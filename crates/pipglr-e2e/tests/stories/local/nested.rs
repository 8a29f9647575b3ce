//! `pipglr local --nested`: the stage's account runs a pipeline in the image's sandbox.

use super::desk::Desk;
use crate::stage::{Stage, contains};
use anyhow::ensure;
use pipglr_e2e::command::CommandExt as _;

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
    let desk = Desk::nested(stage, CONFIGURATION)?;
    desk.write("changed", "not committed\n")?;
    let first = desk.run("-e GREETING --log-dir logs --artifacts=taken")?;
    let said = first.text();
    ensure!(first.code == 3, "exit code {}: {said}", first.code);
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

    let events = desk.run("compile --json")?;
    let said = events.text();
    ensure!(events.code == 0, "exit code {}: {said}", events.code);
    contains(&said, "\"line\":\"runs: 2\"")?;
    contains(&said, "\"event\":\"end\"")?;

    interrupted(&desk)?;
    leftovers_go(&desk)?;

    let cleaned = desk.typed("local --clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
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
    desk.wait_for("| begun", 1)?;
    desk.shell("kill -KILL $(cat pid)")?;
    child.wait()?;
    let left = desk.stage.account.podman(["ps", "--quiet"]).run_text()?;
    ensure!(left.lines().count() == 1, "one sandbox is left: {left:?}");
    let ran = desk.run("compile")?;
    ensure!(ran.code == 0, "{}", ran.text());
    contains(&ran.text(), "compile | runs: 3\n")?;
    desk.is_left_clean()
}

/// A page about the run, a terminal with a shell in a failed job, and another run when a file changes.
pub(crate) fn seen(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::nested(stage, CONFIGURATION)?;
    let reported = desk.run("--report page.html")?;
    ensure!(reported.code == 3, "exit code {}: {}", reported.code, reported.text());
    let page = desk.read("page.html")?;
    for part in ["<!DOCTYPE html>", "broken", "compile", "runs: 1"] {
        contains(&page, part)?;
    }
    desk.is_left_clean()?;

    let shown = desk.on_terminal(
        "--shell-on-failure broken",
        "cat out/all; echo typed in $CI_JOB_NAME; tty",
    )?;
    for part in [
        "broken has failed. This shell is in its container",
        "typed in broken\n",
        "/dev/pts/",
        "exit 3\n",
    ] {
        contains(&shown, part)?;
    }
    desk.is_left_clean()?;

    let mut child = desk.start("--watch compile --artifacts=taken")?;
    desk.wait_for("pipeline: success", 1)?;
    desk.write("changed", "another text\n")?;
    desk.wait_for("pipeline: success", 2)?;
    desk.shell("kill -INT $(cat pid)")?;
    child.wait()?;
    contains(&desk.read("taken/out/all")?, "another text\n")?;
    desk.is_left_clean()
}
