//! A runner that the account's systemd keeps: taken over from `pipglr up`, upgraded through its unit and brought back. In place
//! of the runner's image stands one that answers what it is asked, as no job is run here.

use super::condition::doctor;
use super::host::Host;
use crate::stage::{contains, lacks, said};
use anyhow::ensure;

/// Makes `localhost/runner`, a tag for each variant, as root of the host.
const IMAGES: &str = include_str!("unit.sh");
/// What this host cannot do: make control groups with limits.
const OPTIONS: &str = "--run-option=--cgroups=disabled --run-option=--env=KEPT=yes";
const CONFIG: &str =
    "concurrent = 1\n[[runners]]\nname = \"r\"\nurl = \"http://gitlab.story\"\ntoken = \"glrt-story\"\n";

pub(super) fn story(host: &Host) -> anyhow::Result<()> {
    host.succeed(&doctor("--fix --user ci"))?;
    host.succeed(IMAGES)?;
    host.succeed(&format!(
        "printf '{}' | as-ci podman secret create config.toml -",
        CONFIG.replace('\n', "\\n")
    ))?;
    let runner = Runner(host);
    taken_over(&runner)?;
    upgraded(&runner)?;
    brought_back(&runner)?;
    taken_down(&runner)
}

/// `up` makes the container come back with the machine; `service install` keeps what it was given.
fn taken_over(runner: &Runner<'_>) -> anyhow::Result<()> {
    let up = runner.pipglr(&format!("up --image localhost/runner:one {OPTIONS}"), 0)?;
    contains(&up, "enable podman-restart.service of the account")?;
    ensure!(
        runner.systemctl("is-enabled podman-restart.service")? == "enabled\n",
        "{up}"
    );
    contains(&runner.pipglr("up", 0)?, "nothing to do")?;
    contains(
        &runner.pipglr("service install --container second", 1)?,
        "the container pipglr has the volume pipglr-storage",
    )?;
    runner.pipglr("service install", 0)?;
    runner.is_of("one")?;
    contains(&runner.pipglr("service install", 0)?, "nothing to do")?;
    contains(&runner.pipglr("up", 0)?, "nothing to do")
}

/// Another name, then another image of the same name.
fn upgraded(runner: &Runner<'_>) -> anyhow::Result<()> {
    let said = runner.pipglr("upgrade --image localhost/runner:two", 0)?;
    contains(&said, "write ~/.config/containers/systemd/pipglr.container\n")?;
    contains(&said, "restart pipglr.service (its image is another)")?;
    runner.is_of("two")?;
    runner
        .0
        .succeed("as-ci podman tag localhost/runner:three localhost/runner:two")?;
    let said = runner.pipglr("upgrade --no-pull", 0)?;
    lacks(&said, "write ~/")?;
    runner.is_of("three")?;
    contains(&runner.pipglr("upgrade --no-pull", 0)?, "nothing to do")
}

/// An image that is ill in service only.
fn brought_back(runner: &Runner<'_>) -> anyhow::Result<()> {
    runner.inside("touch /cache/ill")?;
    runner
        .0
        .succeed("as-ci podman tag localhost/runner:ill localhost/runner:two")?;
    let said = runner.pipglr("upgrade --no-pull", 1)?;
    contains(
        &said,
        "going back: give the name localhost/runner:two back to the image",
    )?;
    contains(&said, "hint: the container that was there before is in service again")?;
    runner.is_of("three")?;
    let said = runner.pipglr("upgrade --image localhost/runner:ill", 1)?;
    contains(&said, "going back: write ~/.config/containers/systemd/pipglr.container")?;
    runner.is_of("three")
}

/// The time that is given is that of the jobs; what is down is started by its unit.
fn taken_down(runner: &Runner<'_>) -> anyhow::Result<()> {
    runner.inside("rm -f /cache/drained")?;
    contains(&runner.pipglr("restart --time 5", 0)?, "pipglr was restarted")?;
    ensure!(
        runner.inside("cat /cache/drained")? == "5 stop runner.service\n",
        "the runner inside was not drained: {}",
        runner.inside("cat /cache/drained")?
    );
    contains(&runner.pipglr("down --time 5", 0)?, "pipglr is down")?;
    ensure!(
        runner.systemctl("is-active pipglr.service")? == "inactive\n",
        "still active"
    );
    contains(&runner.pipglr("up", 0)?, "start pipglr.service\n")?;
    runner.is_of("three")
}

/// The account's, on the throw-away host.
struct Runner<'h>(&'h Host);

impl Runner<'_> {
    fn pipglr(&self, arguments: &str, code: i32) -> anyhow::Result<String> {
        let output = self.0.root(&format!("as-ci pipglr {arguments} 2>&1"))?;
        said(&output, &format!("pipglr {arguments}"), code)
    }

    fn systemctl(&self, arguments: &str) -> anyhow::Result<String> {
        let output = self.0.root(&format!("as-ci systemctl --user {arguments}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn inside(&self, line: &str) -> anyhow::Result<String> {
        self.0.succeed(&format!("as-ci podman exec pipglr sh -c '{line}'"))
    }

    /// Its unit runs this image, with what was asked for when it was made.
    fn is_of(&self, variant: &str) -> anyhow::Result<()> {
        let said = self.inside("cat /variant; echo $KEPT")?;
        ensure!(said == format!("{variant}\nyes\n"), "{said} instead of {variant}");
        let left = self.0.succeed("as-ci podman ps --all --format={{.Names}}")?;
        ensure!(left == "pipglr\n", "{left}");
        let unit = self.systemctl("is-active pipglr.service")?;
        let by_unit = self
            .0
            .succeed("as-ci podman inspect --format='{{index .Config.Labels \"PODMAN_SYSTEMD_UNIT\"}}' pipglr")?;
        ensure!(
            (unit.as_str(), by_unit.as_str()) == ("active\n", "pipglr.service\n"),
            "{unit} {by_unit}"
        );
        Ok(())
    }
}
