//! Whether there is room for another job, and what a disk needs at a moment. Pure.

use super::Space;
use crate::config::DiskConfig;

/// Below this many free bytes, or files, a disk is as good as full: podman fails to write down what it does.
const FULL_BYTES: u64 = 16 << 20;
const FULL_FILES: u64 = 256;
/// Free files that are wanted for jobs: as many as ext4 makes for a GiB, the default of `min_free`.
const FILES_FOR_JOBS: u64 = 65_536;

/// Room for jobs on the storage volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    pub free: u64,
    /// Free bytes that are wanted before a job is asked for.
    pub wanted: u64,
    /// Files that can be made, and that are wanted; 0 of 0 where the file system does not count them.
    pub free_files: u64,
    pub wanted_files: u64,
}

impl Room {
    #[must_use]
    pub fn of(space: &Space, rules: &DiskConfig) -> Self {
        Self {
            free: space.free,
            wanted: rules.min_free(space.total),
            free_files: space.free_inodes,
            wanted_files: files_wanted(space, rules),
        }
    }

    /// Whether jobs may be asked for.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.free >= self.wanted && self.free_files >= self.wanted_files
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        if self.free >= self.wanted && self.free_files < self.wanted_files {
            return write!(
                f,
                "{} more files (inodes) can be made on the storage volume, {} are wanted",
                self.free_files, self.wanted_files
            );
        }
        write!(
            f,
            "{} MiB are free on the storage volume, {} MiB are wanted (min_free of [disk])",
            mib(self.free),
            mib(self.wanted)
        )
    }
}

/// Files that should be free for jobs: a twentieth of all at most. Who wants no free bytes wants no free files.
fn files_wanted(space: &Space, rules: &DiskConfig) -> u64 {
    if rules.min_free(space.total) == 0 {
        return 0;
    }
    FILES_FOR_JOBS.min(space.inodes / 20)
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
    space.percent_used() > rules.high_water() || !Room::of(space, rules).is_enough()
}

/// Whether nothing more has to go: the disk is at its low mark, in bytes and in files.
#[must_use]
pub fn is_at_ease(space: &Space, rules: &DiskConfig) -> bool {
    space.percent_used() <= rules.low_water() && Room::of(space, rules).is_enough()
}

/// Bytes to be freed where it is. Nobody knows how many files a thing has: if those are short, all there is.
#[must_use]
pub fn bytes_wanted(space: &Space, rules: &DiskConfig) -> u64 {
    let files_are_short =
        space.percent_of_files() > rules.high_water() || space.free_inodes < files_wanted(space, rules);
    if files_are_short {
        return u64::MAX;
    }
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
    use super::{Room, bytes_wanted, has_room_for, is_at_ease, is_full, is_short};
    use crate::config::DiskConfig;
    use crate::disk::Space;

    const GB: u64 = 1 << 30;
    const MB: u64 = 1 << 20;

    /// Name, free bytes of 100 GiB, free files of 10 million, then: room, full, short, at ease, bytes wanted, room for 1 GiB more.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn what_a_disk_needs() {
        const ALL: u64 = u64::MAX;
        let rules = DiskConfig::default();
        for (name, free, files, room, full, short, ease, wanted, more) in [
            ("empty", 100 * GB, 10_000_000, true, false, false, true, 0, true),
            ("at the low mark", 25 * GB, 2_500_000, true, false, false, true, 0, true),
            (
                "at the mark",
                15 * GB,
                5_000_000,
                true,
                false,
                false,
                false,
                10 * GB,
                false,
            ),
            (
                "a little above it",
                17 * GB,
                5_000_000,
                true,
                false,
                false,
                false,
                8 * GB,
                true,
            ),
            ("above", 14 * GB, 5_000_000, true, false, true, false, 11 * GB, false),
            (
                "too little for jobs",
                GB - 1,
                5_000_000,
                false,
                false,
                true,
                false,
                24 * GB + 1,
                false,
            ),
            (
                "full",
                15 * MB,
                5_000_000,
                false,
                true,
                true,
                false,
                25 * GB - 15 * MB,
                false,
            ),
            (
                "files at the mark",
                50 * GB,
                1_500_000,
                true,
                false,
                false,
                false,
                0,
                true,
            ),
            ("files above", 50 * GB, 1_499_999, true, false, true, false, ALL, false),
            (
                "too few files for jobs",
                50 * GB,
                65_535,
                false,
                false,
                true,
                false,
                ALL,
                false,
            ),
            ("no files", 50 * GB, 255, false, true, true, false, ALL, false),
            ("neither", GB - 1, 0, false, true, true, false, ALL, false),
        ] {
            let space = Space {
                total: 100 * GB,
                free,
                inodes: 10_000_000,
                free_inodes: files,
                id: 0,
            };
            let found = (
                Room::of(&space, &rules).is_enough(),
                is_full(&space),
                is_short(&space, &rules),
                is_at_ease(&space, &rules),
                bytes_wanted(&space, &rules),
                has_room_for(GB, &space, &rules),
            );
            assert_eq!(found, (room, full, short, ease, wanted, more), "{name}");
        }
    }

    #[test]
    fn what_is_short_is_told() {
        for (name, free, free_files, told) in [
            (
                "bytes",
                MB,
                9,
                "1 MiB are free on the storage volume, 2 MiB are wanted (min_free of [disk])",
            ),
            (
                "files",
                2 * MB,
                8,
                "8 more files (inodes) can be made on the storage volume, 9 are wanted",
            ),
        ] {
            let room = Room {
                free,
                wanted: 2 * MB,
                free_files,
                wanted_files: 9,
            };
            assert_eq!((room.is_enough(), room.to_string().as_str()), (false, told), "{name}");
        }
    }

    #[test]
    fn files_that_are_not_counted_or_not_wanted_are_never_short() {
        let parsed = |text| crate::config::parse_config(text, "config.toml").unwrap().config.disk;
        for (inodes, rules) in [(0, DiskConfig::default()), (1000, parsed("[disk]\nmin_free = \"0\"\n"))] {
            let space = Space {
                total: 100 * GB,
                free: 50 * GB,
                inodes,
                ..Space::default()
            };
            assert!(Room::of(&space, &rules).is_enough(), "{inodes}");
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
