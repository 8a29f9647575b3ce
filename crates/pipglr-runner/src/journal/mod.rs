//! What the state volume knows about a job under way, so that the next process can take it over.
//!
//! Each job has a directory: `job.json`, the job as it was accepted, written once; `progress`, how far it is, written
//! before each step is taken and together with every piece of the log; `log`, its log. See
//! `docs/decisions/001-journal.md`.

pub mod overview;
mod slots;

use crate::container_side::marker::StageEnd;
use crate::containers::session::Position;
use crate::job::plan::AcceptedJob;
use crate::trace::LogState;
use anyhow::Context as _;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::JobId;
use serde::{Deserialize, Serialize};
use slots::Slots;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const JOB: &str = "job.json";
const PROGRESS: &str = "progress";
const LOG: &str = "log";
/// Of a directory that is being made: its job was not acknowledged yet.
const UNFINISHED: &str = ".new";

/// How far a job is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The job's step; its meaning is the job's own.
    pub step: serde_json::Value,
    /// How much of the output of the container that is listened to is in the log.
    pub position: Position,
    /// The stages that ended in this step, in order.
    pub ended: Vec<(String, StageEnd)>,
    pub log: LogState,
}

/// One job's directory.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    progress: Slots,
}

/// A job an earlier process left.
#[derive(Debug)]
pub struct Kept {
    pub job: AcceptedJob,
    pub journal: Journal,
    /// Without a step if it cannot be read.
    pub progress: Progress,
    /// The machine was restarted since: all containers have ended, and what was written last may be lost.
    pub rebooted: bool,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub struct Left {
    pub jobs: Vec<Kept>,
    pub stranded: Vec<Stranded>,
}

/// A job another version of this program wrote down in words this one does not know: enough of it to report it.
#[derive(Debug, Deserialize)]
pub struct Stranded {
    pub payload: StrandedPayload,
    pub runner: StrandedRunner,
    #[serde(default)]
    pub ca_certificates: Option<String>,
    #[serde(skip)]
    directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct StrandedPayload {
    pub id: JobId,
    pub token: Secret,
}

#[derive(Debug, Deserialize)]
pub struct StrandedRunner {
    pub url: String,
}

/// Content of [`JOB`].
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    boot_id: String,
    job: AcceptedJob,
}

impl Journal {
    /// Makes the directory of a job that was just handed out, below `root`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(root: &Path, job: &AcceptedJob, progress: &Progress) -> anyhow::Result<Self> {
        let directory = root.join(&job.seed.unique);
        Self::make(root, &directory, job, progress)
            .with_context(|| format!("write the job's journal {}", directory.display()))
    }

    fn make(root: &Path, directory: &Path, job: &AcceptedJob, first: &Progress) -> io::Result<Self> {
        let new = root.join(format!("{}{UNFINISHED}", job.seed.unique));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&new)?;
        write_job(&new, job)?;
        let (progress, _) = Slots::open(&new, PROGRESS)?;
        let mut journal = Self {
            directory: directory.to_owned(),
            progress,
        };
        journal.write(first)?;
        fs::rename(&new, directory)?;
        Ok(journal)
    }

    /// Replaces the job, about which more is known now.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_job(&self, job: &AcceptedJob) -> io::Result<()> {
        write_job(&self.directory, job)
    }

    /// Replaces what is known about the job's progress.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, progress: &Progress) -> io::Result<()> {
        self.progress.write(&serde_json::to_vec(progress)?)
    }

    /// Where the job's log is.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join(LOG)
    }

    /// The job is over: forgets it.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        forget(&self.directory)
    }
}

/// Forgets the job of this unique name below `root`, if there is one.
///
/// # Errors
/// Its directory cannot be removed.
pub fn remove(root: &Path, unique: &str) -> io::Result<()> {
    match forget(&root.join(unique)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        outcome => outcome,
    }
}

/// All of it at once, as the next process sees it: half a journal tells of an earlier step.
fn forget(directory: &Path) -> io::Result<()> {
    let mut gone = directory.as_os_str().to_owned();
    gone.push(UNFINISHED);
    fs::rename(directory, &gone)?;
    fs::remove_dir_all(gone)
}

fn write_job(directory: &Path, job: &AcceptedJob) -> io::Result<()> {
    let stored = Stored {
        boot_id: boot_id(),
        job: job.clone(),
    };
    let new = directory.join("job.json.new");
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    io::Write::write_all(&mut file, &serde_json::to_vec(&stored)?)?;
    // The job must be known even after the machine broke down; what else is written may get lost with its containers.
    file.sync_all()?;
    fs::rename(new, directory.join(JOB))
}

/// Makes this process the only one that uses the journals below `root`, as long as the value lives.
///
/// # Errors
/// Another process uses them, or the directory is not writable.
pub fn lock(root: &Path) -> anyhow::Result<File> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .with_context(|| format!("create {}", root.display()))?;
    let path = root.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another runner uses this state directory ({} is locked): stop it, or give this one a directory of its own",
            path.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// The jobs an earlier process left below `root`. What is no journal is removed, with a word to the operator; what
/// cannot be read at the moment stays for the next process.
#[must_use]
pub fn left(root: &Path) -> Left {
    let mut left = Left::default();
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(path = %root.display(), %error, "jobs of an earlier process cannot be read");
            return left;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.to_string_lossy().ends_with(UNFINISHED) {
            remove_any(&path);
            continue;
        }
        match load(&path) {
            Ok(Loaded::Kept(job)) => left.jobs.push(*job),
            Ok(Loaded::Stranded(job)) => left.stranded.push(job),
            Ok(Loaded::Foreign) => {
                tracing::error!(path = %path.display(), "this is no job of an earlier process, and is removed");
                remove_any(&path);
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a job of an earlier process cannot be read");
            }
        }
    }
    left
}

enum Loaded {
    Kept(Box<Kept>),
    Stranded(Stranded),
    Foreign,
}

fn load(directory: &Path) -> io::Result<Loaded> {
    let text = match fs::read(directory.join(JOB)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Loaded::Foreign);
        }
        text => text?,
    };
    // The error of a parser may show what it read, and that is full of secrets.
    let Ok(stored) = serde_json::from_slice::<Stored>(&text) else {
        return Ok(match serde_json::from_slice::<StoredStranded>(&text) {
            Ok(StoredStranded { job }) => Loaded::Stranded(Stranded {
                directory: directory.to_owned(),
                ..job
            }),
            Err(_) => Loaded::Foreign,
        });
    };
    let (slots, value) = Slots::open(directory, PROGRESS)?;
    let progress = match value.map(|v| serde_json::from_slice(&v)) {
        Some(Ok(progress)) => progress,
        Some(Err(_)) | None => Progress {
            log: LogState::of_length(fs::metadata(directory.join(LOG)).map_or(0, |m| m.len())),
            ..Progress::default()
        },
    };
    Ok(Loaded::Kept(Box::new(Kept {
        job: stored.job,
        journal: Journal {
            directory: directory.to_owned(),
            progress: slots,
        },
        progress,
        rebooted: stored.boot_id != boot_id(),
    })))
}

#[derive(Deserialize)]
struct StoredStranded {
    job: Stranded,
}

impl Stranded {
    /// It was reported: forgets it.
    pub fn remove(&self) {
        remove_any(&self.directory);
    }
}

fn remove_any(path: &Path) {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "old job data could not be removed");
    }
}

/// Changes with every start of the machine.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| String::new(), |id| id.trim().to_owned())
}
