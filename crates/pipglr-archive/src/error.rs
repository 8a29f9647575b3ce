//! The one error type of this crate; every variant names the path or entry it is about.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::Format;

/// Why an archive could not be written or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the tree could not be read, created or changed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `create`, `read the link`, ….
        action: &'static str,
        /// Relative to the root of the operation, or the root itself.
        path: PathBuf,
        source: io::Error,
    },
    /// The stream that receives the archive failed; nothing is wrong with the tree.
    #[error("cannot write the archive")]
    Output { source: io::Error },
    /// The archive cannot hold this entry, for example because its name is too long.
    #[error("cannot store `{}` in the archive", path.display())]
    Unstorable {
        path: PathBuf,
        source: zip::result::ZipError,
    },
    /// The archive's own structure cannot be read.
    #[error("the archive is damaged or not an archive")]
    Damaged { source: Damage },
    /// One entry of the archive cannot be unpacked: wrong checksum, cut short, encrypted, unknown method.
    #[error("the archive's entry `{name}` is damaged or unsupported")]
    DamagedEntry { name: String, source: Damage },
    /// The bytes are a format that is recognised but cannot be unpacked here.
    #[error("unpacking a {format} archive is not supported")]
    UnsupportedFormat { format: Format },
    /// The bytes are no known archive format.
    #[error("the archive's format is not recognised")]
    UnknownFormat,
    /// An entry's name would leave the directory; neither it nor what comes after it was unpacked.
    #[error("the archive's entry `{name}` {reason}; it cannot be unpacked inside the directory")]
    UnsafeName { name: String, reason: UnsafeName },
    /// A parent of this path is a symbolic link or not a directory, and is not followed.
    #[error("`{}` lies behind something that is not a real directory", path.display())]
    NotBeneath { path: PathBuf },
    /// Unpacking would exceed [`crate::ExtractOptions::max_bytes`].
    #[error("the archive holds more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The format stores regular files only.
    #[error("`{}` is not a regular file", path.display())]
    NotRegular { path: PathBuf },
    /// The raw format stores exactly one file.
    #[error("exactly one file can be stored raw, not {count}")]
    NotExactlyOne { count: usize },
}

/// What a format's reader found.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error(transparent)]
    Zip(#[from] zip::result::ZipError),
    #[error(transparent)]
    Stream(#[from] io::Error),
    #[error("not a link target")]
    LinkTarget,
}

/// What is wrong with the name of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeName {
    #[error("has an absolute name")]
    Absolute,
    #[error("has `..` in its name")]
    Parent,
    #[error("has a NUL byte in its name")]
    Nul,
    #[error("has no name")]
    Empty,
}

impl Error {
    pub(crate) fn damaged(source: impl Into<Damage>) -> Self {
        Self::Damaged { source: source.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source: source.into(),
        }
    }
}
