//! The walk: from cleaned patterns to entries, never entering a link.

use std::collections::{BTreeMap, HashSet};
use std::fs::FileType;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::path::{clean, literal_base};
use super::{Entry, EntryKind, Note};
use crate::glob::{Cursor, Pattern};

struct Exclude {
    given: String,
    pattern: Pattern,
    count: usize,
}

pub(super) struct Selector {
    root: PathBuf,
    /// Prefixes an absolute path may have: the root as it was given, and as it really is.
    roots: [PathBuf; 2],
    excludes: Vec<Exclude>,
    /// By the bytes of the name, which is the order of the archive.
    entries: BTreeMap<Vec<u8>, Entry>,
    notes: Vec<Note>,
}

/// A directory still to be listed.
struct Pending<'p> {
    name: PathBuf,
    source: PathBuf,
    /// The pattern after this directory and a separator; `None` if everything below is taken.
    cursor: Option<Cursor<'p>>,
}

enum Resolved {
    /// Relative to the root, free of links except perhaps the last component.
    Inside(PathBuf),
    Outside,
    Missing,
}

impl Selector {
    /// `given` is the root as it was named, `root` as it really is.
    pub(super) fn new(given: &Path, root: PathBuf) -> Self {
        Self {
            roots: [clean(given), clean(&root)],
            root,
            excludes: Vec::new(),
            entries: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn add_excludes(&mut self, excludes: &[String]) {
        for given in excludes {
            if given.is_empty() {
                continue;
            }
            let Some(relative) = self.relative(Path::new(given)) else {
                self.notes.push(Note::OutsideRoot { path: given.clone() });
                continue;
            };
            if let Some(pattern) = self.parse(given, &relative.to_string_lossy()) {
                self.excludes.push(Exclude {
                    given: given.clone(),
                    pattern,
                    count: 0,
                });
            }
        }
    }

    pub(super) fn add_pattern(&mut self, given: &str) {
        if given.is_empty() {
            self.notes.push(Note::EmptyPath);
            return;
        }
        let Some(relative) = self.relative(Path::new(given)) else {
            return self.outside(given);
        };
        let text = relative.to_string_lossy().into_owned();
        let Some(pattern) = self.parse(given, &text) else {
            return;
        };
        let base = literal_base(&relative);
        let literal = base == relative;
        let source = match self.resolve(&base, !literal) {
            Resolved::Inside(source) => source,
            Resolved::Outside => return self.outside(given),
            Resolved::Missing => return self.found(text, 0),
        };
        let count = self.walk(&pattern, literal, base, source);
        self.found(text, count);
    }

    fn outside(&mut self, given: &str) {
        self.notes.push(Note::OutsideRoot { path: given.to_owned() });
    }

    fn found(&mut self, text: String, count: usize) {
        let pattern = if text.is_empty() { ".".into() } else { text };
        self.notes.push(if count == 0 {
            Note::NoMatch { pattern }
        } else {
            Note::Found { pattern, count }
        });
    }

    fn parse(&mut self, given: &str, relative: &str) -> Option<Pattern> {
        match Pattern::parse(relative) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.notes.push(Note::BadPattern {
                    pattern: given.to_owned(),
                    error,
                });
                None
            }
        }
    }

    /// Takes the base if it matches, then everything below it that does; returns how many were taken.
    fn walk(&mut self, pattern: &Pattern, literal: bool, base: PathBuf, source: PathBuf) -> usize {
        let mut cursor = pattern.cursor();
        for (at, component) in base.iter().enumerate() {
            if at > 0 {
                cursor.separator();
            }
            cursor.component(component);
        }
        let is_root = base.as_os_str().is_empty();
        let taken = literal || (!is_root && cursor.is_match());
        let kind = match std::fs::symlink_metadata(self.root.join(&source)) {
            Ok(metadata) => kind(metadata.file_type()),
            Err(e) => {
                self.unreadable(&base, &e);
                return 0;
            }
        };
        let mut count = 0;
        if taken && !is_root {
            count += self.take(&base, &source, kind);
        }
        let mut pending = Vec::new();
        if kind == EntryKind::Directory {
            let below = if taken {
                None
            } else {
                if !is_root {
                    cursor.separator();
                }
                Some(cursor)
            };
            pending.push(Pending {
                name: base,
                source,
                cursor: below,
            });
        }
        while let Some(directory) = pending.pop() {
            count += self.list(directory, &mut pending);
        }
        count
    }

    /// Takes what matches in one directory and queues the directories in it that may hold more.
    fn list<'p>(&mut self, directory: Pending<'p>, pending: &mut Vec<Pending<'p>>) -> usize {
        let mut count = 0;
        let listing = match std::fs::read_dir(self.root.join(&directory.source)) {
            Ok(listing) => listing,
            Err(e) => {
                self.unreadable(&directory.name, &e);
                return 0;
            }
        };
        for item in listing {
            let (item, kind) = match item.and_then(|i| i.file_type().map(|t| (i, kind(t)))) {
                Ok(item) => item,
                Err(e) => {
                    self.unreadable(&directory.name, &e);
                    continue;
                }
            };
            let component = item.file_name();
            let name = directory.name.join(&component);
            let source = directory.source.join(&component);
            let below = directory.cursor.as_ref().map(|cursor| {
                let mut cursor = cursor.clone();
                cursor.component(&component);
                cursor
            });
            let taken = below.as_ref().is_none_or(Cursor::is_match);
            if taken {
                count += self.take(&name, &source, kind);
            }
            if kind != EntryKind::Directory {
                continue;
            }
            let cursor = below.filter(|_| !taken).map(|mut cursor| {
                cursor.separator();
                cursor
            });
            if cursor.as_ref().is_none_or(|cursor| !cursor.is_dead()) {
                pending.push(Pending { name, source, cursor });
            }
        }
        count
    }

    pub(super) fn add_extra(&mut self, extra: &[PathBuf]) {
        let mut count = 0;
        for given in extra {
            let Some(name) = self.relative(given).filter(|n| !n.as_os_str().is_empty()) else {
                self.outside(&given.to_string_lossy());
                continue;
            };
            match self.resolve(&name, false) {
                Resolved::Inside(source) => match std::fs::symlink_metadata(self.root.join(&source)) {
                    Ok(metadata) => {
                        count += self.take(&name, &source, kind(metadata.file_type()));
                    }
                    Err(e) => self.unreadable(&name, &e),
                },
                Resolved::Outside => self.outside(&given.to_string_lossy()),
                // Listed, then deleted: as if it had never been listed.
                Resolved::Missing => {}
            }
        }
        self.notes.push(Note::Extra { count });
    }

    /// Records one candidate unless it is excluded; returns how many it adds to a count.
    fn take(&mut self, name: &Path, source: &Path, kind: EntryKind) -> usize {
        if let Some(exclude) = self.excludes.iter_mut().find(|e| e.pattern.matches(name)) {
            exclude.count += 1;
            return 0;
        }
        self.entries
            .entry(name.as_os_str().as_bytes().to_vec())
            .or_insert_with(|| Entry {
                name: name.to_path_buf(),
                source: source.to_path_buf(),
                kind,
            });
        1
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.notes.push(Note::Unreadable {
            path: path.to_path_buf(),
            error: error.kind(),
        });
    }

    /// Cleans a path and makes it relative to the root; `None` if it leads out by its text alone.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        let cleaned = clean(path);
        if cleaned.is_absolute() {
            return self
                .roots
                .iter()
                .find_map(|root| cleaned.strip_prefix(root).ok())
                .map(Path::to_path_buf);
        }
        (cleaned.components().next() != Some(Component::ParentDir)).then_some(cleaned)
    }

    /// Follows links in the parents of `path` (and in its last component, if asked) and tells where it lies.
    fn resolve(&self, path: &Path, follow_last: bool) -> Resolved {
        let Some(name) = path.file_name() else {
            return Resolved::Inside(PathBuf::new());
        };
        let full = self.root.join(path);
        let real = if follow_last {
            full.canonicalize()
        } else {
            let parent = full.parent().unwrap_or(&self.root).canonicalize();
            parent.map(|parent| parent.join(name))
        };
        let Ok(real) = real else {
            return Resolved::Missing;
        };
        match real.strip_prefix(&self.root) {
            Ok(_) if std::fs::symlink_metadata(&real).is_err() => Resolved::Missing,
            Ok(inside) => Resolved::Inside(inside.to_path_buf()),
            Err(_) => Resolved::Outside,
        }
    }

    pub(super) fn finish(mut self) -> (Vec<Entry>, Vec<Note>) {
        for exclude in self.excludes {
            if exclude.count > 0 {
                self.notes.push(Note::Excluded {
                    pattern: exclude.given,
                    count: exclude.count,
                });
            }
        }
        // `link` and `link/file` cannot both be unpacked, and whoever named `link/file` wants the file.
        let parents: HashSet<&Path> = self
            .entries
            .values()
            .filter(|entry| entry.name != entry.source)
            .flat_map(|entry| entry.name.ancestors().skip(1))
            .collect();
        let blocked = |entry: &Entry| entry.kind == EntryKind::Symlink && parents.contains(entry.name.as_path());
        let (left_out, kept): (Vec<_>, Vec<_>) = self.entries.values().cloned().partition(blocked);
        let links = left_out.into_iter();
        self.notes
            .extend(links.map(|entry| Note::LinkLeftOut { path: entry.name }));
        (kept, self.notes)
    }
}

fn kind(file_type: FileType) -> EntryKind {
    if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_symlink() {
        EntryKind::Symlink
    } else if file_type.is_file() {
        EntryKind::File
    } else {
        EntryKind::Special
    }
}
