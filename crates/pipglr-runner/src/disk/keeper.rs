//! Looks at the disks again and again, for as long as the manager lives.
//!
//! A full disk is an emergency: a piece of the reserve is given up, what could not be removed is tried again, and whatever
//! nobody uses goes. The last piece is left for the clean-up after a job. When space is back, so is the reserve.

use super::ballast::PIECES;
use super::plan::Scope;
use super::room::{Room, has_room_for, is_full, is_short};
use super::{Disk, Space};
use crate::containers::{Engine, objects};
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks at free space, which cost next to nothing.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two emergencies: what a job writes into the room it was given should not cost all of it at once.
const EMERGENCY: Duration = Duration::from_secs(10);
/// Time between two collections while space is short; longer if the last one found nothing.
const SHORT: Duration = Duration::from_secs(20);
const IN_VAIN: Duration = Duration::from_secs(60);
/// Time between two tries to remove what could not be removed.
const RETRY: Duration = Duration::from_secs(30);

struct Keeper {
    disk: Disk,
    engine: Engine,
    next_emergency: Instant,
    next_collection: Instant,
    next_retry: Instant,
    /// No reserve can be made here; was said.
    without_ballast: bool,
}

/// Keeps the disks of an engine; never comes back.
pub async fn keep(disk: Disk, engine: Engine) {
    let now = Instant::now();
    let mut keeper = Keeper {
        disk,
        engine,
        next_emergency: now,
        next_collection: now,
        next_retry: now + RETRY,
        without_ballast: false,
    };
    loop {
        keeper.look().await;
        tokio::time::sleep(LOOK).await;
    }
}

impl Keeper {
    async fn look(&mut self) {
        let space = match self.disk.storage() {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, "the storage volume cannot be looked at");
                return;
            }
        };
        let rules = self.disk.rules();
        self.announce(Room::of(&space, &rules));
        let now = Instant::now();
        if is_full(&space) {
            self.disk.note_full();
        }
        if is_full(&space) && now >= self.next_emergency {
            self.next_emergency = now + EMERGENCY;
            self.emergency().await;
        } else if now >= self.next_collection && self.is_anything_short(&space) {
            self.collect().await;
        } else if now >= self.next_retry {
            self.next_retry = now + RETRY;
            objects::remove_leftovers(&self.engine).await;
        }
        self.rebuild();
    }

    fn is_anything_short(&self, storage: &Space) -> bool {
        let rules = self.disk.rules();
        let cache = self.disk.cache().unwrap_or_default();
        is_short(storage, &rules) || cache.percent_used() > rules.high_water()
    }

    /// Tells pollers and the operator when there begins to be room for jobs, or no more.
    fn announce(&self, room: Room) {
        let before = self.disk.room();
        if room.is_enough() != before.is_enough() {
            if room.is_enough() {
                tracing::info!(%room, "there is room again: jobs are asked for");
            } else {
                tracing::warn!(%room, "space is short: no jobs are asked for until there is more");
            }
        }
        self.disk.set_room(room);
    }

    async fn emergency(&mut self) {
        // A running job may fill whatever it is given. The last piece is for what comes after it.
        let given = if self.disk.ballast_pieces() > 1 {
            self.disk.give_up_ballast()
        } else {
            false
        };
        tracing::error!(
            given_up = given,
            left = self.disk.ballast_pieces(),
            "no space left on the storage volume"
        );
        objects::remove_leftovers(&self.engine).await;
        self.collect().await;
    }

    async fn collect(&mut self) {
        let pause = match self.disk.collect(&self.engine, Scope::Pressure).await {
            Ok(collected) if !collected.removed.is_empty() => SHORT,
            Ok(_) => IN_VAIN,
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "disks cannot be tidied");
                SHORT
            }
        };
        self.next_collection = Instant::now() + pause;
    }

    /// One missing piece of the reserve, if there is room for it.
    fn rebuild(&mut self) {
        if self.without_ballast || self.disk.ballast_pieces() >= PIECES {
            return;
        }
        let Ok(space) = self.disk.storage() else { return };
        let rules = self.disk.rules();
        let piece = rules.ballast(space.total) / PIECES;
        if piece == 0 || !has_room_for(piece, &space, &rules) {
            return;
        }
        if let Err(error) = self.disk.build_ballast(piece)
            && error.kind() != io::ErrorKind::StorageFull
        {
            self.without_ballast = true;
            tracing::warn!(%error, "there is no reserve for a full disk");
        }
    }
}
