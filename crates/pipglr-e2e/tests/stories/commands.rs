//! Commands of `gitlab-runner` as people type them in the real image.

use crate::stage::{Stage, contains, job, log};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;

/// `verify`, `list`, `reset-token` beside the running manager, `run-single` in its place, `unregister` at the end.
pub(crate) fn inside(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage
        .coordinator("a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo the script ran'] }\n")?;
    stage.register(&project, &[("RUNNER_NAME", "mine")])?;
    stage.configure_and_run(|text| text)?;
    let call = |line: &str| -> anyhow::Result<String> {
        let line = format!("PIPGLR_STATE_DIR=/var/lib/pipglr gitlab-runner {line} 2>&1");
        let output = stage.account.podman(["exec", "pipglr", "sh", "-c", &line]).run_any()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{line}: {text}");
        Ok(text)
    };
    let config = "--config /run/secrets/config.toml";
    contains(&call(&format!("verify {config}"))?, "Verifying runner... is valid")?;
    contains(&call(&format!("list {config}"))?, "mine")?;

    let before = project.token();
    contains(&call(&format!("reset-token --name mine {config}"))?, "succeeded")?;
    ensure!(project.token() != before, "the coordinator has a new token");
    contains(&call(&format!("verify {config}"))?, "is valid")?;
    // The manager notices by itself.
    let pipeline = stage.run_pipeline(&project)?;
    ensure!(job(&pipeline, "a")?.state == JobState::Success, "{pipeline:#?}");

    let inside = |arguments: &[&str]| stage.account.podman(["exec"].iter().chain(arguments)).run_text();
    inside(&["pipglr", "systemctl", "stop", "runner.service"])?;
    let id = stage.begin_pipeline(&project)?;
    let (small, token) = (stage.small(), project.token());
    let environment = format!("CI_SERVER_TOKEN={token}");
    let single = [
        "--user=runner:podman",
        "--env",
        &environment,
        "pipglr",
        "gitlab-runner",
        "run-single",
        "--url",
        &project.url,
        "--executor=docker",
        "--docker-image",
        &small,
        "--docker-pull-policy=if-not-present",
        "--max-builds=1",
    ];
    inside(&single)?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    contains(&log(job(&pipeline, "a")?)?, "the script ran")?;

    inside(&["pipglr", "cp", "/run/secrets/config.toml", "/tmp/config.toml"])?;
    let said = call("unregister --name mine --config /tmp/config.toml")?;
    contains(&said, "Unregistering runner from GitLab succeeded")?;
    let left = inside(&["pipglr", "cat", "/tmp/config.toml"])?;
    ensure!(!left.contains("name = \"mine\""), "{left}");
    Ok(())
}
