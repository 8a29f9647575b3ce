//! Which archive format some bytes are, and unpacking by that.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::Error;
use crate::tar::extract::extract_tar_zst;
use crate::unpack::{ExtractOptions, Extracted};
use crate::zip::extract::extract_zip;

/// An archive format, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Zip,
    Gzip,
    /// Of which only a compressed tar archive can be unpacked.
    Zstd,
}

impl Format {
    /// Tells the format from the first bytes (four are enough); `None` if it is none of ours.
    #[must_use]
    pub fn detect(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PK") {
            Some(Self::Zip)
        } else if head.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Gzip)
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zip => "zip",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Unpacks `archive` into the existing directory `root`, by the format its first bytes tell.
///
/// # Errors
/// [`Error::UnsupportedFormat`] for gzip, [`Error::UnknownFormat`] for anything else that is neither zip nor
/// zstd; otherwise those of [`extract_zip`] and [`extract_tar_zst`].
pub fn extract<R: Read + Seek>(root: &Path, mut archive: R, options: &ExtractOptions) -> Result<Extracted, Error> {
    let mut head = Vec::with_capacity(4);
    archive
        .by_ref()
        .take(4)
        .read_to_end(&mut head)
        .and_then(|_| archive.seek(SeekFrom::Start(0)))
        .map_err(Error::damaged)?;
    match Format::detect(&head) {
        Some(Format::Zip) => extract_zip(root, archive, options),
        Some(Format::Zstd) => extract_tar_zst(root, archive, options),
        Some(format @ Format::Gzip) => Err(Error::UnsupportedFormat { format }),
        None => Err(Error::UnknownFormat),
    }
}
