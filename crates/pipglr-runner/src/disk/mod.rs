//! Never a full disk: what nobody uses any more is removed, by rules or when space is short.
//!
//! [`facts`] are gathered, [`plan`] turns them into a list of removals (plain data), [`collect`] carries it out. Whatever a
//! job uses or is about to use is leased ([`leases`]) before it is looked for, and what is leased is not removed; podman's
//! own refusal to remove what a container uses is a second guard, so nothing is removed by force. [`control`] is how
//! `pipglr prune` and `pipglr disk` ask the running manager, which alone knows the leases.

pub mod collect;
pub mod control;
pub mod facts;
pub mod leases;
pub mod plan;
pub mod report;
pub mod space;
pub mod uses;

pub use leases::{Item, Lease, Leases};
pub use space::Space;
pub use uses::Uses;

use crate::config::{Config, DiskConfig};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a manager that looks after its disk is told.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// Where the engine's storage volume is mounted.
    pub storage: PathBuf,
    /// Directory for what has to survive this process.
    pub state_dir: PathBuf,
}

/// A manager's disks: who uses what, since when, and what is to be done about it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: DiskOptions,
    cache: PathBuf,
    leases: Leases,
    uses: Uses,
    configs: watch::Receiver<Arc<Config>>,
    /// One collection at a time.
    collecting: tokio::sync::Mutex<()>,
    last: Mutex<Option<Collected>>,
}

/// What a collection came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Collected {
    pub removed: Vec<plan::Removal>,
    /// What could not be removed, and why: the next collection tries again.
    pub kept: Vec<(plan::Removal, String)>,
    /// Bytes that were freed on the storage volume, as the file system counts them.
    pub freed: u64,
}

impl Disk {
    /// The disks of an engine; what was used when is read from the state directory.
    #[must_use]
    pub fn new(
        options: DiskOptions,
        engine: &crate::containers::Engine,
        configs: watch::Receiver<Arc<Config>>,
    ) -> Self {
        let uses = engine.uses();
        uses.load(&options.state_dir);
        Self(Arc::new(Shared {
            cache: engine.settings().cache_directory.clone(),
            leases: engine.leases().clone(),
            uses: uses.clone(),
            options,
            configs,
            collecting: tokio::sync::Mutex::new(()),
            last: Mutex::new(None),
        }))
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> DiskConfig {
        self.0.configs.borrow().disk.clone()
    }

    fn last(&self) -> MutexGuard<'_, Option<Collected>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
