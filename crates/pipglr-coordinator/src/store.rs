//! What is kept on disk: traces, artifacts, and the saved part of the state.

use crate::Error;
use crate::pipeline::Earlier;
use crate::state::Saved;
use crc32fast::Hasher;
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::Output;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The data directory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Creates the directory if needed.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::io("create", root))?;
        let root = root.canonicalize().map_err(Error::io("resolve", root))?;
        Ok(Self { root })
    }

    /// Where mirrors of repositories live.
    pub(crate) fn git_root(&self) -> PathBuf {
        self.root.join("git")
    }

    /// Where what was fetched is kept.
    pub(crate) fn cache_root(&self) -> PathBuf {
        self.root.join("cache")
    }

    fn job_dir(&self, job: JobId) -> PathBuf {
        self.root.join("jobs").join(job.to_string())
    }

    /// The job's trace.
    pub(crate) fn trace_path(&self, job: JobId) -> PathBuf {
        self.job_dir(job).join("trace.log")
    }

    /// Where the job's artifacts of one type go.
    pub(crate) fn artifact_dir(&self, job: JobId, artifact_type: &str) -> PathBuf {
        self.job_dir(job).join("artifacts").join(artifact_type)
    }

    fn state_path(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// The state saved last, or a fresh one.
    pub(crate) fn load(&self) -> Result<Saved, Error> {
        read(&self.state_path())
    }

    /// Saves the state: all of it or nothing, readable for the owner only, because it holds tokens.
    pub(crate) fn save(&self, saved: &Saved) -> Result<(), Error> {
        replace(&self.state_path(), |file| {
            serde_json::to_writer(&mut *file, saved)?;
            file.sync_all()
        })
    }
}

/// What the last runs left of each job, by its name.
impl Store {
    fn results_path(&self) -> PathBuf {
        self.root.join("results.json")
    }

    /// Results of earlier runs; artifacts whose files are gone are left out.
    pub(crate) fn load_results(&self) -> Result<BTreeMap<String, Earlier>, Error> {
        let mut results: BTreeMap<String, Earlier> = read(&self.results_path())?;
        for result in results.values_mut() {
            result.artifacts.retain(|artifact| artifact.path.exists());
        }
        Ok(results)
    }

    /// Keeps results for later runs, beside those of jobs that are not among them.
    pub(crate) fn save_results(&self, results: BTreeMap<String, Earlier>) -> Result<(), Error> {
        let mut all = self.load_results()?;
        all.extend(results);
        replace(&self.results_path(), |file| Ok(serde_json::to_writer(file, &all)?))
    }
}

/// What a file says, or nothing if there is none.
fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::io("read", path)(e.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Writes a file anew, all of it or nothing, for its owner only.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let draft = path.with_extension("json.new");
    let replaced = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        write(&mut file)?;
        fs::rename(&draft, path)
    };
    replaced().map_err(Error::io("write", path))
}

/// What became of bytes offered to a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// Stored; the trace has this size now.
    Stored(u64),
    /// The bytes do not start at the trace's end, which is here.
    Mismatch(u64),
    /// The trace would be longer than allowed.
    TooLarge,
}

/// One job's trace on disk.
#[derive(Debug)]
pub(crate) struct TraceFile {
    path: PathBuf,
    size: u64,
    hasher: Hasher,
}

impl TraceFile {
    /// Makes an empty trace.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            path: path.to_owned(),
            size: 0,
            hasher: Hasher::new(),
        })
    }

    /// Opened for each use: a pipeline can have more jobs than a process may have open files.
    fn open(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    /// Appends bytes that start at offset `start`, if that is the end.
    pub(crate) fn append(&mut self, start: u64, bytes: &[u8], limit: u64) -> io::Result<Appended> {
        if start != self.size {
            return Ok(Appended::Mismatch(self.size));
        }
        let size = self.size + bytes.len() as u64;
        if size > limit {
            return Ok(Appended::TooLarge);
        }
        // A write that failed half-way is overwritten by the next one.
        self.open()?.write_all_at(bytes, start)?;
        self.hasher.update(bytes);
        self.size = size;
        Ok(Appended::Stored(size))
    }

    /// Forgets everything, so that the runner can send it again from the start.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.open()?.set_len(0)?;
        self.size = 0;
        self.hasher = Hasher::new();
        Ok(())
    }

    /// Whether the runner's description fits; what it does not describe always fits.
    pub(crate) fn matches(&self, described: &Output) -> bool {
        let stored = Output::of(self.hasher.clone().finalize(), self.size);
        described.bytesize.is_none_or(|size| Some(size) == stored.bytesize)
            && described
                .checksum
                .as_ref()
                .is_none_or(|sum| Some(sum) == stored.checksum.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::{Appended, Store, TraceFile};
    use crate::state::Saved;
    use pipglr_protocol::update::Output;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn trace_takes_only_what_continues_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1/trace.log");
        let mut trace = TraceFile::create(&path).unwrap();
        assert_eq!(trace.append(0, b"abc", 6).unwrap(), Appended::Stored(3));
        assert_eq!(trace.append(0, b"abc", 6).unwrap(), Appended::Mismatch(3));
        assert_eq!(trace.append(4, b"e", 6).unwrap(), Appended::Mismatch(3));
        assert_eq!(trace.append(3, b"defg", 6).unwrap(), Appended::TooLarge);
        assert_eq!(trace.append(3, b"def", 6).unwrap(), Appended::Stored(6));
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdef");
        let good = Output::of(crc32fast::hash(b"abcdef"), 6);
        assert!(trace.matches(&good));
        assert!(trace.matches(&Output::default()));
        assert!(!trace.matches(&Output {
            bytesize: Some(7),
            ..good.clone()
        }));
        assert!(!trace.matches(&Output {
            checksum: Some("crc32:00000000".to_owned()),
            ..good
        }));
        trace.reset().unwrap();
        assert!(trace.matches(&Output::of(0, 0)));
        assert_eq!(trace.append(0, b"x", 6).unwrap(), Appended::Stored(1));
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn state_is_saved_for_the_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.load().unwrap(), Saved::default());
        let saved = Saved {
            next_job: 7,
            ..Saved::default()
        };
        store.save(&saved).unwrap();
        assert_eq!(store.load().unwrap(), saved);
        let mode = std::fs::metadata(directory.path().join("state.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
