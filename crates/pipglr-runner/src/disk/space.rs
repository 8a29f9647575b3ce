//! How much room a file system has.

use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Room on the file system of a directory, for those without root's reserve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes.
    pub total: u64,
    pub free: u64,
    /// Files that can be there, and that can be made; 0 of 0 where the file system does not count them.
    pub inodes: u64,
    pub free_inodes: u64,
    /// Which file system it is.
    pub id: u64,
}

impl Space {
    /// # Errors
    /// The directory is not there.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let found = statvfs(directory)?;
        // What root keeps for itself is neither used nor free for us.
        let reserved = found.f_bfree.saturating_sub(found.f_bavail);
        Ok(Self {
            total: found.f_blocks.saturating_sub(reserved) * found.f_frsize,
            free: found.f_bavail * found.f_frsize,
            inodes: found.f_files,
            free_inodes: found.f_favail,
            id: found.f_fsid,
        })
    }

    /// How full it is, in percent rounded up: of bytes or of files, whichever is the worse.
    #[must_use]
    pub fn percent_used(&self) -> u64 {
        percent(self.total, self.free).max(self.percent_of_files())
    }

    /// How many of its files there are, in percent rounded up.
    #[must_use]
    pub fn percent_of_files(&self) -> u64 {
        percent(self.inodes, self.free_inodes)
    }

    /// Bytes to be freed until it is at most `percent` full.
    #[must_use]
    pub fn bytes_over(&self, percent: u64) -> u64 {
        let allowed = u128::from(self.total) * u128::from(percent) / 100;
        let used = self.total.saturating_sub(self.free);
        used.saturating_sub(u64::try_from(allowed).unwrap_or(u64::MAX))
    }
}

fn percent(total: u64, free: u64) -> u64 {
    if total == 0 {
        return 0;
    }
    let used = u128::from(total.saturating_sub(free));
    u64::try_from((used * 100).div_ceil(u128::from(total))).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn fullness_counts_bytes_and_files() {
        let space = |total, free, inodes, free_inodes| Space {
            total,
            free,
            inodes,
            free_inodes,
            id: 0,
        };
        for (name, space, percent, over) in [
            ("half", space(1000, 500, 0, 0), 50, 0),
            ("rounded up", space(1000, 499, 0, 0), 51, 0),
            ("full", space(1000, 0, 100, 50), 100, 250),
            ("no more files", space(1000, 900, 100, 0), 100, 0),
            ("nothing known", space(0, 0, 0, 0), 0, 0),
        ] {
            assert_eq!((space.percent_used(), space.bytes_over(75)), (percent, over), "{name}");
        }
        assert!(Space::of(std::path::Path::new("/")).unwrap().total > 0);
    }
}
