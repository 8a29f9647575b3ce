//! Containers: make, start, wait, look, end, remove.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::client::{Client, existed};
use crate::error::Error;
use crate::json::null_default;
use crate::request::{ApiRequest, Filters, segment};
use crate::spec::ContainerSpec;

/// A state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Made, and its OCI container set up, not started.
    Created,
    /// Started.
    Running,
    /// Main process gone, not cleaned up yet.
    Stopped,
    /// Main process gone, cleaned up.
    Exited,
    /// Being removed.
    Removing,
    /// Health check succeeded. Compat: only podman 5.
    Healthy,
    /// Health check failed. Compat: only podman 5.
    Unhealthy,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Exited => "exited",
            Self::Removing => "removing",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How to remove a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Stops it first if it runs.
    pub force: bool,
    /// Removes its anonymous volumes too.
    pub volumes: bool,
    /// Seconds between the stop signal and SIGKILL; `None`: the container's own stop time-out (10 s by default).
    pub timeout: Option<u32>,
}

impl RemoveOptions {
    /// Kills at once and removes everything that belongs to it.
    pub const NOW: Self = Self {
        force: true,
        volumes: true,
        timeout: Some(0),
    };
}

/// A container as inspected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// ID of its image; empty with a rootfs.
    #[serde(default)]
    pub image: String,
    /// Name by which its image was given.
    #[serde(default)]
    pub image_name: String,
    /// What it is doing.
    pub state: ContainerState,
    /// What it was made with, as far as needed.
    pub config: ContainerConfig,
    /// Its addresses.
    #[serde(default, deserialize_with = "null_default")]
    pub network_settings: NetworkSettings,
}

/// Life of a container's main process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// `created`, `initialized` (set up, not started), `running`, `exited`, …
    pub status: String,
    /// Whether the main process runs.
    pub running: bool,
    /// Exit code of the last run; 128 + n after signal n.
    pub exit_code: i32,
    /// Whether the OOM killer ended it.
    #[serde(default, rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Why it could not start; mostly empty.
    #[serde(default)]
    pub error: String,
    /// Main process as seen from podman's host, 0 when not running.
    #[serde(default)]
    pub pid: i32,
    /// Start of the last run, RFC 3339; year 1 when never started.
    #[serde(default)]
    pub started_at: String,
    /// End of the last run, RFC 3339; year 1 when not ended.
    #[serde(default)]
    pub finished_at: String,
}

impl ContainerState {
    /// Whether its main process never ran. Attaching sets a container up, which is no start.
    #[must_use]
    pub fn never_started(&self) -> bool {
        matches!(self.status.as_str(), "created" | "initialized")
    }

    /// Whether it ran when podman's host stopped, with podman and all its containers: podman saw no end of it. Its exit code
    /// means nothing then.
    #[must_use]
    pub fn ended_with_its_host(&self) -> bool {
        self.status == "exited" && self.finished_at.starts_with("0001-")
    }
}

/// The part of a container's configuration callers read back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Labels, those of the image included.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// Addresses of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NetworkSettings {
    /// Address in the default network, else empty.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Networks joined, by name.
    #[serde(rename = "Networks", deserialize_with = "null_default")]
    pub networks: BTreeMap<String, JoinedNetwork>,
}

/// A container's place in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JoinedNetwork {
    /// IPv4 address; empty while stopped.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// IPv6 address.
    #[serde(rename = "GlobalIPv6Address")]
    pub ipv6_address: String,
    /// Names under which it is found there.
    #[serde(rename = "Aliases", deserialize_with = "null_default")]
    pub aliases: Vec<String>,
}

impl NetworkSettings {
    /// Its IPv4 address, in the default network or else the first one it has.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        std::iter::once(&self.ip_address)
            .chain(self.networks.values().map(|network| &network.ip_address))
            .find(|address| !address.is_empty())
            .map(String::as_str)
    }
}

/// One line of the list of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, as a list of one.
    #[serde(deserialize_with = "null_default")]
    pub names: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// `created`, `running`, `exited`, …
    pub state: String,
    /// Name of its image.
    #[serde(default)]
    pub image: String,
    /// ID of its image; empty with a rootfs.
    #[serde(default, rename = "ImageID")]
    pub image_id: String,
    /// Exit code of the last run.
    #[serde(default)]
    pub exit_code: i32,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

impl Client {
    /// Makes a container and returns its ID.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the name is taken, [`Error::NotFound`] when the image is not there.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<String, Error> {
        let created: Created = self.fetch(&ApiRequest::post("/containers/create").json(spec)).await?;
        Ok(created.id)
    }

    /// Starts a container; nothing happens when it runs already.
    ///
    /// # Errors
    /// [`Error::Api`] with the OCI runtime's words in `cause`, e.g. when the program does not exist.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        self.run(&ApiRequest::post(format!("/containers/{}/start", segment(id))))
            .await
    }

    /// Waits for any of `conditions` (none: the end of the main process) and returns the exit code, or -1 when the
    /// state reached is not an end.
    ///
    /// The end counts once podman has cleaned up, which takes a podman process of its own: some 100 ms after the main
    /// process is gone. [`Self::wait_process`] does not wait for that.
    ///
    /// podman looks every `interval`. Compat: 5.x is woken by the end of the process and needs no short interval; 4.3.1
    /// is woken only within the first one and then looks that often. A container that was never started counts as
    /// ended with 0 (podman `libpod/container_api.go`).
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is removed before or while waiting.
    pub async fn wait(&self, id: &str, conditions: &[Condition], interval: Duration) -> Result<i32, Error> {
        let path = format!("/containers/{}/wait", segment(id));
        // Go's time.ParseDuration: a zero interval would be a busy loop in 4.3.1.
        let interval = interval.max(Duration::from_millis(1));
        let request = ApiRequest::post(path).query("interval", format!("{}ms", interval.as_millis()));
        let request = conditions.iter().fold(request, |request, condition| {
            request.query("condition", condition.as_str())
        });
        self.fetch(&request).await
    }

    /// Waits until a started container's main process is gone, whether or not podman has cleaned up, and returns its
    /// exit code. Meant for when its output has ended: then the first or second look is the last.
    ///
    /// Looks every `interval`, a few milliseconds of podman's time each. Also waits for a start that is yet to come.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is removed before or while waiting.
    pub async fn wait_process(&self, id: &str, interval: Duration) -> Result<i32, Error> {
        loop {
            let state = self.inspect_container(id).await?.state;
            // Compat: `stopped` is set from conmon's exit file, `exited` by the clean-up (podman `libpod/container_internal.go`).
            if matches!(state.status.as_str(), "stopped" | "exited") {
                return Ok(state.exit_code);
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Looks at a container.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn inspect_container(&self, id: &str) -> Result<Container, Error> {
        self.fetch(&ApiRequest::get(format!("/containers/{}/json", segment(id))))
            .await
    }

    /// Sends a signal, by name or number, to the main process.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it does not run.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), Error> {
        let path = format!("/containers/{}/kill", segment(id));
        self.run(&ApiRequest::post(path).query("signal", signal)).await
    }

    /// Asks the main process to end, kills it after `timeout` seconds (`None`: the container's own), and returns when
    /// it is gone. Nothing happens when it does not run.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn stop(&self, id: &str, timeout: Option<u32>) -> Result<(), Error> {
        let path = format!("/containers/{}/stop", segment(id));
        let timeout = timeout.map(|seconds| seconds.to_string());
        self.run(&ApiRequest::post(path).query_if("timeout", timeout)).await
    }

    /// Removes a container. `false` when there was none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it runs and `force` is not set.
    pub async fn remove(&self, id: &str, options: RemoveOptions) -> Result<bool, Error> {
        let request = ApiRequest::delete(format!("/containers/{}", segment(id)))
            .flag("force", options.force)
            .flag("volumes", options.volumes)
            .query_if("timeout", options.timeout.map(|seconds| seconds.to_string()));
        existed(self.run(&request).await)
    }

    /// Lists containers, those that do not run only with `all`.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn containers(&self, filters: &Filters, all: bool) -> Result<Vec<ContainerSummary>, Error> {
        self.fetch(&ApiRequest::get("/containers/json").flag("all", all).filters(filters))
            .await
    }

    /// Tells a container's terminal its size in characters.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it does not run.
    pub async fn resize(&self, id: &str, height: u16, width: u16) -> Result<(), Error> {
        let path = format!("/containers/{}/resize", segment(id));
        let request = ApiRequest::post(path)
            .query("h", height.to_string())
            .query("w", width.to_string());
        self.run(&request).await
    }
}
