//! `upload_artifacts_…`: archives files of the project directory while sending them to the coordinator.

use super::download::connect;
use super::plan::UploadsPlan;
use super::selection::{TreeFormat, Wanted, describe, expanded, level, select_files};
use super::{Environment, PhaseFailed};
use crate::container_side::notice;
use crate::gitlab::{GitLab, UploadDescription};
use bytes::Bytes;
use pipglr_archive::{Entry, Level, write_gzip, write_raw};
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
    Tree(TreeFormat),
    Gzip,
    Raw,
}

impl ArchiveFormat {
    fn of(format: &str) -> Result<Self, PhaseFailed> {
        match (format, TreeFormat::of(format)) {
            (_, Some(tree)) => Ok(Self::Tree(tree)),
            ("gzip", None) => Ok(Self::Gzip),
            ("raw", None) => Ok(Self::Raw),
            _ => Err(give_up(&format!(
                "artifact format {format:?} is not supported: use zip, zipzstd, tarzstd, gzip or raw"
            ))),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Tree(TreeFormat::Zip | TreeFormat::ZipZstd) => ".zip",
            Self::Tree(TreeFormat::TarZst) => ".tar.zst",
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
        ArchiveFormat::Tree(tree) => tree.write(root, entries, level, &mut *out)?,
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

#[cfg(test)]
mod tests {
    use super::{Archive, ArchiveFormat, file_name};
    use crate::container_side::helper::Environment;
    use crate::container_side::helper::selection::{Wanted, level, select_files};
    use pipglr_archive::{ExtractOptions, Format};
    use std::io::Cursor;
    use std::sync::Arc;

    /// What is sent of a tree with these files.
    async fn sent(format: &str, files: &[&str]) -> Result<Vec<u8>, String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(root.path().join(file), file).unwrap();
        }
        let wanted = Wanted {
            paths: &["*".to_owned()],
            exclude: &[],
            untracked: false,
        };
        let archive = Archive {
            root: root.path().to_owned(),
            entries: Arc::new(select_files(root.path(), &wanted, &Environment::default())),
            format: ArchiveFormat::of(format).map_err(|_| "unknown".to_owned())?,
            level: level(""),
        };
        let (body, failure) = archive.stream();
        let body = http_body_util::BodyExt::collect(body)
            .await
            .map(|b| b.to_bytes().to_vec());
        body.map_err(|_| failure.take().unwrap())
    }

    #[tokio::test]
    async fn trees_are_sent_in_the_format_of_the_payload() {
        for (format, suffix, told) in [
            ("", ".zip", Format::Zip),
            ("zip", ".zip", Format::Zip),
            ("zipzstd", ".zip", Format::Zip),
            ("tarzstd", ".tar.zst", Format::Zstd),
        ] {
            let bytes = sent(format, &["a", "b"]).await.unwrap();
            assert_eq!(Format::detect(&bytes), Some(told), "{format}");
            let target = tempfile::tempdir().unwrap();
            let extracted = pipglr_archive::extract(target.path(), Cursor::new(bytes), &ExtractOptions::default());
            assert_eq!(extracted.unwrap().files, 2, "{format}");
            let format = ArchiveFormat::of(format).ok().unwrap();
            assert_eq!(file_name("n", format, &Environment::default()), format!("n{suffix}"));
        }
    }

    #[tokio::test]
    async fn other_formats_send_files_alone() {
        assert_eq!(
            Format::detect(&sent("gzip", &["a", "b"]).await.unwrap()),
            Some(Format::Gzip)
        );
        assert_eq!(sent("raw", &["a"]).await.unwrap(), b"a");
        assert_eq!(
            sent("raw", &["a", "b"]).await.unwrap_err(),
            "exactly one file can be stored raw, not 2"
        );
        assert_eq!(sent("rar", &["a"]).await.unwrap_err(), "unknown");
    }
}
