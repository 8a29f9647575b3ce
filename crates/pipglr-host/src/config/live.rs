//! A container has a copy of its secret from when it was made. Here the copy of a running one gets a new text.

use crate::podman::{Podman, PodmanError};

/// In the container, with the new text as standard input and its length as `$1`. The runner may read at any moment, so the
/// file is overwritten by one write, padded over the old text's end, and shortened after that: a reader finds the old
/// text or the new one, perhaps with empty lines. Without systemd's help the runner looks every three seconds, too.
const WRITE: &str = r#"f=/run/secrets/config.toml
old=$(stat -c %s "$f")
{ cat; head -c "$old" /dev/zero | tr '\0' '\n'; } | dd of="$f" conv=notrunc bs=2M iflag=fullblock status=none
truncate -s "$1" "$f"
systemctl kill --kill-whom=main --signal=HUP runner.service || echo "the runner is not told, and looks by itself" >&2
"#;

/// Where a new configuration is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The runner reads it.
    Running,
    /// The container is stopped and has the old one.
    Stopped,
    /// There is no container.
    Missing,
}

/// Brings `text` to the runner in the container `name`.
///
/// # Errors
/// podman fails, or the container's file cannot be written.
pub fn bring(podman: &Podman, name: &str, text: &str) -> Result<Reached, PodmanError> {
    match podman.is_running(name)? {
        None => return Ok(Reached::Missing),
        Some(false) => return Ok(Reached::Stopped),
        Some(true) => {}
    }
    let length = text.len().to_string();
    let write = ["exec", "--interactive", name, "sh", "-ec", WRITE, "write", &length];
    podman.text_with_input(&write, text.as_bytes())?;
    Ok(Reached::Running)
}
