//! Unpacking a zip: all names are checked before anything is written.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use zip::{System, ZipArchive};

use super::metadata;
use crate::error::Error;
use crate::unpack::{Attributes, ExtractOptions, Extracted, MAX_LINK_TARGET, Member, Unpacker, safe_path};

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
    let mut unpacker = Unpacker::new(root, options)?;
    let mut archive = ZipArchive::new(archive).map_err(Error::damaged)?;
    for listed in list(&archive)? {
        match listed.kind {
            Kind::Directory => {
                let (member, _) = open(&mut archive, listed, true)?;
                unpacker.directory(member)?;
            }
            Kind::File => {
                let (member, mut content) = open(&mut archive, listed, false)?;
                unpacker.file(&member, &mut content)?;
            }
            Kind::Link => {
                let (member, content) = open(&mut archive, listed, false)?;
                let mut target = Vec::new();
                content
                    .take(MAX_LINK_TARGET + 1)
                    .read_to_end(&mut target)
                    .map_err(|e| member.damaged(e))?;
                unpacker.link(member, target)?;
            }
            Kind::Special => unpacker.special(listed.path),
        }
    }
    unpacker.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
    Special,
}

/// One entry of the archive's directory, its name checked.
struct Listed {
    index: usize,
    name: String,
    path: PathBuf,
    kind: Kind,
    mode: Option<u32>,
}

fn list<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<Vec<Listed>, Error> {
    let metadata = archive.metadata();
    let mut all = Vec::with_capacity(metadata.len());
    for index in 0..metadata.len() {
        let entry = metadata.entry(index).map_err(Error::damaged)?;
        let raw = entry.name_raw();
        // An entry for the directory itself: it exists, and its mode is its owner's business.
        let Some(path) = safe_path(raw)? else { continue };
        let unix = match entry.system() {
            System::Unix => Some(entry.external_attributes() >> 16).filter(|&mode| mode != 0),
            _ => entry.unix_mode(),
        };
        all.push(Listed {
            index,
            name: String::from_utf8_lossy(raw).into_owned(),
            path,
            kind: kind(raw, unix),
            mode: unix.map(|mode| mode & 0o7777),
        });
    }
    Ok(all)
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

/// Opens an entry, `raw` if only what surrounds its content is wanted.
fn open<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    listed: Listed,
    raw: bool,
) -> Result<(Member, zip::read::ZipFile<'_, R>), Error> {
    let mut member = Member {
        name: listed.name,
        path: listed.path,
        attributes: Attributes::default(),
    };
    let opened = if raw {
        archive.by_index_raw(listed.index)
    } else {
        archive.by_index(listed.index)
    };
    let entry = opened.map_err(|source| member.damaged(source))?;
    member.attributes = Attributes {
        mode: listed.mode,
        modified: metadata::modified(entry.extra_data_fields(), entry.last_modified()),
        owner: metadata::owner(entry.extra_data_fields()),
    };
    Ok((member, entry))
}
