//! Namespaces a container lives in.

use serde::Serialize;

/// Mode of one namespace, with what it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    nsmode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl Namespace {
    const fn plain(nsmode: &'static str) -> Self {
        Self { nsmode, value: None }
    }

    /// The host's own.
    #[must_use]
    pub const fn host() -> Self {
        Self::plain("host")
    }

    /// A new one. For networks rootless podman takes its default program, pasta or slirp4netns.
    #[must_use]
    pub const fn private() -> Self {
        Self::plain("private")
    }

    /// A new network namespace without any connection; or an IPC namespace without /dev/shm.
    #[must_use]
    pub const fn none() -> Self {
        Self::plain("none")
    }

    /// A new network namespace joined to podman's networks.
    #[must_use]
    pub const fn bridge() -> Self {
        Self::plain("bridge")
    }

    /// A new network namespace connected by pasta. Compat: only podman 5; 4.3.1 does not know it.
    #[must_use]
    pub const fn pasta() -> Self {
        Self::plain("pasta")
    }

    /// A new network namespace connected by slirp4netns.
    #[must_use]
    pub const fn slirp4netns() -> Self {
        Self::plain("slirp4netns")
    }

    /// An IPC namespace other containers may join.
    #[must_use]
    pub const fn shareable() -> Self {
        Self::plain("shareable")
    }

    /// A user namespace in which podman's user keeps its IDs.
    #[must_use]
    pub const fn keep_id() -> Self {
        Self::plain("keep-id")
    }

    /// A user namespace of its own, from ranges podman chooses. `options` as in `size=65536`.
    #[must_use]
    pub fn auto(options: Option<String>) -> Self {
        Self {
            nsmode: "auto",
            value: options,
        }
    }

    /// The namespace of another container, by name or ID.
    #[must_use]
    pub fn container(container: impl Into<String>) -> Self {
        Self {
            nsmode: "container",
            value: Some(container.into()),
        }
    }

    /// The namespace bound to a file on podman's host.
    #[must_use]
    pub fn path(path: impl Into<String>) -> Self {
        Self {
            nsmode: "path",
            value: Some(path.into()),
        }
    }
}
