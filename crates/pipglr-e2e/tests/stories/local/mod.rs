//! `pipglr local`, typed by the stage's account on its own rootless podman.

mod choices;
mod desk;
mod nested;
mod own;

pub(crate) use choices::{cleaning, input_and_limits, selections, watching};
pub(crate) use nested::{pipeline as in_the_sandbox, seen as seen_in_the_sandbox};
pub(crate) use own::checks as own_checks;

use crate::stage::{Stage, contains, lacks};
use anyhow::{Context as _, ensure};
use desk::Desk;
use pipglr_e2e::command::CommandExt as _;

const CONFIGURATION: &str = "\
stages: [build, test, late]
default: { image: '@SMALL@' }
compile:
  stage: build
  cache: { key: story, paths: [kept] }
  script:
    - mkdir -p out kept
    - 'cat tracked changed > out/all'
    - 'echo again >> kept/count'
    - 'wc -l < kept/count'
    - 'test ! -e ignored && echo ignored files are not here'
  artifacts: { paths: [out] }
unit:
  stage: test
  script: ['cat out/all', 'echo \"$CI_COMMIT_REF_NAME $GREETING\"']
many:
  stage: test
  script: ['seq 1 200000']
broken:
  stage: test
  script: [echo about to fail, exit 7]
  after_script: [echo after it failed]
allowed:
  stage: test
  allow_failure: true
  script: [exit 1]
never:
  stage: late
  script: ['true']
";

/// A pipeline of an uncommitted working tree: artifacts, caches, variables, a failure, everything in the output.
pub(crate) fn pipeline(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(stage, CONFIGURATION)?;
    desk.write("changed", "not committed\n")?;
    desk.write("ignored", "x")?;
    let first = desk.run("-e GREETING=hello --log-dir logs --timings")?;
    let text = first.text();
    ensure!(first.code == 3, "exit code {}: {text}", first.code);
    for part in [
        "unit    | not committed\n",
        "unit    | main hello\n",
        "compile | ignored files are not here\n",
        "compile | 1\n",
        "broken  | after it failed\n",
        "broken  # failed after ",
        ": exit code 7\n",
        "\npipeline: failed (with allowed failures)\n",
    ] {
        contains(&text, part)?;
    }
    let lines = text.lines().filter(|line| line.starts_with("many    | ")).count();
    ensure!(lines > 200_000, "{lines} lines of 200000 were shown");
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("job ")).collect();
    let heading = table.first().context("a table")?;
    ensure!(heading.contains("waited"), "{heading}");
    let of_broken = table.get(1).context("a row")?;
    ensure!(
        of_broken.starts_with("broken ") && of_broken.contains("exit code 7") && of_broken.ends_with("logs/broken.log"),
        "failures come first: {of_broken}"
    );
    contains(&desk.read("logs/broken.log")?, "about to fail\n")?;
    contains(&desk.shell("git status --porcelain --ignored")?, "!! ignored\n")?;
    lacks(&desk.shell("ls -R")?, "out")?;
    let second = desk.run("compile unit --artifacts=taken")?;
    ensure!(second.code == 0, "{}", second.text());
    contains(&second.text(), "compile | 2\n")?;
    lacks(&second.text(), "broken")?;
    contains(&desk.read("taken/out/all")?, "not committed\n")?;
    desk.is_left_clean()?;
    let cleaned = desk.run("--clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
    let volumes = stage.account.podman(["volume", "ls", "--quiet"]).run_text()?;
    ensure!(volumes.is_empty(), "{volumes}");
    Ok(())
}

/// Services are found by name; events are JSON; a job that was left out is not run.
pub(crate) fn services_and_events(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         web:\n  services: [{ name: '@SMALL@', alias: server, command: [bash, -c, 'exec perl -MIO::Socket::INET -e \
         \"\\$s = IO::Socket::INET->new(Listen => 5, LocalPort => 80, ReuseAddr => 1); while (\\$c = \\$s->accept) { \
         print \\$c qq(served); close \\$c }\"'] }]\n  \
         script: ['for i in 1 2 3 4 5 6 7 8 9; do cat < /dev/tcp/server/80 && break; sleep 1; done']\n\
         left out: { script: [exit 1] }\n",
    )?;
    let ran = desk.run("--json web")?;
    ensure!(ran.code == 0, "{}", ran.text());
    let events: Vec<serde_json::Value> = ran
        .text()
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("every line is JSON")?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    ensure!(
        kinds.first() == Some(&"pipeline") && kinds.last() == Some(&"end"),
        "{kinds:?}"
    );
    let end = events.last().context("an end")?;
    ensure!(end["state"] == "success" && end["exit_code"] == 0, "{end}");
    ensure!(end["jobs"].as_array().is_some_and(|jobs| jobs.len() == 1), "{end}");
    let served = events
        .iter()
        .any(|event| event["event"] == "log" && event["line"] == "served");
    ensure!(served, "the service was not heard:\n{}", ran.text());
    desk.is_left_clean()
}

/// The first Ctrl-C lets after_script run, the second does not; nothing is left either way.
pub(crate) fn interrupted(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         long: { script: ['echo begun', 'sleep 1000'], after_script: ['echo cleaning up', 'sleep ${PAUSE:-0}', 'echo cleaned'] }\n",
    )?;
    let once = desk.interrupt("", &["| begun"])?;
    contains(&once, "long | cleaned\n")?;
    contains(&once, "\npipeline: canceled\n")?;
    contains(&once, "\nexit 130\n")?;
    desk.is_left_clean()?;
    let twice = desk.interrupt("-e PAUSE=1000", &["| begun", "| cleaning up"])?;
    lacks(&twice, "long | cleaned\n")?;
    contains(&twice, "\nexit 130\n")?;
    desk.is_left_clean()
}

/// On a terminal: a tree that is drawn in place, and a shell in the container of a failed job.
pub(crate) fn on_a_terminal(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none, COLOUR: blue }\n\
         held: { script: ['echo from the job > /tmp/left', 'exit 4'] }\n",
    )?;
    let shown = desk.on_terminal("--shell-on-failure", "cat /tmp/left; echo $COLOUR $CI_JOB_NAME; tty")?;
    contains(&shown, "exit 3\n")?;
    for part in [
        "held has failed. This shell is in its container",
        "from the job\n",
        "blue held\n",
        "/dev/pts/",
        "\u{1b}[?2026h",
        "pipeline: failed",
    ] {
        contains(&shown, part)?;
    }
    desk.is_left_clean()
}

/// Every way it can be that there is nothing to run it on, told in a line and a hint.
pub(crate) fn troubles(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\na: { script: ['true'] }\n\
         missing: { image: 'localhost/nobody/has:this', script: ['true'] }\n",
    )?;
    let hidden = desk.shell(&format!(
        "mkdir -p bin; ln -sf $(command -v git) bin/git; PATH=$PWD/bin {} local; echo exit $?",
        desk.program()
    ))?;
    contains(&hidden, "error: podman cannot be started")?;
    contains(&hidden, "\nhint: install podman")?;
    contains(&hidden, "\nexit 1\n")?;
    let unknown = desk.run("no-such-job")?;
    ensure!(unknown.code == 2, "{}", unknown.text());
    contains(
        &unknown.text(),
        "this pipeline has no job no-such-job; it has a, missing",
    )?;
    let nothing = desk.run("--offline missing")?;
    ensure!(nothing.code == 3, "{}", nothing.text());
    contains(&nothing.text(), "no such image on this runner")?;
    desk.is_left_clean()
}
