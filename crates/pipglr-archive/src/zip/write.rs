//! Writing a zip to a stream that cannot seek, with constant memory per file.
//!
//! Sizes and checksums follow the data; what is read of a file is bounded by the size it had when it was
//! opened, so that a file growing meanwhile is cut and a shrinking one is short, and the archive stays whole.
//! If writing fails nothing more reaches the output: a cut archive never gets the directory that would make
//! it look complete.

use std::cell::Cell;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{FileType, Stat};
use zip::result::ZipError;
use zip::write::{FullFileOptions, StreamWriter};
use zip::{CompressionMethod, System, ZipWriter};

use super::metadata;
use crate::beneath::Beneath;
use crate::error::Error;
use crate::level::Level;
use crate::select::Entry;
use crate::write::Written;

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZipMethod {
    /// What everything unpacks.
    #[default]
    Deflate,
    /// Method 93, quicker and smaller, and not understood by older programs.
    Zstd,
}

/// Writes `entries`, which lie below the directory `root`, as a zip.
///
/// Directories end in `/`, links are stored as links, modes (type and permission bits), modification time in
/// seconds and numeric owner are kept. The same tree gives the same bytes.
///
/// # Errors
/// [`Error::Output`] if `out` fails; [`Error::Io`], [`Error::NotRegular`] or [`Error::NotBeneath`] if an
/// entry cannot be read any more where it was selected. What `out` got by then is no valid archive.
pub fn write_zip<W: Write>(
    root: &Path,
    entries: &[Entry],
    method: ZipMethod,
    level: Level,
    out: W,
) -> Result<Written, Error> {
    let failed = Rc::new(Cell::new(false));
    let gate = Gate {
        out,
        failed: Rc::clone(&failed),
    };
    let mut archive = Archive {
        beneath: Beneath::open(root)?,
        method,
        level,
        zip: ZipWriter::new_stream(gate),
        written: Written::default(),
    };
    for entry in entries {
        // Set before the writer is dropped, which would otherwise complete the archive.
        archive.add(entry).inspect_err(|_| failed.set(true))?;
    }
    let finished = archive.zip.finish().map_err(|e| encode_error(Path::new(""), e));
    let mut gate = finished.inspect_err(|_| failed.set(true))?.into_inner();
    gate.flush().map_err(|source| Error::Output { source })?;
    Ok(archive.written)
}

struct Archive<W: Write> {
    beneath: Beneath,
    method: ZipMethod,
    level: Level,
    zip: ZipWriter<StreamWriter<Gate<W>>>,
    written: Written,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let stat = self.beneath.stat(&entry.source)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.add_file(entry)?,
            FileType::Directory => self.add_directory(entry, &stat)?,
            FileType::Symlink => self.add_link(entry, &stat)?,
            _ => {
                self.written.skip_special(&entry.name);
                return Ok(());
            }
        }
        self.written.entries += 1;
        Ok(())
    }

    fn add_file(&mut self, entry: &Entry) -> Result<(), Error> {
        let (mut file, stat) = self.beneath.open_file(&entry.source)?;
        let expected = u64::try_from(stat.st_size).unwrap_or(0);
        let name = entry.name.as_os_str().as_bytes();
        let options = self.options(entry, &stat)?.large_file(needs_zip64(expected)).name(name);
        let options = match self.compression().filter(|_| expected > 0) {
            None => options,
            Some((method, level)) => options.compression_method(method).compression_level(Some(level)),
        };
        self.start(entry, options)?;
        self.written
            .copy_file(&mut file, &mut self.zip, expected, &entry.name)?;
        Ok(())
    }

    /// `None` is to store.
    fn compression(&self) -> Option<(CompressionMethod, i64)> {
        let deflate = self.level.deflate()?;
        Some(match self.method {
            ZipMethod::Deflate => (CompressionMethod::Deflated, deflate),
            ZipMethod::Zstd => (CompressionMethod::Zstd, self.level.zstd().into()),
        })
    }

    fn add_directory(&mut self, entry: &Entry, stat: &Stat) -> Result<(), Error> {
        let mut name = entry.name.as_os_str().as_bytes().to_vec();
        name.push(b'/');
        let options = self.options(entry, stat)?;
        match String::from_utf8(name) {
            Ok(name) => self
                .zip
                .add_directory(name, options)
                .map_err(|e| encode_error(&entry.name, e)),
            Err(name) => {
                // The zip crate takes names of directories as text only, and would seek back into anything
                // else that claims to be one; readers tell a directory by the final slash.
                let permissions = stat.st_mode & 0o7777;
                let options = options.external_attributes(permissions << 16 | DOS_DIRECTORY);
                self.start(entry, options.name(name.as_bytes()))
            }
        }
    }

    fn add_link(&mut self, entry: &Entry, stat: &Stat) -> Result<(), Error> {
        let target = self.beneath.read_link(&entry.source)?;
        let name = entry.name.as_os_str().as_bytes();
        let options = self.options(entry, stat)?.name(name);
        self.start(entry, options)?;
        self.zip.write_all(&target).map_err(|source| Error::Output { source })
    }

    fn start(&mut self, entry: &Entry, options: FullFileOptions<'_, '_>) -> Result<(), Error> {
        self.zip
            .start_file_with_options(options)
            .map_err(|e| encode_error(&entry.name, e))
    }

    /// What every kind of entry has: stored, with mode, time and owner.
    fn options(&self, entry: &Entry, stat: &Stat) -> Result<FullFileOptions<'static, 'static>, Error> {
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let dos = if directory { DOS_DIRECTORY } else { 0 };
        let mut options = FullFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .system(System::Unix)
            .external_attributes(stat.st_mode << 16 | dos)
            .last_modified_time(metadata::dos_date(stat.st_mtime));
        if let Ok(modified) = u32::try_from(stat.st_mtime) {
            options = options
                .with_extended_timestamp(Some(modified), None, None)
                .map_err(|e| encode_error(&entry.name, e))?;
        }
        let owner = metadata::encode_owner(stat.st_uid, stat.st_gid);
        options
            .add_extra_field(metadata::OWNER_FIELD, owner, false)
            .map_err(|e| encode_error(&entry.name, e))?;
        Ok(options)
    }
}

/// The directory bit of the DOS half of the external attributes.
const DOS_DIRECTORY: u32 = 0x10;

/// Whether a file of this size, or its compressed form should it not compress, may pass 4 GiB.
fn needs_zip64(size: u64) -> bool {
    let worst = size.saturating_add(size >> 10).saturating_add(1 << 16);
    worst >= u64::from(u32::MAX)
}

fn encode_error(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(source) => Error::Output { source },
        source => Error::Unstorable {
            path: path.to_path_buf(),
            source,
        },
    }
}

/// Passes bytes on until writing failed, then drops them.
struct Gate<W> {
    out: W,
    failed: Rc<Cell<bool>>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.get() {
            return Ok(bytes.len());
        }
        let result = self.out.write(bytes);
        // The caller tries again after an interruption only.
        let failure = result.as_ref().err().map(io::Error::kind);
        if failure.is_some_and(|kind| kind != io::ErrorKind::Interrupted) {
            self.failed.set(true);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.get() {
            return Ok(());
        }
        self.out.flush()
    }
}
