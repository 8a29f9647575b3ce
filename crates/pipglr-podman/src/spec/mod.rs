//! The container to be made, as libpod's `SpecGenerator` JSON. Pure.
//!
//! Only fields that say something are written: an absent field is podman's or the image's default.
//! Compat: field names are those of podman `pkg/specgen/specgen.go`, the same in 4.3.1 and 5.4.2 unless noted.

mod namespace;
mod resources;
mod storage;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::null_default;

pub use self::namespace::Namespace;
pub use self::resources::{CpuLimits, MemoryLimits, PidsLimit, ResourceLimits, Rlimit};
pub use self::storage::{Device, Mount, NamedVolume, OverlayVolume};

/// Environment variables. `Debug` shows the names only, as values may be secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// Sets a variable.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `KEY=value` entries.
    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A container to be made. Fill what matters, leave the rest to [`Default`].
///
/// Exactly one of [`image`](Self::image) and [`rootfs`](Self::rootfs) must be given.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContainerSpec {
    /// Name; podman invents one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Image by name or ID. It is not pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Directory on podman's host to use as root instead of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<String>,
    /// Puts a throw-away overlay over [`rootfs`](Self::rootfs), which then stays untouched.
    #[serde(skip_serializing_if = "is_false")]
    pub rootfs_overlay: bool,
    /// ID mapping of the rootfs, e.g. `uids=0-100000-65536`. Only podman 5; 4.3.1 ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_mapping: Option<String>,
    /// `None`: the image's. An empty list clears it, and then an empty command is the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the entrypoint. Empty: the image's, unless a non-empty entrypoint is given here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Variables, over those of the image.
    #[serde(skip_serializing_if = "Environment::is_empty")]
    pub env: Environment,
    /// Variables whose values are podman's secrets, by the secret's name: they show in no inspection.
    #[serde(rename = "secret_env", skip_serializing_if = "BTreeMap::is_empty")]
    pub env_secrets: BTreeMap<String, String>,
    /// Variables of the image or of podman to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsetenv: Vec<String>,
    /// Passes the proxy variables of podman's own environment on.
    #[serde(skip_serializing_if = "is_false")]
    pub httpproxy: bool,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, read by OCI runtimes and hooks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `user[:group]`, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Supplementary groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<String>,
    /// Makes the working directory when the image has none.
    #[serde(skip_serializing_if = "is_false")]
    pub create_working_dir: bool,
    /// Host name; needs a private UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Keeps standard input open for an attachment.
    #[serde(skip_serializing_if = "is_false")]
    pub stdin: bool,
    /// Gives the process a terminal. Its output then has no frames.
    #[serde(skip_serializing_if = "is_false")]
    pub terminal: bool,
    /// `None`: podman's configuration (5.x), or no (4.x).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Capabilities over the default set, e.g. `sys_admin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities to take away, or `all`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// SELinux options, e.g. `disable`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selinux_opts: Vec<String>,
    /// AppArmor profile, or `unconfined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    /// Seccomp profile file on podman's host, or `unconfined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_profile_path: Option<String>,
    /// Forbids gaining privileges by setuid programs.
    #[serde(skip_serializing_if = "is_false")]
    pub no_new_privileges: bool,
    /// Further paths of /proc and /sys to hide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<String>,
    /// Paths not to hide, e.g. `/proc/*` or `ALL`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmask: Vec<String>,
    /// Devices of podman's host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Bind mounts and tmpfs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Named volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<NamedVolume>,
    /// Directories under a throw-away overlay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlay_volumes: Vec<OverlayVolume>,
    /// Containers whose volumes to use too, as `name[:options]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes_from: Vec<String>,
    /// What becomes of volumes the image declares: `anonymous` (the default), `tmpfs` or `ignore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_volume_mode: Option<String>,
    /// Options of the storage driver, e.g. `size`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opts: BTreeMap<String, String>,
    /// Leaves the root file system's changes unsynced: faster, lost when the host crashes.
    #[serde(skip_serializing_if = "is_false")]
    pub volatile: bool,
    /// Network namespace. Joining [`networks`](Self::networks) needs [`Namespace::bridge`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<Namespace>,
    /// PID namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pidns: Option<Namespace>,
    /// IPC namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipcns: Option<Namespace>,
    /// Host name namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utsns: Option<Namespace>,
    /// User namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns: Option<Namespace>,
    /// Control group namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroupns: Option<Namespace>,
    /// Networks to join, by name.
    #[serde(rename = "Networks", skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, NetworkAttachment>,
    /// Options of `pasta` and `slirp4netns`, by the name of the mode.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub network_options: BTreeMap<String, Vec<String>>,
    /// Name servers' addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_server: Vec<String>,
    /// Domains to search.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Resolver options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_option: Vec<String>,
    /// Lines of /etc/hosts as `name:address`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostadd: Vec<String>,
    /// Limits enforced by control groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<ResourceLimits>,
    /// Limits enforced per process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub r_limits: Vec<Rlimit>,
    /// Preference of the OOM killer, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Bytes of /dev/shm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<i64>,
    /// Kernel parameters of the container's namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// Where conmon writes the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// Mounts the root file system read-only.
    #[serde(skip_serializing_if = "is_false")]
    pub read_only_filesystem: bool,
    /// With a read-only root: fresh, writable `/tmp`, `/run`, `/var/tmp` and `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_write_tmpfs: Option<bool>,
    /// Removes the container when it ends. Its exit code may then be gone before it is asked for.
    #[serde(skip_serializing_if = "is_false")]
    pub remove: bool,
    /// Runs podman's init as PID 1. `None`: podman's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// `false` or `always`; by default podman looks at the command's name for a systemd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd: Option<String>,
    /// `enabled`, `disabled`, `no-conmon` or `split`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups_mode: Option<String>,
    /// Control group under which the container's is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// Seconds between the stop signal and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// Number of the signal that asks the main process to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<i32>,
    /// Seconds after which conmon kills the container, whoever else has died by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// File mode mask in octal, e.g. `0000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    /// Time zone, or `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// OCI runtime by name or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci_runtime: Option<String>,
    /// Health check instead of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthconfig: Option<HealthConfig>,
}

/// How a container takes part in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkAttachment {
    /// Names under which others in the network find it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Fixed addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_ips: Vec<String>,
}

/// Where conmon writes a container's output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogConfiguration {
    /// `k8s-file`, `journald`, `none` or `passthrough`. Only the first two can be read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// File of `k8s-file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes after which the file is cut; unlimited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Driver options, e.g. `tag`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// A health check, run by podman through systemd timers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    #[serde(deserialize_with = "null_default")]
    pub test: Vec<String>,
    /// Nanoseconds between two runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// Nanoseconds a run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Failures in a row that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

impl HealthConfig {
    /// No health check at all, whatever the image says.
    #[must_use]
    pub fn none() -> Self {
        Self {
            test: vec!["NONE".to_owned()],
            ..Self::default()
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
