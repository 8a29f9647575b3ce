//! `upload_artifacts_…`: archives files of the project directory while sending them to the coordinator.

use super::download::connect;
use super::plan::UploadsPlan;
use super::selection::{Wanted, describe, expanded, level, select_files, tell_written};
use super::{Environment, PhaseFailed};
use crate::container_side::notice;
use crate::gitlab::{GitLab, UploadDescription};
use bytes::Bytes;
use pipglr_archive::{Entry, Level, write_gzip, write_raw, write_zip};
use pipglr_protocol::payload::Artifact;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
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
    let wanted = Wanted {
        paths: &artifact.paths,
        exclude: &artifact.exclude,
        untracked: artifact.untracked,
    };
    let entries = select_files(root, &wanted, environment);
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
            written.notes.iter().for_each(tell_written);
        }
        ArchiveFormat::Gzip => drop(write_gzip(root, entries, &mut *out)?),
        ArchiveFormat::Raw => drop(write_raw(root, entries, &mut *out)?),
    }
    out.flush().map_err(|source| pipglr_archive::Error::Output { source })
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
