//! Which files go into an archive, and what is said about it: the same for artifacts and caches.

use super::Environment;
use super::expand::expand;
use crate::container_side::notice;
use pipglr_archive::{Entry, Level, Note, Selection, WriteNote, ZipMethod, select, write_tar_zst, write_zip};
use std::io::Write;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files as a job's author names them.
pub(super) struct Wanted<'a> {
    pub(super) paths: &'a [String],
    pub(super) exclude: &'a [String],
    pub(super) untracked: bool,
}

/// Finds the files below `root` and says how many there are of what.
pub(super) fn select_files(root: &Path, wanted: &Wanted<'_>, environment: &Environment) -> Vec<Entry> {
    let selection = Selection {
        paths: expand_all(wanted.paths, environment),
        exclude: expand_all(wanted.exclude, environment),
        extra: wanted.untracked.then(|| untracked(root)).flatten(),
    };
    let (entries, notes) = select(root, &selection);
    notes.iter().for_each(|note| tell(note, root));
    entries
}

fn expand_all(texts: &[String], environment: &Environment) -> Vec<String> {
    texts.iter().map(|text| expanded(text, environment)).collect()
}

pub(super) fn expanded(text: &str, environment: &Environment) -> String {
    expand(text, environment).unwrap_or_else(|reason| {
        notice::warning(&format!("invalid path {text:?}: {reason}"));
        text.to_owned()
    })
}

/// A compression level by its name.
pub(super) fn level(text: &str) -> Level {
    match text {
        "fastest" => Level::Fastest,
        "fast" => Level::Fast,
        "slow" => Level::Slow,
        "slowest" => Level::Slowest,
        "" | "default" => Level::Default,
        other => {
            notice::warning(&format!(
                "compression level {other:?} is invalid, falling back to default"
            ));
            Level::Default
        }
    }
}

/// Formats that keep a tree as it is: those of caches, and most of those of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeFormat {
    Zip,
    ZipZstd,
    TarZst,
}

impl TreeFormat {
    /// By the name it has in payloads and variables.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "" | "zip" => Some(Self::Zip),
            "zipzstd" => Some(Self::ZipZstd),
            "tarzstd" => Some(Self::TarZst),
            _ => None,
        }
    }

    /// Writes the archive and says what it does not hold as it was found.
    pub(super) fn write(
        self,
        root: &Path,
        entries: &[Entry],
        level: Level,
        out: impl Write,
    ) -> Result<(), pipglr_archive::Error> {
        let written = match self {
            Self::Zip => write_zip(root, entries, ZipMethod::Deflate, level, out),
            Self::ZipZstd => write_zip(root, entries, ZipMethod::Zstd, level, out),
            Self::TarZst => write_tar_zst(root, entries, level, out),
        }?;
        written.notes.iter().for_each(tell_written);
        Ok(())
    }
}

/// Files git does not track, ignored ones included. The job's scripts had the repository in their hands: git asks no
/// monitor, nor a remote for objects it misses, as both can be programs of the job's.
fn untracked(root: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "ls-files", "-o", "-z"])
        .env("GIT_NO_LAZY_FETCH", "1")
        .current_dir(root)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Some(
            output
                .stdout
                .split(|&b| b == 0)
                .filter(|name| !name.is_empty())
                .map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.to_vec())))
                .collect(),
        ),
        Ok(output) => {
            notice::warning(&format!(
                "untracked: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ));
            None
        }
        Err(error) => {
            notice::warning(&format!("untracked: {error}"));
            None
        }
    }
}

/// Compat: wording of gitlab-runner commands/helpers/file_archiver.go.
fn tell(note: &Note, root: &Path) {
    match note {
        Note::Found { pattern, count } => notice::line(&format!(
            "{pattern}: found {count} matching artifact files and directories"
        )),
        Note::NoMatch { pattern } => notice::warning(&format!(
            "{pattern}: no matching files. Ensure that the artifact path is relative to the working directory ({})",
            root.display()
        )),
        Note::OutsideRoot { path } => {
            notice::warning(&format!("artifact path is not a subpath of project directory: {path}"));
        }
        Note::Excluded { pattern, count } => notice::line(&format!("{pattern}: excluded {count} files")),
        Note::BadPattern { pattern, error } => notice::warning(&format!("{pattern}: {error}")),
        Note::EmptyPath => notice::warning("No matching files. Path is empty."),
        Note::Extra { count: 0 } => notice::warning("untracked: no files"),
        Note::Extra { count } => notice::line(&format!("untracked: found {count} files")),
        Note::Unreadable { path, error } => notice::warning(&format!("{}: left out: {error}", path.display())),
        Note::LinkLeftOut { path } => notice::warning(&format!(
            "{}: link left out, files were selected through it",
            path.display()
        )),
    }
}

/// What an archive does not hold as it was found.
fn tell_written(note: &WriteNote) {
    match note {
        WriteNote::SpecialSkipped { path } => {
            notice::warning(&format!("{}: not a file, directory or link; left out", path.display()));
        }
        WriteNote::SizeChanged { path, expected, stored } => {
            notice::warning(&format!(
                "{}: changed while it was archived ({expected} to {stored} bytes)",
                path.display()
            ));
        }
    }
}

/// An error with what caused it, in one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
