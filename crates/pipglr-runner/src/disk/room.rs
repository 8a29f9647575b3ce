//! Whether there is room for another job, and what a disk needs at a moment. Pure.

use super::Space;
use crate::config::DiskConfig;

/// Below this many free bytes, or files, a disk is as good as full: podman fails to write down what it does.
const FULL_BYTES: u64 = 16 << 20;
const FULL_FILES: u64 = 256;

/// Room for jobs on the storage volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    pub free: u64,
    /// Free bytes that are wanted before a job is asked for.
    pub wanted: u64,
}

impl Room {
    #[must_use]
    pub fn of(space: &Space, rules: &DiskConfig) -> Self {
        Self {
            free: space.free,
            wanted: rules.min_free(space.total),
        }
    }

    /// Whether jobs may be asked for.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.free >= self.wanted
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        write!(
            f,
            "{} MiB are free on the storage volume, {} MiB are wanted (min_free of [disk])",
            mib(self.free),
            mib(self.wanted)
        )
    }
}

/// Whether a disk is so full that even clean-up fails.
#[must_use]
pub fn is_full(space: &Space) -> bool {
    // A disk that is hardly larger than the mark is full later.
    space.free < FULL_BYTES.min(space.total / 50) || (space.inodes > 0 && space.free_inodes < FULL_FILES)
}

/// Whether things have to go because space is short.
#[must_use]
pub fn is_short(space: &Space, rules: &DiskConfig) -> bool {
    space.percent_used() > rules.high_water() || space.free < rules.min_free(space.total)
}

/// Bytes to be freed where it is.
#[must_use]
pub fn bytes_wanted(space: &Space, rules: &DiskConfig) -> u64 {
    let for_jobs = rules.min_free(space.total).saturating_sub(space.free);
    space.bytes_over(rules.low_water()).max(for_jobs)
}

/// Whether a piece of the reserve can be made again without making space short.
#[must_use]
pub fn has_room_for(piece: u64, space: &Space, rules: &DiskConfig) -> bool {
    let after = Space {
        free: space.free.saturating_sub(piece),
        ..*space
    };
    space.free > piece && !is_short(&after, rules) && !is_full(&after)
}

#[cfg(test)]
mod tests {
    use super::{Room, bytes_wanted, has_room_for, is_full, is_short};
    use crate::config::DiskConfig;
    use crate::disk::Space;

    const GB: u64 = 1 << 30;
    const MB: u64 = 1 << 20;

    /// Name, free bytes of 100 GiB, free files of 1000, then: room, full, short, bytes wanted, room for 1 GiB more.
    #[test]
    fn what_a_disk_needs() {
        let rules = DiskConfig::default();
        for (name, free, files, room, full, short, wanted, more) in [
            ("empty", 100 * GB, 1000, true, false, false, 0, true),
            ("at the mark", 15 * GB, 1000, true, false, false, 10 * GB, false),
            ("a little above it", 17 * GB, 1000, true, false, false, 8 * GB, true),
            ("above", 14 * GB, 1000, true, false, true, 11 * GB, false),
            (
                "too little for jobs",
                GB - 1,
                1000,
                false,
                false,
                true,
                24 * GB + 1,
                false,
            ),
            ("full", 15 * MB, 1000, false, true, true, 25 * GB - 15 * MB, false),
            ("no files", 50 * GB, 255, true, true, false, 0, false),
        ] {
            let space = Space {
                total: 100 * GB,
                free,
                inodes: 1000,
                free_inodes: if files == 255 { 255 } else { files },
                id: 0,
            };
            let found = (
                Room::of(&space, &rules).is_enough(),
                is_full(&space),
                is_short(&space, &rules),
                bytes_wanted(&space, &rules),
                has_room_for(GB, &space, &rules),
            );
            assert_eq!(found, (room, full, short, wanted, more), "{name}");
        }
    }

    #[test]
    fn small_disks_are_full_later() {
        let space = |free| Space {
            total: 200 * MB,
            free,
            ..Space::default()
        };
        assert!(!is_full(&space(5 * MB)) && is_full(&space(3 * MB)));
    }
}
