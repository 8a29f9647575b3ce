//! Every command of the README is run.

use crate::stage::Stage;
use anyhow::ensure;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::repository;

/// Runs the README's shell blocks in order, in the account. Blocks marked `host` are for root and checked by
/// `cargo xtask quickstart`; blocks marked `repository` are run by `cargo xtask test` itself.
pub(crate) fn commands(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator("a: { image: '@SMALL@', script: ['true'] }\n")?;
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let mut script = format!(
        "set -e\nexport EDITOR=true\nexport CI_SERVER_URL={}\nexport DOCKER_IMAGE={}\nTOKEN={}\n",
        project.url,
        stage.small(),
        project.token()
    );
    let mut blocks = 0;
    for block in blocks_of(&text, "```sh user\n") {
        script.push_str(&block.replace("registry.gitlab.com/qontainers/pipglr:latest", &stage.image));
        blocks += 1;
    }
    ensure!(blocks >= 6, "the README has {blocks} blocks for users");
    let output = stage.account.shell(&script).run_any()?;
    ensure!(
        output.status.success(),
        "the README's commands fail:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn blocks_of<'a>(text: &'a str, fence: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(fence).skip(1).filter_map(|rest| rest.split("```").next())
}
