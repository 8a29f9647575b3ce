//! Control groups of containers with limits. podman without root and without a systemd of its own makes none by itself, and
//! leaves those it was told to make.

use super::Engine;
use pipglr_podman::ContainerSpec;
use std::fs;
use std::io;
use std::path::Path;

/// Where control groups of version 2 are.
const ROOT: &str = "/sys/fs/cgroup";

/// Gives a container that has limits the group they are set in, unless it was given one. podman takes the parent as the
/// group itself, so each needs its own.
pub(super) fn place(spec: &mut ContainerSpec, group: Option<&str>) {
    if let (Some(group), Some(name), Some(_), None) = (group, &spec.name, &spec.resource_limits, &spec.cgroup_parent) {
        spec.cgroup_parent = Some(format!("{group}/{name}"));
    }
}

/// Removes the group of the container `name`, which is gone, if it had one.
pub(super) fn remove(engine: &Engine, name: &str) {
    let Some(group) = &engine.settings.limits_group else {
        return;
    };
    if let Err(error) = remove_below(Path::new(ROOT), group, name) {
        tracing::debug!(container = name, %error, "the container's control group is left");
    }
}

fn remove_below(root: &Path, group: &str, name: &str) -> io::Result<()> {
    match fs::remove_dir(root.join(group.trim_start_matches('/')).join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{place, remove_below};
    use pipglr_podman::{ContainerSpec, ResourceLimits};

    #[test]
    fn a_container_with_limits_has_a_group_of_its_own() {
        for (limits, given, group, expected) in [
            (true, None, Some("/jobs"), Some("/jobs/a")),
            (true, Some("own"), Some("/jobs"), Some("own")),
            (true, None, None, None),
            (false, None, Some("/jobs"), None),
        ] {
            let mut spec = ContainerSpec {
                name: Some("a".to_owned()),
                resource_limits: limits.then(ResourceLimits::default),
                cgroup_parent: given.map(str::to_owned),
                ..ContainerSpec::default()
            };
            place(&mut spec, group);
            assert_eq!(spec.cgroup_parent.as_deref(), expected, "{limits} {given:?} {group:?}");
        }
    }

    #[test]
    fn its_group_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("a.service/jobs/one");
        std::fs::create_dir_all(&group).unwrap();
        remove_below(root.path(), "/a.service/jobs", "one").unwrap();
        assert!(!group.exists());
        remove_below(root.path(), "/a.service/jobs", "one").unwrap();
    }
}
