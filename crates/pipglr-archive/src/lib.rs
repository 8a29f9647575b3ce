//! Archives and globs: which files of a tree go into an archive, writing it, and unpacking it safely.
//!
//! - [`glob`]: patterns with doublestar semantics, in time linear in pattern times path.
//! - [`select()`]: patterns, excludes and listed files → sorted [`Entry`] list plus structured [`Note`]s.
//! - [`write_zip`], [`write_tar_zst`], [`write_gzip`], [`write_raw`]: an entry list → bytes, streamed to any `Write`.
//! - [`extract`]: an archive → a directory, with nothing ever written outside of it.
//!
//! The crate is synchronous, logs nothing, and words no message for a person: callers do.

mod beneath;
mod error;
mod format;
pub mod glob;
mod gzip;
mod level;
mod raw;
mod select;
mod tar;
mod unpack;
mod write;
mod zip;

pub use error::{Damage, Error, UnsafeName};
pub use format::{Format, extract};
pub use gzip::write_gzip;
pub use level::Level;
pub use raw::write_raw;
pub use select::{Entry, EntryKind, Note, Selection, select};
pub use tar::extract::extract_tar_zst;
pub use tar::write::write_tar_zst;
pub use unpack::{ExtractNote, ExtractOptions, Extracted};
pub use write::{WriteNote, Written};
pub use zip::extract::extract_zip;
pub use zip::write::{ZipMethod, write_zip};
