//! A runner's volumes are one container's alone: two engines on one storage do not see each other's locks, and two managers
//! of one state are the same one for GitLab.

use crate::podman::{Podman, PodmanError};
use crate::sandbox::{STATE_VOLUME, STORAGE_VOLUME, Sandbox};
use serde::Deserialize;
use std::fmt;

/// A container that has a volume another one is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub volume: &'static str,
    /// The container that has it.
    pub container: String,
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { volume, container } = self;
        write!(
            f,
            "the container {container} has the volume {volume}: two runners cannot share it"
        )
    }
}

impl Tenant {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { container, .. } = self;
        format!(
            "--container {container} is the runner that is there, --concurrent lets it do more; `pipglr down --container \
             {container}` makes room for another name; a second runner takes an account of its own"
        )
    }
}

/// A row of `podman ps --format=json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    names: Vec<String>,
    /// Removed when it ends.
    #[serde(default)]
    auto_remove: bool,
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

impl Row {
    /// A command about the runner has its volumes for a moment. What a unit of systemd runs goes with each stop, too, and
    /// comes again.
    fn stays(&self) -> bool {
        let of_a_unit =
            |labels: &std::collections::BTreeMap<String, String>| labels.contains_key("PODMAN_SYSTEMD_UNIT");
        !self.auto_remove || self.labels.as_ref().is_some_and(of_a_unit)
    }
}

/// Which container has a volume that the container `name` is to have.
///
/// # Errors
/// podman cannot be asked.
pub(crate) fn tenant(podman: &Podman, name: &str) -> Result<Option<Tenant>, PodmanError> {
    for volume in [STORAGE_VOLUME, STATE_VOLUME] {
        let filter = format!("--filter=volume={volume}");
        let rows: Vec<Row> = podman.json(&["ps", "--all", "--format=json", &filter])?;
        if let Some(container) = other(&rows, name) {
            return Ok(Some(Tenant { volume, container }));
        }
    }
    Ok(None)
}

/// The first container that is neither `name` nor the one it replaces.
fn other(rows: &[Row], name: &str) -> Option<String> {
    let own = [name.to_owned(), Sandbox::aside(name)];
    let strange = |row: &&Row| row.stays() && !row.names.iter().any(|there| own.contains(there));
    rows.iter().find(strange).and_then(|row| row.names.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::{Row, other};

    #[test]
    fn a_volume_has_one_runner() {
        for (rows, found) in [
            ("[]", None),
            (r#"[{"Names":["pipglr"]},{"Names":["pipglr-before"]}]"#, None),
            (r#"[{"Names":["old"],"AutoRemove":false}]"#, Some("old")),
            // A command that has it for a moment, and what a unit runs.
            (r#"[{"Names":["brave_curie"],"AutoRemove":true,"Labels":null}]"#, None),
            (
                r#"[{"Names":["old"],"AutoRemove":true,"Labels":{"PODMAN_SYSTEMD_UNIT":"old.service"}}]"#,
                Some("old"),
            ),
        ] {
            let parsed: Vec<Row> = serde_json::from_str(rows).unwrap();
            assert_eq!(other(&parsed, "pipglr").as_deref(), found, "{rows}");
        }
    }
}
