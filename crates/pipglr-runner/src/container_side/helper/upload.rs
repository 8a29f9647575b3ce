//! `upload_artifacts_…`: archives files of the project directory while sending them to the coordinator.

use super::download::connect;
use super::expand::expand;
use super::plan::UploadsPlan;
use super::{Environment, PhaseFailed};
use crate::container_side::notice;
use crate::gitlab::{GitLab, UploadDescription};
use bytes::Bytes;
use pipglr_archive::{Entry, Level, Note, Selection, WriteNote, select, write_gzip, write_raw, write_zip};
use pipglr_protocol::payload::Artifact;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tries of one upload: more while the coordinator says it is only unavailable.
///
/// Compat: gitlab-runner commands/helpers/artifacts_uploader.go.
const TRIES: u32 = 3;
const TRIES_UNAVAILABLE: u32 = 6;
/// Size of the pieces the archive is sent in.
const PIECE: usize = 64 * 1024;

pub(super) async fn run(plan: &UploadsPlan, environment: &Environment) -> Result<(), PhaseFailed> {
    let gitlab = connect(&plan.coordinator)?;
    for artifact in &plan.artifacts {
        notice::info("Uploading artifacts...");
        upload(plan, artifact, environment, &gitlab).await?;
    }
    Ok(())
}

async fn upload(
    plan: &UploadsPlan,
    artifact: &Artifact,
    environment: &Environment,
    gitlab: &GitLab,
) -> Result<(), PhaseFailed> {
    let root = Path::new(&plan.project_dir);
    let selection = Selection {
        paths: expand_all(&artifact.paths, environment),
        exclude: expand_all(&artifact.exclude, environment),
        extra: artifact.untracked.then(|| untracked(root)).flatten(),
    };
    let (entries, notes) = select(root, &selection);
    notes.iter().for_each(|note| tell(note, root));
    if entries.is_empty() {
        notice::error("No files to upload");
        return Ok(());
    }
    let format = ArchiveFormat::of(&artifact.artifact_format)?;
    let description = UploadDescription {
        file_name: file_name(&artifact.name, format, environment),
        expire_in: artifact.expire_in.clone(),
        artifact_type: artifact.artifact_type.clone(),
        artifact_format: artifact.artifact_format.clone(),
        timeout: Duration::from_secs(plan.timeout),
    };
    let archive = Archive {
        root: root.to_owned(),
        entries: Arc::new(entries),
        format,
        level: level(&plan.compression),
    };
    send(plan, gitlab, &description, &archive).await
}

async fn send(
    plan: &UploadsPlan,
    gitlab: &GitLab,
    description: &UploadDescription,
    archive: &Archive,
) -> Result<(), PhaseFailed> {
    let kind = &description.artifact_type;
    let what = if kind.is_empty() {
        "Uploading artifacts to coordinator...".to_owned()
    } else {
        format!("Uploading artifacts as {kind:?} to coordinator...")
    };
    let mut attempt = 1;
    loop {
        let (body, failure) = archive.stream();
        let tried = gitlab.upload_artifact(plan.job, &plan.token, description, body).await;
        let (reason, tries) = match tried {
            Ok(response) => {
                let status = response.status();
                let line = format!("{what} {status}  id={} token={}", plan.job, plan.token.short());
                match status.as_u16() {
                    201 => {
                        notice::line(&line);
                        return Ok(());
                    }
                    403 => return Err(give_up(&format!("{line}: permission denied"))),
                    413 => return Err(give_up(&format!("{line}: too large archive"))),
                    503 => (line, TRIES_UNAVAILABLE),
                    _ => (line, TRIES),
                }
            }
            Err(error) => (
                format!("{what} error: {}", failure.take().unwrap_or_else(|| error.to_string())),
                TRIES,
            ),
        };
        if attempt >= tries {
            return Err(give_up(&format!("{reason}; giving up after {attempt} tries")));
        }
        notice::warning(&format!("{reason}; retrying..."));
        tokio::time::sleep(GitLab::transfer_pause(attempt)).await;
        attempt += 1;
    }
}

fn give_up(message: &str) -> PhaseFailed {
    notice::error(message);
    PhaseFailed(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArchiveFormat {
    Zip,
    Gzip,
    Raw,
}

impl ArchiveFormat {
    fn of(format: &str) -> Result<Self, PhaseFailed> {
        match format {
            "" | "zip" => Ok(Self::Zip),
            "gzip" => Ok(Self::Gzip),
            "raw" => Ok(Self::Raw),
            other => Err(give_up(&format!(
                "artifact format {other:?} is not supported: use zip, gzip or raw"
            ))),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Zip => ".zip",
            Self::Gzip => ".gz",
            Self::Raw => "",
        }
    }
}

/// What is sent; read from disk again for each try.
struct Archive {
    root: PathBuf,
    entries: Arc<Vec<Entry>>,
    format: ArchiveFormat,
    level: Level,
}

/// Why archiving failed, if it did.
#[derive(Clone, Default)]
struct Failure(Arc<std::sync::Mutex<Option<String>>>);

impl Failure {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(reason);
    }
}

impl Archive {
    /// A body that is archived while it is sent, in constant memory.
    fn stream(&self) -> (reqwest::Body, Failure) {
        let (sender, receiver) = mpsc::channel(4);
        let failure = Failure::default();
        let (root, entries, format, level) = (self.root.clone(), self.entries.clone(), self.format, self.level);
        let told = failure.clone();
        std::thread::spawn(move || {
            let mut out = ChannelWriter {
                sender,
                piece: Vec::with_capacity(PIECE),
            };
            if let Err(error) = write(&root, &entries, format, level, &mut out) {
                let reason = describe(&error);
                told.set(reason.clone());
                // Nobody listens any more if the request failed first.
                let _ = out.sender.blocking_send(Err(io::Error::other(reason)));
            }
        });
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (reqwest::Body::wrap_stream(pieces), failure)
    }
}

fn write(
    root: &Path,
    entries: &[Entry],
    format: ArchiveFormat,
    level: Level,
    out: &mut ChannelWriter,
) -> Result<(), pipglr_archive::Error> {
    match format {
        ArchiveFormat::Zip => {
            let written = write_zip(root, entries, level, &mut *out)?;
            for note in written.notes {
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
        }
        ArchiveFormat::Gzip => drop(write_gzip(root, entries, &mut *out)?),
        ArchiveFormat::Raw => drop(write_raw(root, entries, &mut *out)?),
    }
    out.flush().map_err(|source| pipglr_archive::Error::Output { source })
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Writes into a channel, in pieces of a decent size.
struct ChannelWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

fn expand_all(texts: &[String], environment: &Environment) -> Vec<String> {
    texts.iter().map(|text| expanded(text, environment)).collect()
}

fn expanded(text: &str, environment: &Environment) -> String {
    expand(text, environment).unwrap_or_else(|reason| {
        notice::warning(&format!("invalid path {text:?}: {reason}"));
        text.to_owned()
    })
}

/// Last component of the expanded name, with the format's suffix.
fn file_name(name: &str, format: ArchiveFormat, environment: &Environment) -> String {
    let name = if name.is_empty() {
        "artifacts".to_owned()
    } else {
        expanded(name, environment)
    };
    let base = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let base = if base.is_empty() || base == "." {
        "default"
    } else {
        base
    };
    format!("{base}{}", format.suffix())
}

fn level(text: &str) -> Level {
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

/// Files git does not track, ignored ones included.
fn untracked(root: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-o", "-z"])
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
