//! A container is stopped so that its jobs come to their end, by themselves or told why.

use crate::podman::{Podman, PodmanError};

/// Stops the runner inside, as its user would: `SIGQUIT` takes no more jobs. When time is up, `SIGTERM` ends what still
/// runs and says so to GitLab, for which it has as long as `shutdown_timeout` and a little more. systemd is told to stop
/// the unit in both cases, or it would start it again.
const DRAIN: &str = r#"timeout "$1" systemctl stop runner.service && exit
echo "time is up" >&2
systemctl kill --kill-whom=main --signal=SIGTERM runner.service
timeout 120 systemctl stop runner.service
"#;
/// What systemd in the container has to end everything else, in seconds.
const SYSTEMD: &str = "--time=60";

/// Drains and stops the container `name`; one that is stopped or not there stays so.
///
/// # Errors
/// podman fails.
pub(crate) fn drain_and_stop(podman: &Podman, name: &str, limit: u32) -> Result<(), PodmanError> {
    let Some(running) = podman.is_running(name)? else {
        return Ok(());
    };
    if running {
        drain(podman, name, limit)?;
    }
    // Also where it has stopped meanwhile: podman then knows that it is to stay so.
    podman.text(&["stop", SYSTEMD, name])?;
    Ok(())
}

/// The runner inside takes no more jobs, and has ended those that ran; the container goes on. It may not run.
///
/// # Errors
/// podman cannot be started.
pub(crate) fn drain(podman: &Podman, name: &str, limit: u32) -> Result<(), PodmanError> {
    let limit = limit.to_string();
    // Where there is no systemd or no runner inside, there is nothing to wait for.
    podman
        .output(&["exec", name, "sh", "-c", DRAIN, "drain", &limit], None)
        .map(drop)
}

/// Removes a container that was stopped. One that was down just then is started again by its restart policy all the same.
///
/// # Errors
/// podman fails.
pub(crate) fn remove_stopped(podman: &Podman, name: &str) -> Result<(), PodmanError> {
    podman.text(&["rm", "--force", "--ignore", "--time=10", name]).map(drop)
}
