//! Which entries of a tree go into an archive: patterns, excludes, listed files → sorted entries and notes.
//!
//! The walk never enters a symbolic link. A literal leading part of a pattern may go through one as long as
//! it ends below the root; the entry then remembers where it really lies ([`Entry::source`]), and reading it
//! later refuses links altogether, so that exchanging a directory meanwhile gains nothing.

mod path;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use crate::glob::PatternError;
use walk::Selector;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Patterns below the root, relative or absolute; each match is taken with all it contains.
    pub paths: Vec<String>,
    /// Patterns of paths to leave out, relative to the root or absolute. Excluding a directory leaves out
    /// only its own entry, not what it contains.
    pub exclude: Vec<String>,
    /// Further files by name, relative to the root, taken as they are; `None` if no list was asked for.
    pub extra: Option<Vec<PathBuf>>,
}

/// One thing to archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the archive: relative to the root, `/`-separated, without `.` or `..`.
    pub name: PathBuf,
    /// Where it lies below the root, with no symbolic link on the way. Differs from `name` only if the
    /// pattern named it through a link.
    pub source: PathBuf,
    /// What it was when it was selected.
    pub kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    /// Socket, FIFO or device.
    Special,
}

/// Something the person who asked should know. `pattern` of [`Note::Found`] and [`Note::NoMatch`] is the
/// cleaned path relative to the root; elsewhere it is the text as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Entries (directories too) a pattern contributed, counting those another pattern found as well.
    Found {
        pattern: String,
        count: usize,
    },
    NoMatch {
        pattern: String,
    },
    /// The pattern, exclude or extra file is not below the root and was left out.
    OutsideRoot {
        path: String,
    },
    /// Candidates this exclude removed; only excludes that removed any are noted.
    Excluded {
        pattern: String,
        count: usize,
    },
    BadPattern {
        pattern: String,
        error: PatternError,
    },
    EmptyPath,
    /// Files contributed by [`Selection::extra`]; present whenever a list was given.
    Extra {
        count: usize,
    },
    /// A directory could not be listed, or an entry not examined; it was left out.
    Unreadable {
        path: PathBuf,
        error: io::ErrorKind,
    },
    /// A link was left out because entries were selected by a name that goes through it.
    LinkLeftOut {
        path: PathBuf,
    },
}

/// Finds the entries of the directory `root` that `selection` asks for: sorted by the bytes of their names,
/// each once. Never fails: what cannot be used is noted and left out.
#[must_use]
pub fn select(root: &Path, selection: &Selection) -> (Vec<Entry>, Vec<Note>) {
    let canonical = match root.canonicalize() {
        Ok(canonical) => canonical,
        Err(e) => {
            let note = Note::Unreadable {
                path: root.to_path_buf(),
                error: e.kind(),
            };
            return (Vec::new(), vec![note]);
        }
    };
    let given = std::path::absolute(root).unwrap_or_else(|_| canonical.clone());
    let mut selector = Selector::new(&given, canonical);
    selector.add_excludes(&selection.exclude);
    for path in &selection.paths {
        selector.add_pattern(path);
    }
    if let Some(extra) = &selection.extra {
        selector.add_extra(extra);
    }
    selector.finish()
}
