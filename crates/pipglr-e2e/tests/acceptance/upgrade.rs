//! Another image for the runner that the account's systemd keeps.

use crate::Host;
use crate::project::{all_pass, contains, job, log};
use anyhow::ensure;

/// The image in service so far, by what is added to it.
const NEXT: &str = "LABEL acceptance=next";
/// Its runner does not start where the file is, which a trial on volumes of its own does not see.
const ILL: &str = "RUN mkdir -p /etc/systemd/system/runner.service.d && printf \
    '[Service]\\nExecStartPre=/usr/bin/test ! -e /var/lib/pipglr/ill\\n' >/etc/systemd/system/runner.service.d/ill.conf";

/// The job that runs meanwhile comes to its end.
pub(crate) fn with_a_job(host: &mut Host) -> anyhow::Result<()> {
    build(host, "next", NEXT)?;
    let id = host.begin_and_see("upgrade")?;
    let said = host.user("pipglr upgrade --image localhost/pipglr:next", 900)?;
    contains(&said, "restart pipglr.service (its image is another)")?;
    let pipeline = host.wait(id, 300)?;
    all_pass(&pipeline)?;
    contains(&log(job(&pipeline, "upgraded")?)?, "and ended\n")?;
    is_of(host, "localhost/pipglr:next")?;
    let again = host.user("pipglr upgrade --no-pull", 300)?;
    contains(&again, "nothing to do")
}

/// What becomes ill in service only: the one before comes back.
pub(crate) fn to_an_ill_one(host: &mut Host) -> anyhow::Result<()> {
    build(host, "ill", ILL)?;
    host.user("podman exec pipglr touch /var/lib/pipglr/ill", 60)?;
    let said = host.user("! pipglr upgrade --image localhost/pipglr:ill", 1500)?;
    contains(&said, "going back: write ~/.config/containers/systemd/pipglr.container")?;
    contains(&said, "hint: the container that was there before is in service again")?;
    host.user("podman exec pipglr rm /var/lib/pipglr/ill", 60)?;
    is_of(host, "localhost/pipglr:next")
}

fn build(host: &Host, tag: &str, line: &str) -> anyhow::Result<()> {
    let script = format!(
        "podman build --quiet --tag localhost/pipglr:{tag} - <<'END'\n\
         FROM $IMAGE\n{line}\nEND"
    );
    let image = host.user("podman inspect --format={{.ImageName}} pipglr", 60)?;
    host.user(&script.replace("$IMAGE", image.trim()), 600).map(drop)
}

/// By its unit, healthy, and with nothing left beside it.
fn is_of(host: &Host, image: &str) -> anyhow::Result<()> {
    let facts = host.user(
        "podman exec pipglr pipglr health --wait 120\nsystemctl --user is-active pipglr.service\n\
         podman inspect --format='{{.Name}} of {{.ImageName}} by {{index .Config.Labels \"PODMAN_SYSTEMD_UNIT\"}}' $(podman ps --all --quiet)",
        200,
    )?;
    ensure!(
        facts.ends_with(&format!("active\npipglr of {image} by pipglr.service\n")),
        "{facts}"
    );
    Ok(())
}
