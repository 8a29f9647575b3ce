//! Every command of the README is run, by whom it is meant for: root of a host, the runner's account, a checkout.

pub(crate) mod checkout;
mod host;

use crate::stage::Stage;
use anyhow::{bail, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::repository;

/// Runs the blocks marked `user` in order, in the account.
pub(crate) fn user_commands(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator("a: { image: '@SMALL@', script: ['true'] }\n")?;
    let mut script = format!(
        "set -e\nexport EDITOR=true\nexport CI_SERVER_URL={}\nexport DOCKER_IMAGE={}\nTOKEN={}\n",
        project.url,
        stage.small(),
        project.token()
    );
    let blocks = blocks("user")?;
    ensure!(blocks.len() >= 6, "the README has {} blocks for users", blocks.len());
    for block in blocks {
        script.push_str(&block.replace("registry.gitlab.com/qontainers/pipglr:latest", &stage.image));
    }
    let output = stage.account.shell(&script).run_any()?;
    ensure!(
        output.status.success(),
        "the README's commands fail:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Runs the blocks marked `repository`, each line by the function that knows what it needs.
pub(crate) fn repository_commands(stage: &mut Stage) -> anyhow::Result<()> {
    for line in lines("repository")? {
        match line.as_str() {
            // `cargo xtask test` runs it after the stories.
            "cargo xtask quickstart" => {}
            line if line.starts_with("podman build ") => checkout::podman_build(stage, line)?,
            "cargo xtask image" => checkout::xtask_image(stage)?,
            line if line.starts_with("pipglr serve ") => checkout::serve(line)?,
            other => bail!("the README has a command that no test runs: {other}"),
        }
    }
    Ok(())
}

/// Runs the blocks marked `host` as an account with sudo, on a host with systemd and logind.
pub(crate) fn host_commands(stage: &mut Stage) -> anyhow::Result<()> {
    let script: String = blocks("host")?.concat();
    ensure!(script.contains("enable-linger"), "{script}");
    host::with_sudo(stage, &script)
}

/// The README's shell blocks for `reader`.
fn blocks(reader: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let fence = format!("```sh {reader}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

/// The commands of these blocks, without comments.
fn lines(reader: &str) -> anyhow::Result<Vec<String>> {
    let blocks = blocks(reader)?.concat();
    let commands = blocks
        .lines()
        .map(|line| line.split("  #").next().unwrap_or(line).trim());
    Ok(commands.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
