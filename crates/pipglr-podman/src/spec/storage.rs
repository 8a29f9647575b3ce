//! What a container sees in its file system besides its root.

use serde::Serialize;

/// An OCI mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub destination: String,
    /// `bind`, `tmpfs`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Path on podman's host, for binds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Options, e.g. `ro`, `rbind`, `size=64m`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Mount {
    /// A path of podman's host, with `options` such as `ro`, `z` or `rbind`.
    pub fn bind(source: impl Into<String>, destination: impl Into<String>, options: &[&str]) -> Self {
        Self {
            destination: destination.into(),
            kind: "bind".to_owned(),
            source: Some(source.into()),
            options: owned(options),
        }
    }

    /// An empty file system in memory, with `options` such as `size=64m` or `mode=1777`.
    pub fn tmpfs(destination: impl Into<String>, options: &[&str]) -> Self {
        Self {
            destination: destination.into(),
            kind: "tmpfs".to_owned(),
            source: Some("tmpfs".to_owned()),
            options: owned(options),
        }
    }
}

/// A volume podman manages; made when there is none of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NamedVolume {
    /// The volume's name.
    pub name: String,
    /// Absolute path in the container.
    pub dest: String,
    /// Options, e.g. `ro`, `nocopy`, `z`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl NamedVolume {
    /// A volume at a path.
    pub fn new(name: impl Into<String>, dest: impl Into<String>, options: &[&str]) -> Self {
        Self {
            name: name.into(),
            dest: dest.into(),
            options: owned(options),
        }
    }
}

/// A directory of podman's host under an overlay that goes away with the container (`:O`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OverlayVolume {
    /// Absolute path in the container.
    pub destination: String,
    /// Directory on podman's host.
    pub source: String,
    /// Options, e.g. `upperdir=…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A device of podman's host, written `/dev/fuse` or `/dev/fuse:/dev/fuse:rwm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    path: String,
}

impl Device {
    /// A device in podman's `--device` form.
    pub fn new(device: impl Into<String>) -> Self {
        Self { path: device.into() }
    }
}

fn owned(options: &[&str]) -> Vec<String> {
    options.iter().map(|&option| option.to_owned()).collect()
}
