//! What is common to writing archives of any format.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the files before compression.
    pub bytes: u64,
    pub notes: Vec<WriteNote>,
}

/// Something the archive does not hold as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteNote {
    /// A socket, FIFO or device, left out.
    SpecialSkipped { path: PathBuf },
    /// The file changed while it was read; the archive holds `stored` bytes of it.
    SizeChanged { path: PathBuf, expected: u64, stored: u64 },
}

impl Written {
    pub(crate) fn skip_special(&mut self, path: &Path) {
        let path = path.to_path_buf();
        self.notes.push(WriteNote::SpecialSkipped { path });
    }

    /// Copies a file that had `expected` bytes when it was opened: a growing file is cut there. Returns how many bytes
    /// there were.
    pub(crate) fn copy_file(
        &mut self,
        file: &mut impl Read,
        out: &mut impl Write,
        expected: u64,
        path: &Path,
    ) -> Result<u64, Error> {
        let stored = copy_at_most(file, out, expected, path)?;
        let grew = stored == expected && {
            let probe = file.read(&mut [0]);
            probe.map_err(|e| Error::io("read", path, e))? > 0
        };
        if stored != expected || grew {
            self.notes.push(WriteNote::SizeChanged {
                path: path.to_path_buf(),
                expected,
                stored,
            });
        }
        self.bytes += stored;
        Ok(stored)
    }
}

/// Copies up to `limit` bytes of a file; returns how many. Tells failures to read from failures to write.
pub(crate) fn copy_at_most(file: &mut impl Read, out: &mut impl Write, limit: u64, path: &Path) -> Result<u64, Error> {
    let mut file = file.take(limit);
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io("read", path, e)),
        };
        out.write_all(&buffer[..count])
            .map_err(|source| Error::Output { source })?;
        copied += count as u64;
    }
}
