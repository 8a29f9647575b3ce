//! Carries a plan out on podman: which containers, with which settings, and what comes out of them.

pub(crate) mod caches;
mod groups;
pub mod image;
pub mod limits;
pub mod objects;
pub(crate) mod outage;
mod reader;
pub mod readiness;
pub mod service_output;
pub mod services;
pub mod session;
pub mod spec;
pub mod terminal;

use crate::disk::{Disk, Item, Lease, Leases, Uses};
use pipglr_podman::Client;
use pipglr_protocol::Secret;
use std::path::PathBuf;

/// Where the engine finds what job containers are made of.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// podman's API socket.
    pub socket: PathBuf,
    /// This program, as the engine sees it: mounted into every job container. Helper containers find it below `/usr`, if
    /// it is there.
    pub program: PathBuf,
    /// Skeleton directory that becomes the root of helper containers, with the engine's own `/usr` below it.
    pub helper_root: PathBuf,
    /// Directory for caches, as the engine and this program see it.
    pub cache_directory: PathBuf,
    /// Whether jobs may get what building images inside needs (`NESTED_PRIVILEGED`).
    pub nested_privileged: bool,
    /// Settings for podman inside such jobs.
    pub nested_containers_conf: Option<PathBuf>,
    /// The operator's rules about registries (`registries.conf.d`), which hold in such jobs, too.
    pub registries_directory: Option<PathBuf>,
    /// A docker config.json for pulls, as text: `DOCKER_AUTH_CONFIG` of this process.
    pub docker_auth_config: Option<Secret>,
    /// Where `.docker/config.json` or `.dockercfg` are looked for, for pulls.
    pub home: Option<PathBuf>,
    /// PEM certificates for runners without `tls-ca-file`, and for their jobs.
    pub ca_certificates: Option<PathBuf>,
    /// The control group below which podman makes one for each container that has limits. podman without root and without
    /// a systemd of its own makes none by itself, and limits would be without effect.
    pub limits_group: Option<String>,
    /// How jobs reach a coordinator that listens on this machine's loopback only.
    pub relay: Option<Relay>,
}

/// A coordinator at `http://127.0.0.1:<port>`, which job containers find at the same URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Leads to the coordinator; mounted into containers. Their root must be able to open it.
    pub socket: PathBuf,
    pub port: u16,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            socket: "/run/podman/podman.sock".into(),
            program: "/usr/bin/pipglr".into(),
            helper_root: "/usr/lib/pipglr/helper-root".into(),
            cache_directory: "/cache".into(),
            nested_privileged: true,
            nested_containers_conf: None,
            registries_directory: None,
            docker_auth_config: None,
            home: None,
            ca_certificates: None,
            limits_group: None,
            relay: None,
        }
    }
}

/// podman, with what jobs need of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) client: Client,
    pub(crate) settings: std::sync::Arc<EngineSettings>,
    controllers: std::sync::Arc<tokio::sync::OnceCell<Vec<String>>>,
    leases: Leases,
    uses: Uses,
    /// Of the job it works for.
    lease: Option<std::sync::Arc<Lease>>,
    disk: std::sync::Arc<std::sync::OnceLock<Disk>>,
    /// What could not be removed.
    leftovers: objects::Leftovers,
}

impl Engine {
    /// An engine at the settings' socket; nothing is contacted.
    #[must_use]
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            client: Client::new(&settings.socket),
            settings: std::sync::Arc::new(settings),
            controllers: std::sync::Arc::default(),
            leases: Leases::default(),
            uses: Uses::default(),
            lease: None,
            disk: std::sync::Arc::default(),
            leftovers: objects::Leftovers::default(),
        }
    }

    /// Whether podman answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), pipglr_podman::Error> {
        self.client.ping().await
    }

    /// The engine's settings.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Who uses what of it.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// When what was used last.
    #[must_use]
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The same engine for a job that has a lease, which lives as long as the returned value and its clones.
    #[must_use]
    pub(crate) fn leasing(&self, lease: Lease) -> Self {
        Self {
            lease: Some(std::sync::Arc::new(lease)),
            ..self.clone()
        }
    }

    /// An image was found: its ID is leased, too, because its name may come to mean another one. False if it was being
    /// removed just then.
    pub(crate) async fn leases_found(&self, image: &str) -> bool {
        match &self.lease {
            Some(lease) => lease.found(Item::Image(image.to_owned())).await,
            None => true,
        }
    }

    /// The disks are looked after from now on.
    pub(crate) fn look_after(&self, disk: &Disk) {
        // The first one stays; there is one manager.
        let _ = self.disk.set(disk.clone());
    }

    /// The disks, if somebody looks after them.
    pub(crate) fn disk(&self) -> Option<&Disk> {
        self.disk.get()
    }
}
