//! The configuration changed by command, under a runner that works.

use crate::stage::{Stage, contains, job, lacks, log, said, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

/// Where the account has the program, below its home.
pub(crate) const PROGRAM: &str = "pipglr-story-program";

/// Gives the account the program under test.
pub(crate) fn provide_program(stage: &Stage) -> anyhow::Result<()> {
    let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
    let target = stage.account.home().join(PROGRAM);
    std::fs::copy(&program, &target).with_context(|| format!("copy {program}"))?;
    Ok(())
}

/// What `pipglr` says to a shell line, if it ends with this code.
pub(crate) fn pipglr(stage: &Stage, line: &str, code: i32) -> anyhow::Result<String> {
    let line = format!("pipglr() {{ ./{PROGRAM} \"$@\"; }}; {{ {line}; }} 2>&1");
    said(&stage.account.shell(&line).run_any()?, &line, code)
}

/// What `pipglr status` says this manager is for GitLab.
pub(crate) fn system_id(stage: &Stage) -> anyhow::Result<String> {
    let status: serde_json::Value = serde_json::from_str(&pipglr(stage, "pipglr status --json", 0)?)?;
    let id = status["survey"]["system_id"].as_str().map(str::to_owned);
    id.with_context(|| format!("no system ID in {status}"))
}

/// A job runs while its runner gets another configuration, without a restart; mistakes and a broken-off change lose nothing.
pub(crate) fn under_a_running_job(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         long: { script: ['echo begun', 'for i in $(seq 1 120); do [ -e /tmp/end ] && break; sleep 1; done'] }\n",
    )?;
    provide_program(stage)?;
    stage.start_runner(&project, |text| text)?;
    let shown = pipglr(stage, "pipglr config show", 0)?;
    lacks(&shown, &project.token())?;
    contains(&shown, "token = \"[REDACTED]\"")?;
    let container = id(stage)?;
    let pipeline = stage.begin_pipeline(&project)?;
    wait_for("the job to begin", Duration::from_secs(60), || {
        let record = project.coordinator.pipeline(pipeline).context("no pipeline")?;
        Ok(log(job(&record, "long")?)?.contains("begun\n").then_some(()))
    })?;
    contains(
        &pipglr(stage, "pipglr config set concurrent 7", 0)?,
        "without a restart",
    )?;
    logged(stage, "concurrent=7")?;
    // Nothing in the image may win over it.
    contains(
        &pipglr(stage, "pipglr config set log_level debug", 0)?,
        "without a restart",
    )?;
    logged(stage, "DEBUG")?;
    contains(
        &pipglr(stage, "pipglr config set concurrent 0", 1)?,
        "nothing is changed",
    )?;
    contains(
        &pipglr(stage, "echo 'concurrent = [' | pipglr config apply -", 1)?,
        "unclosed array",
    )?;
    ensure!(pipglr(stage, "pipglr config get concurrent", 0)? == "7\n");
    broken_off(stage)?;
    ensure!(id(stage)? == container, "the container is the same");
    let end = "podman --remote exec $(podman --remote ps --quiet --filter label=pipglr.type=build) touch /tmp/end";
    // The container may be gone before podman has told how this went.
    stage.inside(end).run_any()?;
    let record = stage.wait_pipeline(&project, pipeline)?;
    let long = job(&record, "long")?;
    ensure!(long.state == JobState::Success, "{:?}\n{}", long.state, log(long)?);
    contains(
        &pipglr(stage, "pipglr import --from-podman", 0)?,
        "volume pipglr-state: the runner keeps its system ID",
    )?;
    contains(
        &pipglr(stage, "EDITOR='sed -i s/=.7/=\\ 8/' pipglr config edit --restart", 0)?,
        "restarted",
    )?;
    stage.wait_until_healthy()?;
    contains(
        &stage.inside("cat /run/secrets/config.toml").run_text()?,
        "concurrent = 8\n",
    )?;
    stage.account.shell(&format!("rm {PROGRAM}")).run_text().map(drop)
}

/// The runner says this before long.
fn logged(stage: &Stage, words: &str) -> anyhow::Result<()> {
    wait_for(&format!("the runner to say {words}"), Duration::from_secs(10), || {
        let said = stage.account.podman(["logs", "pipglr"]).run_text()?;
        Ok(said.contains(words).then_some(()))
    })
}

/// A change that was killed when the old secret was gone and the new one not there yet.
fn broken_off(stage: &Stage) -> anyhow::Result<()> {
    let text = pipglr(stage, "pipglr config show --secrets", 0)?;
    let create = ["secret", "create", "config.toml.new", "-"];
    stage.account.podman(create).run_with_input(&text)?;
    stage.account.podman(["secret", "rm", "config.toml"]).run_text()?;
    ensure!(
        pipglr(stage, "pipglr config show --secrets", 0)? == text,
        "the new text is found"
    );
    let names = stage
        .account
        .podman(["secret", "ls", "--noheading", "--format={{.Name}}"])
        .run_text()?;
    ensure!(
        names
            .split_whitespace()
            .filter(|name| name.starts_with("config.toml"))
            .eq(["config.toml"]),
        "{names}"
    );
    Ok(())
}

fn id(stage: &Stage) -> anyhow::Result<String> {
    let format = "--format={{.Id}} {{.State.StartedAt}}";
    stage
        .account
        .podman(["container", "inspect", format, "pipglr"])
        .run_text()
}
