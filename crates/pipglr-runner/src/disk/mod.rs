//! Never a full disk: what nobody uses any more is removed, by rules or when space is short.
//!
//! [`facts`] are gathered, [`plan`] turns them into a list of removals (plain data), [`collect`] carries it out. Whatever a
//! job uses or is about to use is leased ([`leases`]) before it is looked for, and what is leased is not removed; podman's
//! own refusal to remove what a container uses is a second guard, so nothing is removed by force. [`keeper`] looks at free
//! space all the time: no jobs are asked for while there is too little ([`room`]), and a full disk gets room out of a reserve
//! (`ballast`). [`control`] is how
//! `pipglr prune` and `pipglr disk` ask the running manager, which alone knows the leases.

mod ballast;
pub mod collect;
pub mod control;
pub mod facts;
pub mod keeper;
pub mod leases;
pub mod plan;
pub mod report;
pub mod room;
pub mod space;
pub mod uses;

pub use leases::{Item, Lease, Leases};
pub use room::Room;
pub use space::Space;
pub use uses::Uses;

use crate::config::{Config, DiskConfig};
use ballast::Ballast;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Below the storage volume; made by the engine's unit, which belongs to another user.
const BALLAST: &str = "pipglr-ballast";

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
    ballast: Ballast,
    room: watch::Sender<Room>,
    /// When the storage volume was seen to be full last, in seconds since 1970.
    full_at: AtomicI64,
    removed: Removed,
}

/// How many things were removed since the start.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    pub(crate) images: AtomicU64,
    pub(crate) volumes: AtomicU64,
    pub(crate) caches: AtomicU64,
    pub(crate) containers: AtomicU64,
}

impl Removed {
    fn count(&self, item: &Item) {
        let counter = match item {
            Item::Image(_) => &self.images,
            Item::Volume(_) => &self.volumes,
            Item::Cache(_) => &self.caches,
            Item::Container(_) => &self.containers,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
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
        let rules = configs.borrow().disk.clone();
        // Until the first look there is room: jobs of an earlier process do not wait for it either.
        let room = Space::of(&options.storage).map_or_else(|_| Room::default(), |space| Room::of(&space, &rules));
        let disk = Self(Arc::new(Shared {
            cache: engine.settings().cache_directory.clone(),
            leases: engine.leases().clone(),
            uses: uses.clone(),
            ballast: Ballast::new(options.storage.join(BALLAST)),
            options,
            configs,
            collecting: tokio::sync::Mutex::new(()),
            room: watch::Sender::new(room),
            full_at: AtomicI64::new(0),
            removed: Removed::default(),
        }));
        engine.look_after(&disk);
        disk
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> DiskConfig {
        self.0.configs.borrow().disk.clone()
    }

    /// Room on the storage volume.
    ///
    /// # Errors
    /// It is not there.
    pub fn storage(&self) -> io::Result<Space> {
        Space::of(&self.0.options.storage)
    }

    /// Room where caches are.
    ///
    /// # Errors
    /// It is not there.
    pub fn cache(&self) -> io::Result<Space> {
        Space::of(&self.0.cache)
    }

    /// Room where the state is.
    ///
    /// # Errors
    /// It is not there.
    pub fn state(&self) -> io::Result<Space> {
        Space::of(&self.0.options.state_dir)
    }

    /// Whether jobs may be asked for.
    #[must_use]
    pub fn room(&self) -> Room {
        *self.0.room.borrow()
    }

    fn set_room(&self, room: Room) {
        self.0.room.send_replace(room);
    }

    /// Waits until jobs may be asked for.
    pub async fn until_there_is_room(&self) {
        let mut room = self.0.room.subscribe();
        // The sender lives as long as this value.
        let _ = room.wait_for(Room::is_enough).await;
    }

    /// Whether the storage volume is so full that clean-up fails.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.storage().is_ok_and(|space| room::is_full(&space))
    }

    /// The storage volume as it is now, if it was full not longer ago than this.
    #[must_use]
    pub fn was_full_within(&self, time: Duration) -> Option<Space> {
        let space = self.storage().ok()?;
        let ago = uses::now().saturating_sub(self.0.full_at.load(Ordering::Relaxed));
        let lately = u64::try_from(ago).is_ok_and(|ago| ago <= time.as_secs());
        (lately || room::is_full(&space)).then_some(space)
    }

    fn note_full(&self) {
        self.0.full_at.store(uses::now(), Ordering::Relaxed);
    }

    /// Makes some room on a full storage volume, so that podman can remove something.
    pub fn make_room(&self) {
        if self.is_full() {
            self.give_up_ballast();
        }
    }

    pub(crate) fn ballast_pieces(&self) -> u64 {
        self.0.ballast.pieces()
    }

    fn give_up_ballast(&self) -> bool {
        match self.0.ballast.release() {
            Ok(true) => {
                tracing::warn!(
                    left = self.ballast_pieces(),
                    "the disk is full: a part of the reserve was given up"
                );
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::error!(%error, "the reserve on the full disk cannot be given up");
                false
            }
        }
    }

    fn build_ballast(&self, bytes: u64) -> io::Result<bool> {
        self.0.ballast.build(bytes)
    }

    pub(crate) fn removed(&self) -> &Removed {
        &self.0.removed
    }
}
