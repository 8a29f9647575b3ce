//! Unpacking a `.tar.zst` from a stream, which is read once: each name is checked just before its entry is unpacked.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use tar::EntryType;

use crate::error::Error;
use crate::unpack::{Attributes, ExtractOptions, Extracted, Member, Unpacker, safe_path};

/// Most that may come before an entry: headers with long names and extended attributes.
const HEADERS: u64 = 1024 * 1024;

/// Unpacks a tar archive compressed with zstd into the existing directory `root`.
///
/// What is there by the same name is replaced (a directory only if empty, or kept if the entry is one);
/// other files stay. Mode and modification time are restored, and the stored owner where we may set it. A hard link is
/// made to a regular file below the root only.
///
/// # Errors
/// [`Error::UnsafeName`], [`Error::NotBeneath`] if a link or file stands where an entry needs a directory,
/// [`Error::NotRegular`] for a hard link to anything but a file, [`Error::TooLarge`], [`Error::Damaged`],
/// [`Error::DamagedEntry`] and [`Error::Io`] as they happen, with the entries before them already unpacked.
pub fn extract_tar_zst<R: Read>(root: &Path, archive: R, options: &ExtractOptions) -> Result<Extracted, Error> {
    let mut unpacker = Unpacker::new(root, options)?;
    let allowance = Rc::new(Cell::new(0));
    let mut archive = tar::Archive::new(Bounded {
        input: zstd::Decoder::new(archive).map_err(Error::damaged)?,
        allowance: Rc::clone(&allowance),
    });
    let mut entries = archive.entries().map_err(Error::damaged)?;
    loop {
        allowance.set(HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(Error::damaged)?;
        allowance.set(u64::MAX);
        unpack(&mut unpacker, &mut entry)?;
    }
    // The checksum of the whole comes last, after the padding.
    allowance.set(HEADERS);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(Error::damaged)?;
    unpacker.finish()
}

fn unpack<R: Read>(unpacker: &mut Unpacker, entry: &mut tar::Entry<'_, R>) -> Result<(), Error> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let name = entry.path_bytes().into_owned();
    // An entry for the directory itself: it exists, and its mode is its owner's business.
    let Some(path) = safe_path(&name)? else { return Ok(()) };
    let header = entry.header();
    let member = Member {
        name: String::from_utf8_lossy(&name).into_owned(),
        path,
        attributes: Attributes {
            mode: header.mode().ok().map(|mode| mode & 0o7777),
            modified: header.mtime().ok().and_then(|time| i64::try_from(time).ok()),
            owner: owner(header),
        },
    };
    let target = |entry: &tar::Entry<'_, R>| entry.link_name_bytes().unwrap_or_default().into_owned();
    match kind {
        EntryType::Directory => unpacker.directory(member)?,
        // How the oldest archives tell directories.
        EntryType::Regular if name.ends_with(b"/") => unpacker.directory(member)?,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let size = entry.size();
            if unpacker.file(&member, entry)? != size {
                return Err(member.damaged(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
        }
        EntryType::Symlink => {
            let target = target(entry);
            unpacker.link(member, target)?;
        }
        EntryType::Link => {
            let target = safe_path(&target(entry))?.unwrap_or_default();
            unpacker.hard_link(&member, &target)?;
        }
        _ => unpacker.special(member.path),
    }
    // What is left over counts as this entry's, not as headers of the next one.
    io::copy(entry, &mut io::sink()).map_err(Error::damaged)?;
    Ok(())
}

/// Numbers that no user can have are left out, as is the one that means "leave as it is" to chown.
fn owner(header: &tar::Header) -> Option<(u32, u32)> {
    let number = |number: io::Result<u64>| u32::try_from(number.ok()?).ok().filter(|&n| n != u32::MAX);
    Some((number(header.uid())?, number(header.gid())?))
}

/// Ends with an error when more is read than is allowed for now: what describes an entry is held in memory.
struct Bounded<R> {
    input: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let Some(left) = self.allowance.get().checked_sub(count as u64) else {
            return Err(io::Error::other("an entry's description is too long"));
        };
        self.allowance.set(left);
        Ok(count)
    }
}
