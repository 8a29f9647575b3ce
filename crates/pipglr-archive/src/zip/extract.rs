//! Unpacking a zip into a directory so that nothing outside of it can be written.
//!
//! All names are checked before anything is written. Directories and files come first, links after them (so
//! no link of the archive can redirect a file of it), the modes and times of directories last. Every parent
//! is resolved with [`Beneath`]: a link that is already in the tree is not followed either, wherever it
//! points. On Linux a backslash or a drive letter is an ordinary part of a name, and stays inside like any.

use std::fs::File;
use std::io::{Read, Seek, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use zip::result::ZipError;
use zip::{System, ZipArchive};

use super::metadata;
use crate::beneath::Beneath;
use crate::error::{Error, UnsafeName};

/// How to unpack.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractOptions {
    /// Stop when the files unpacked would exceed this many bytes altogether.
    pub max_bytes: Option<u64>,
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    pub files: u64,
    pub directories: u64,
    pub links: u64,
    /// Bytes of all files.
    pub bytes: u64,
    pub notes: Vec<ExtractNote>,
}

/// Something that was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractNote {
    /// A socket, FIFO or device, left out.
    SpecialSkipped { path: PathBuf },
}

/// The longest target a link can have.
const MAX_LINK_TARGET: u64 = 4095;

/// Unpacks a zip into the existing directory `root`.
///
/// What is there by the same name is replaced (a directory only if empty, or kept if the entry is one);
/// other files stay. Mode and modification time are restored, and the stored owner where we may set it.
///
/// # Errors
/// [`Error::UnsafeName`] before anything is written; [`Error::NotBeneath`] if a link or file stands where an
/// entry needs a directory; [`Error::TooLarge`], [`Error::DamagedEntry`] and [`Error::Io`] as they happen,
/// with the entries before them already unpacked.
pub fn extract_zip<R: Read + Seek>(root: &Path, archive: R, options: &ExtractOptions) -> Result<Extracted, Error> {
    extract_beneath(Beneath::open(root)?, archive, options)
}

pub(crate) fn extract_beneath<R: Read + Seek>(
    beneath: Beneath,
    archive: R,
    options: &ExtractOptions,
) -> Result<Extracted, Error> {
    let mut archive = ZipArchive::new(archive).map_err(|source| Error::Damaged { source })?;
    let members = read_members(&archive)?;
    let mut extractor = Extractor {
        beneath,
        max_bytes: options.max_bytes,
        done: Extracted::default(),
    };
    for member in &members {
        match member.kind {
            Kind::Directory => extractor.create_directory(member)?,
            Kind::File => extractor.create_file(&mut archive, member)?,
            Kind::Link => {}
            Kind::Special => extractor.done.notes.push(ExtractNote::SpecialSkipped {
                path: member.path.clone(),
            }),
        }
    }
    let of_kind = |kind| members.iter().filter(move |m| m.kind == kind);
    for member in of_kind(Kind::Link) {
        extractor.create_link(&mut archive, member)?;
    }
    // The deepest first: setting up a directory may take away the right to enter it.
    let mut directories: Vec<_> = of_kind(Kind::Directory).collect();
    directories.sort_by_key(|member| std::cmp::Reverse(member.path.components().count()));
    for member in directories {
        extractor.finish_directory(&mut archive, member)?;
    }
    Ok(extractor.done)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
    Special,
}

/// One entry of the archive, checked.
struct Member {
    index: usize,
    /// For messages.
    name: String,
    /// Relative, of ordinary components only, not empty.
    path: PathBuf,
    kind: Kind,
    /// Permission bits, if the archive tells them.
    mode: Option<u32>,
}

fn read_members<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<Vec<Member>, Error> {
    let metadata = archive.metadata();
    let mut members = Vec::with_capacity(metadata.len());
    for index in 0..metadata.len() {
        let entry = metadata.entry(index).map_err(|source| Error::Damaged { source })?;
        let raw = entry.name_raw();
        let name = String::from_utf8_lossy(raw).into_owned();
        let path = safe_path(raw).map_err(|reason| Error::UnsafeName {
            name: name.clone(),
            reason,
        })?;
        // An entry for the directory itself: it exists, and its mode is its owner's business.
        let Some(path) = path else { continue };
        let unix = match entry.system() {
            System::Unix => Some(entry.external_attributes() >> 16).filter(|&mode| mode != 0),
            _ => entry.unix_mode(),
        };
        members.push(Member {
            index,
            name,
            path,
            kind: kind(raw, unix),
            mode: unix.map(|mode| mode & 0o7777),
        });
    }
    Ok(members)
}

/// A directory is told by its final slash, as everywhere in zip; the mode tells the others apart.
fn kind(name: &[u8], unix: Option<u32>) -> Kind {
    if name.ends_with(b"/") {
        return Kind::Directory;
    }
    match unix.map(FileType::from_raw_mode) {
        Some(FileType::Directory) => Kind::Directory,
        Some(FileType::Symlink) => Kind::Link,
        Some(FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice) => Kind::Special,
        _ => Kind::File,
    }
}

/// The path a name stands for; `None` for the directory itself (`./`).
fn safe_path(name: &[u8]) -> Result<Option<PathBuf>, UnsafeName> {
    if name.is_empty() {
        return Err(UnsafeName::Empty);
    }
    if name.contains(&0) {
        return Err(UnsafeName::Nul);
    }
    if name.starts_with(b"/") {
        return Err(UnsafeName::Absolute);
    }
    let mut path = PathBuf::new();
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(UnsafeName::Parent),
            component => path.push(std::ffi::OsStr::from_bytes(component)),
        }
    }
    Ok(Some(path).filter(|path| !path.as_os_str().is_empty()))
}

struct Extractor {
    beneath: Beneath,
    max_bytes: Option<u64>,
    done: Extracted,
}

impl Extractor {
    fn create_directory(&mut self, member: &Member) -> Result<(), Error> {
        let place = self.beneath.place_creating(&member.path)?;
        let fail = |e| Error::io("create the directory", &member.path, e);
        let there = rustix::fs::statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW);
        let is_directory = there.is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory);
        if !is_directory {
            place.clear().map_err(fail)?;
            let mode = Mode::from_raw_mode(0o777);
            rustix::fs::mkdirat(&place.directory, place.name, mode).map_err(fail)?;
        }
        self.done.directories += 1;
        Ok(())
    }

    fn create_file<R: Read + Seek>(&mut self, archive: &mut ZipArchive<R>, member: &Member) -> Result<(), Error> {
        let mut content = open(archive, member, false)?;
        let attributes = Attributes::of(&content);
        let place = self.beneath.place_creating(&member.path)?;
        let fail = |e| Error::io("create", &member.path, e);
        place.clear().map_err(fail)?;
        // EXCL: whatever appeared meanwhile, a link above all, is not written through.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody else reads it before it has its own mode; without one, the umask decides.
        let mode = Mode::from_raw_mode(if member.mode.is_some() { 0o600 } else { 0o666 });
        let fd = rustix::fs::openat(&place.directory, place.name, flags, mode).map_err(fail)?;
        let mut file = File::from(fd);
        self.copy(&mut content, &mut file, member)?;
        attributes
            .restore(&file, member.mode)
            .map_err(|e| Error::io("set mode and time of", &member.path, e))?;
        self.done.files += 1;
        Ok(())
    }

    fn copy(&mut self, content: &mut impl Read, file: &mut File, member: &Member) -> Result<(), Error> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(damaged(member, ZipError::Io(e))),
            };
            self.done.bytes += count as u64;
            if let Some(limit) = self.max_bytes.filter(|&limit| self.done.bytes > limit) {
                return Err(Error::TooLarge { limit });
            }
            file.write_all(&buffer[..count])
                .map_err(|e| Error::io("write", &member.path, e))?;
        }
    }

    fn create_link<R: Read + Seek>(&mut self, archive: &mut ZipArchive<R>, member: &Member) -> Result<(), Error> {
        let content = open(archive, member, false)?;
        let attributes = Attributes::of(&content);
        let mut target = Vec::new();
        content
            .take(MAX_LINK_TARGET + 1)
            .read_to_end(&mut target)
            .map_err(|e| damaged(member, ZipError::Io(e)))?;
        if target.is_empty() || target.contains(&0) || target.len() as u64 > MAX_LINK_TARGET {
            let reason = ZipError::InvalidArchive("not a link target".into());
            return Err(damaged(member, reason));
        }
        let place = self.beneath.place_creating(&member.path)?;
        let fail = |e| Error::io("create the link", &member.path, e);
        place.clear().map_err(fail)?;
        rustix::fs::symlinkat(&*target, &place.directory, place.name).map_err(fail)?;
        let own = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = attributes.owner {
            // Compat: owners are restored where we may (gitlab-runner ignores the failure too).
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            let _not_permitted = rustix::fs::chownat(&place.directory, place.name, Some(uid), Some(gid), own);
        }
        if let Some(times) = attributes.times() {
            rustix::fs::utimensat(&place.directory, place.name, &times, own)
                .map_err(|e| Error::io("set the time of", &member.path, e))?;
        }
        self.done.links += 1;
        Ok(())
    }

    fn finish_directory<R: Read + Seek>(&mut self, archive: &mut ZipArchive<R>, member: &Member) -> Result<(), Error> {
        let attributes = Attributes::of(&open(archive, member, true)?);
        let directory = self.beneath.open_directory(&member.path)?;
        attributes
            .restore(&directory, member.mode)
            .map_err(|e| Error::io("set mode and time of", &member.path, e))
    }
}

/// Opens an entry, `raw` if only what surrounds its content is wanted.
fn open<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    member: &Member,
    raw: bool,
) -> Result<zip::read::ZipFile<'a, R>, Error> {
    let opened = if raw {
        archive.by_index_raw(member.index)
    } else {
        archive.by_index(member.index)
    };
    opened.map_err(|source| damaged(member, source))
}

fn damaged(member: &Member, source: ZipError) -> Error {
    Error::DamagedEntry {
        name: member.name.clone(),
        source,
    }
}

/// Time and owner of an entry, where the archive tells them.
struct Attributes {
    modified: Option<i64>,
    owner: Option<(u32, u32)>,
}

impl Attributes {
    fn of<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> Self {
        Self {
            modified: metadata::modified(entry.extra_data_fields(), entry.last_modified()),
            owner: metadata::owner(entry.extra_data_fields()),
        }
    }

    fn times(&self) -> Option<Timestamps> {
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        Some(Timestamps {
            last_access: time(0, UTIME_OMIT),
            last_modification: time(self.modified?, 0),
        })
    }

    fn restore(&self, file: impl AsFd, mode: Option<u32>) -> rustix::io::Result<()> {
        let mut owned = true;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            owned = rustix::fs::fchown(&file, Some(uid), Some(gid)).is_ok();
        }
        if let Some(mode) = mode {
            // A program must not run as us because it once ran as somebody else.
            let mode = if owned { mode } else { mode & 0o1777 };
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        if let Some(times) = self.times() {
            rustix::fs::futimens(&file, &times)?;
        }
        Ok(())
    }
}
