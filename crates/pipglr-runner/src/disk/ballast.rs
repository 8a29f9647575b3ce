//! Space kept in reserve on the storage volume: some files of nothing, one of which is given up whenever the disk is full,
//! because at zero free bytes podman cannot even remove a container.

use rustix::fs::FallocateFlags;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// How many files it is.
pub(super) const PIECES: u64 = 4;

/// The reserve below a directory.
#[derive(Debug, Clone)]
pub(super) struct Ballast(PathBuf);

impl Ballast {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// How many pieces are there.
    pub(super) fn pieces(&self) -> u64 {
        (0..PIECES).filter(|piece| self.piece(*piece).exists()).count() as u64
    }

    /// Gives up one piece. False if there is none.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn release(&self) -> io::Result<bool> {
        for piece in (0..PIECES).rev() {
            match fs::remove_file(self.piece(piece)) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Makes one missing piece of this many bytes. False if all are there.
    ///
    /// # Errors
    /// There is no room, no directory, or the file system cannot set space aside.
    pub(super) fn build(&self, bytes: u64) -> io::Result<bool> {
        let Some(missing) = (0..PIECES).map(|p| self.piece(p)).find(|path| !path.exists()) else {
            return Ok(false);
        };
        let new = missing.with_extension("new");
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        let made = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes);
        match made {
            Ok(()) => fs::rename(&new, &missing).map(|()| true),
            Err(error) => {
                fs::remove_file(&new)?;
                Err(error.into())
            }
        }
    }

    fn piece(&self, number: u64) -> PathBuf {
        self.0.join(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::Ballast;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn pieces_are_built_and_given_up_one_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(directory.path().to_owned());
        assert!(!ballast.release().unwrap(), "nothing is there");
        for _ in 0..4 {
            assert!(ballast.build(100_000).unwrap());
        }
        assert!(!ballast.build(100_000).unwrap(), "all are there");
        let first = directory.path().join("0").metadata().unwrap();
        assert!(first.blocks() * 512 >= 100_000, "space is really taken");
        assert!(ballast.release().unwrap());
        assert_eq!(ballast.pieces(), 3);
        assert!(ballast.build(100_000).unwrap());
        assert_eq!(ballast.pieces(), 4);
        let nowhere = Ballast::new(directory.path().join("missing"));
        assert!(nowhere.build(1).is_err() && nowhere.pieces() == 0);
    }
}
