//! Writing a `.tar.zst` to a stream that cannot seek, with constant memory.
//!
//! An entry's size comes before its bytes: a file growing meanwhile is cut, the end of a shrinking one is zeros. If
//! anything fails, the compressed stream is left without its end, so that nobody takes it for whole.

use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Stat};
use tar::{EntryType, Header};

use crate::beneath::Beneath;
use crate::error::Error;
use crate::level::Level;
use crate::select::Entry;
use crate::write::Written;

const BLOCK: usize = 512;
/// What GNU tar calls an entry that holds the next one's name.
const LONG_NAME: &[u8] = b"././@LongLink";

/// Writes `entries`, which lie below the directory `root`, as a tar archive compressed with zstd.
///
/// Directories end in `/`, links are stored as links, permissions, modification time in seconds and numeric owner are
/// kept. The same tree gives the same bytes.
///
/// # Errors
/// [`Error::Output`] if `out` fails; [`Error::Io`], [`Error::NotRegular`] or [`Error::NotBeneath`] if an
/// entry cannot be read any more where it was selected. What `out` got by then is no valid archive.
pub fn write_tar_zst<W: Write>(root: &Path, entries: &[Entry], level: Level, out: W) -> Result<Written, Error> {
    let output = |source: io::Error| Error::Output { source };
    let mut encoder = zstd::Encoder::new(out, level.zstd()).map_err(output)?;
    encoder.include_checksum(true).map_err(output)?;
    let mut archive = Archive {
        beneath: Beneath::open(root)?,
        out: encoder,
        written: Written::default(),
    };
    for entry in entries {
        archive.add(entry)?;
    }
    archive.out.write_all(&[0; 2 * BLOCK]).map_err(output)?;
    let mut out = archive.out.finish().map_err(output)?;
    out.flush().map_err(output)?;
    Ok(archive.written)
}

struct Archive<W: Write> {
    beneath: Beneath,
    out: W,
    written: Written,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let stat = self.beneath.stat(&entry.source)?;
        let name = entry.name.as_os_str().as_bytes();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let (mut file, stat) = self.beneath.open_file(&entry.source)?;
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                self.header(EntryType::Regular, name, b"", &stat, size)?;
                let stored = self.written.copy_file(&mut file, &mut self.out, size, &entry.name)?;
                self.zeros(size - stored)?;
                self.pad(size)?;
            }
            FileType::Directory => {
                let name = [name, b"/"].concat();
                self.header(EntryType::Directory, &name, b"", &stat, 0)?;
            }
            FileType::Symlink => {
                let target = self.beneath.read_link(&entry.source)?;
                self.header(EntryType::Symlink, name, &target, &stat, 0)?;
            }
            _ => {
                self.written.skip_special(&entry.name);
                return Ok(());
            }
        }
        self.written.entries += 1;
        Ok(())
    }

    fn header(&mut self, kind: EntryType, name: &[u8], target: &[u8], stat: &Stat, size: u64) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        // Times before 1970 cannot be told.
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(size);
        self.long(EntryType::GNULongLink, target)?;
        self.long(EntryType::GNULongName, name)?;
        let fields = header.as_old_mut();
        put(&mut fields.name, name);
        put(&mut fields.linkname, target);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    /// A name that does not fit into a header, in an entry of its own before it.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> Result<(), Error> {
        if name.len() <= 100 {
            return Ok(());
        }
        let size = name.len() as u64 + 1;
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        put(&mut header.as_old_mut().name, LONG_NAME);
        header.set_cksum();
        self.write(header.as_bytes())?;
        self.write(name)?;
        self.zeros(1)?;
        self.pad(size)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|source| Error::Output { source })
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        self.zeros(size.wrapping_neg() % BLOCK as u64)
    }

    fn zeros(&mut self, count: u64) -> Result<(), Error> {
        io::copy(&mut io::repeat(0).take(count), &mut self.out).map_err(|source| Error::Output { source })?;
        Ok(())
    }
}

/// As much of a name as a field holds; the whole is in an entry of its own if that is not all.
fn put(field: &mut [u8; 100], name: &[u8]) {
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name[..length]);
}
