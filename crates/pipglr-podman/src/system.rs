//! The service itself: is it there, what is it, what can it do.

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::json::null_default;
use crate::request::ApiRequest;

/// What podman says about itself and its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// podman's version, e.g. `5.4.2`.
    pub version: String,
    /// Host architecture in Go's words, e.g. `amd64`.
    pub arch: String,
    /// `v1` or `v2`.
    pub cgroup_version: String,
    /// `cgroupfs` or `systemd`.
    pub cgroup_manager: String,
    /// Controllers this podman may use; empty means that resource limits have no effect.
    pub cgroup_controllers: Vec<String>,
    /// Storage driver, e.g. `overlay`.
    pub graph_driver: String,
    /// Directory of the storage.
    pub graph_root: String,
    /// `netavark` or `cni`.
    pub network_backend: String,
    /// OCI runtime's name, e.g. `crun`.
    pub oci_runtime: String,
    /// Whether podman runs without root on its host.
    pub rootless: bool,
}

#[derive(Deserialize)]
struct InfoAnswer {
    host: Host,
    store: Store,
    version: VersionAnswer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    arch: String,
    cgroup_version: String,
    cgroup_manager: String,
    #[serde(default, deserialize_with = "null_default")]
    cgroup_controllers: Vec<String>,
    #[serde(default)]
    network_backend: String,
    #[serde(default, deserialize_with = "null_default")]
    oci_runtime: OciRuntime,
    security: Security,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OciRuntime {
    name: String,
}

#[derive(Deserialize)]
struct Security {
    rootless: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    graph_driver_name: String,
    graph_root: String,
}

#[derive(Deserialize)]
struct VersionAnswer {
    #[serde(rename = "Version")]
    version: String,
}

impl Client {
    /// Checks that the service answers. Costs well under a millisecond.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nobody listens at the socket.
    pub async fn ping(&self) -> Result<(), Error> {
        self.run(&ApiRequest::get("/_ping")).await
    }

    /// podman's version, e.g. `4.3.1`.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn version(&self) -> Result<String, Error> {
        let answer: VersionAnswer = self.fetch(&ApiRequest::get("/version")).await?;
        Ok(answer.version)
    }

    /// Facts about podman and its host. Costs hundreds of milliseconds (podman asks every program it uses): ask once.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn info(&self) -> Result<Info, Error> {
        let answer: InfoAnswer = self.fetch(&ApiRequest::get("/info")).await?;
        Ok(Info {
            version: answer.version.version,
            arch: answer.host.arch,
            cgroup_version: answer.host.cgroup_version,
            cgroup_manager: answer.host.cgroup_manager,
            cgroup_controllers: answer.host.cgroup_controllers,
            graph_driver: answer.store.graph_driver_name,
            graph_root: answer.store.graph_root,
            network_backend: answer.host.network_backend,
            oci_runtime: answer.host.oci_runtime.name,
            rootless: answer.host.security.rootless,
        })
    }
}
