//! Putting the members of an archive into a directory so that nothing outside of it can be written.
//!
//! Directories and files come first, symbolic links after them (so no link of the archive can redirect a file of it),
//! the modes and times of directories last. Every parent is resolved with [`Beneath`]: a link that is already in the
//! tree is not followed either, wherever it points. On Linux a backslash or a drive letter is an ordinary part of a
//! name, and stays inside like any.

use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};

use crate::beneath::Beneath;
use crate::error::{Damage, Error, UnsafeName};

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
    /// Symbolic and hard links.
    pub links: u64,
    /// Bytes of all files.
    pub bytes: u64,
    pub notes: Vec<ExtractNote>,
}

/// Something that was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractNote {
    /// A socket, FIFO, device or another thing that is no file, left out.
    SpecialSkipped { path: PathBuf },
}

/// The longest target a symbolic link can have.
pub(crate) const MAX_LINK_TARGET: u64 = 4095;

/// One member of an archive, its name checked.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// For messages.
    pub(crate) name: String,
    /// Relative, of ordinary components only, not empty.
    pub(crate) path: PathBuf,
    pub(crate) attributes: Attributes,
}

impl Member {
    pub(crate) fn damaged(&self, source: impl Into<Damage>) -> Error {
        Error::DamagedEntry {
            name: self.name.clone(),
            source: source.into(),
        }
    }
}

/// Mode, time and owner of a member, where the archive tells them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes {
    /// Permission bits.
    pub(crate) mode: Option<u32>,
    pub(crate) modified: Option<i64>,
    pub(crate) owner: Option<(u32, u32)>,
}

/// The path a name stands for; `None` for the directory itself (`./`).
pub(crate) fn safe_path(name: &[u8]) -> Result<Option<PathBuf>, Error> {
    let reason = match parse(name) {
        Ok(path) => return Ok(Some(path).filter(|path| !path.as_os_str().is_empty())),
        Err(reason) => reason,
    };
    let name = String::from_utf8_lossy(name).into_owned();
    Err(Error::UnsafeName { name, reason })
}

fn parse(name: &[u8]) -> Result<PathBuf, UnsafeName> {
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
    Ok(path)
}

/// Takes members in any order and puts each where it belongs.
#[derive(Debug)]
pub(crate) struct Unpacker {
    beneath: Beneath,
    max_bytes: Option<u64>,
    /// Symbolic links and their targets, made when everything else is there.
    links: Vec<(Member, Vec<u8>)>,
    /// Whose attributes are set last.
    directories: Vec<Member>,
    done: Extracted,
}

impl Unpacker {
    pub(crate) fn new(root: &Path, options: &ExtractOptions) -> Result<Self, Error> {
        Ok(Self {
            beneath: Beneath::open(root)?,
            max_bytes: options.max_bytes,
            links: Vec::new(),
            directories: Vec::new(),
            done: Extracted::default(),
        })
    }

    pub(crate) fn directory(&mut self, member: Member) -> Result<(), Error> {
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
        self.directories.push(member);
        Ok(())
    }

    /// Returns how many bytes the file has.
    pub(crate) fn file(&mut self, member: &Member, content: &mut impl Read) -> Result<u64, Error> {
        let place = self.beneath.place_creating(&member.path)?;
        let fail = |e| Error::io("create", &member.path, e);
        place.clear().map_err(fail)?;
        // EXCL: whatever appeared meanwhile, a link above all, is not written through.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody else reads it before it has its own mode; without one, the umask decides.
        let has_mode = member.attributes.mode.is_some();
        let mode = Mode::from_raw_mode(if has_mode { 0o600 } else { 0o666 });
        let fd = rustix::fs::openat(&place.directory, place.name, flags, mode).map_err(fail)?;
        let mut file = File::from(fd);
        let bytes = self.copy(content, &mut file, member)?;
        member
            .attributes
            .restore(&file)
            .map_err(|e| Error::io("set mode and time of", &member.path, e))?;
        self.done.files += 1;
        Ok(bytes)
    }

    fn copy(&mut self, content: &mut impl Read, file: &mut File, member: &Member) -> Result<u64, Error> {
        let mut buffer = vec![0; 64 * 1024];
        let mut copied = 0;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => return Ok(copied),
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(member.damaged(e)),
            };
            copied += count as u64;
            self.done.bytes += count as u64;
            if let Some(limit) = self.max_bytes.filter(|&limit| self.done.bytes > limit) {
                return Err(Error::TooLarge { limit });
            }
            file.write_all(&buffer[..count])
                .map_err(|e| Error::io("write", &member.path, e))?;
        }
    }

    /// A symbolic link; its target may be anything a link can hold, since nothing here ever follows it.
    pub(crate) fn link(&mut self, member: Member, target: Vec<u8>) -> Result<(), Error> {
        if target.is_empty() || target.contains(&0) || target.len() as u64 > MAX_LINK_TARGET {
            return Err(member.damaged(Damage::LinkTarget));
        }
        self.links.push((member, target));
        Ok(())
    }

    /// Another name for a regular file that is below the root already. Its attributes are the file's: they were set
    /// with it.
    pub(crate) fn hard_link(&mut self, member: &Member, target: &Path) -> Result<(), Error> {
        let fail = |e| Error::io("create the link", &member.path, e);
        let from = self.beneath.place(target)?;
        let there = rustix::fs::statat(&from.directory, from.name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        if FileType::from_raw_mode(there.st_mode) != FileType::RegularFile {
            return Err(Error::NotRegular {
                path: target.to_path_buf(),
            });
        }
        if target != member.path {
            let place = self.beneath.place_creating(&member.path)?;
            place.clear().map_err(fail)?;
            // Without flags, a link that took the file's place meanwhile is not followed.
            let flags = AtFlags::empty();
            rustix::fs::linkat(&from.directory, from.name, &place.directory, place.name, flags).map_err(fail)?;
        }
        self.done.links += 1;
        Ok(())
    }

    pub(crate) fn special(&mut self, path: PathBuf) {
        self.done.notes.push(ExtractNote::SpecialSkipped { path });
    }

    pub(crate) fn finish(mut self) -> Result<Extracted, Error> {
        for (member, target) in std::mem::take(&mut self.links) {
            self.create_link(&member, &target)?;
        }
        // The deepest first: setting up a directory may take away the right to enter it.
        self.directories
            .sort_by_key(|member| std::cmp::Reverse(member.path.components().count()));
        for member in &self.directories {
            let directory = self.beneath.open_directory(&member.path)?;
            member
                .attributes
                .restore(&directory)
                .map_err(|e| Error::io("set mode and time of", &member.path, e))?;
        }
        Ok(self.done)
    }

    fn create_link(&mut self, member: &Member, target: &[u8]) -> Result<(), Error> {
        let place = self.beneath.place_creating(&member.path)?;
        let fail = |e| Error::io("create the link", &member.path, e);
        place.clear().map_err(fail)?;
        rustix::fs::symlinkat(target, &place.directory, place.name).map_err(fail)?;
        let own = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = member.attributes.owner {
            // Compat: owners are restored where we may (gitlab-runner ignores the failure too).
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            let _not_permitted = rustix::fs::chownat(&place.directory, place.name, Some(uid), Some(gid), own);
        }
        if let Some(times) = member.attributes.times() {
            rustix::fs::utimensat(&place.directory, place.name, &times, own)
                .map_err(|e| Error::io("set the time of", &member.path, e))?;
        }
        self.done.links += 1;
        Ok(())
    }
}

impl Attributes {
    fn times(&self) -> Option<Timestamps> {
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        Some(Timestamps {
            last_access: time(0, UTIME_OMIT),
            last_modification: time(self.modified?, 0),
        })
    }

    fn restore(&self, file: impl AsFd) -> rustix::io::Result<()> {
        let mut owned = true;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            owned = rustix::fs::fchown(&file, Some(uid), Some(gid)).is_ok();
        }
        if let Some(mode) = self.mode {
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
