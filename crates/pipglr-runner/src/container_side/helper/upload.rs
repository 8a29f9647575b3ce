//! `upload_artifacts_…`: archives files of the project directory while sending them to the coordinator.
//!
//! Compat: gitlab-runner commands/helpers/artifacts_uploader.go (messages, tries). Unlike there a status is tried again
//! in one place only, not in a client below as well.

use super::download::{connect, status_text};
use super::plan::UploadsPlan;
use super::provenance;
use super::selection::{TreeFormat, Wanted, describe, expanded, level, select_files};
use super::{Environment, PhaseFailed, give_up};
use crate::container_side::notice::{self, Weight};
use crate::gitlab::{GitLab, UploadDescription, UploadTarget, asked_pause, correlation_id};
use bytes::Bytes;
use pipglr_archive::{Entry, Level, write_gzip, write_raw};
use pipglr_protocol::payload::Artifact;
use reqwest::Response;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Tries of one upload: more while the coordinator says it is only unavailable.
const TRIES: u32 = 3;
const TRIES_UNAVAILABLE: u32 = 6;
/// Redirects of one upload; they are no tries.
const REDIRECTS: u32 = 10;
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
    let mut entries = select_files(root, &wanted, environment);
    let format = ArchiveFormat::of(&artifact.artifact_format)?;
    let base = base_name(&artifact.name, environment);
    // Compat: only for the format by its name; an unnamed one has no statement in gitlab-runner either.
    if let (Some(provenance), "zip") = (&plan.provenance, artifact.artifact_format.as_str()) {
        notice::line("Generating artifacts statement");
        let entry = provenance::add(provenance, root, &base, &entries)
            .map_err(|error| give_up(&format!("artifacts statement: {error}")))?;
        entries.retain(|e| e.name != entry.name);
        entries.push(entry);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if entries.is_empty() {
        notice::error("No files to upload");
        return Ok(());
    }
    let description = UploadDescription {
        file_name: format!("{base}{}", format.suffix()),
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
    Upload {
        plan,
        gitlab,
        description: &description,
        archive: &archive,
    }
    .send()
    .await
}

/// One archive on its way.
struct Upload<'a> {
    plan: &'a UploadsPlan,
    gitlab: &'a GitLab,
    description: &'a UploadDescription,
    archive: &'a Archive,
}

/// What came of one try.
enum Tried {
    Done,
    Elsewhere(UploadTarget),
    /// Another try will not help.
    Final(&'static str),
    Again {
        reason: String,
        tries: u32,
        /// Before the next try, if the server asks for it.
        pause: Option<Duration>,
    },
}

impl Upload<'_> {
    async fn send(&self) -> Result<(), PhaseFailed> {
        let mut target = self
            .gitlab
            .upload_target(self.plan.job, self.description)
            .map_err(|error| give_up(&error.to_string()))?;
        let (mut attempt, mut redirects) = (1, 0);
        loop {
            let (reason, tries, pause) = match self.attempt(&target).await {
                Tried::Done => return Ok(()),
                Tried::Final(reason) => return Err(give_up(reason)),
                Tried::Elsewhere(_) if redirects >= REDIRECTS => return Err(give_up("too many redirects")),
                Tried::Elsewhere(next) => {
                    redirects += 1;
                    let location = next.shown();
                    notice::report(Weight::Warning, "Upload request redirected", &[("location", &location)]);
                    target = next;
                    continue;
                }
                Tried::Again { reason, tries, pause } => (reason, tries, pause),
            };
            if attempt >= tries {
                return Err(give_up(&reason));
            }
            let facts = [("context", "artifacts-uploader"), ("error", reason.as_str())];
            notice::report(Weight::Warning, "Retrying...", &facts);
            tokio::time::sleep(pause.unwrap_or_else(|| self.plan.pauses.after(attempt))).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, target: &UploadTarget) -> Tried {
        let Sending { body, failure, sent } = self.archive.stream();
        let token = &self.plan.token;
        let request = self.gitlab.upload_artifact(target, token, self.description, body);
        let limit = Duration::from_secs(self.plan.response_header_timeout);
        let answer = tokio::select! {
            answer = request => answer.map_err(|error| error.to_string()),
            () = no_answer(sent, limit) => Err(format!("no answer within {} s of the whole archive", limit.as_secs())),
        };
        match answer {
            Ok(response) => self.judge(&response, target),
            Err(error) => {
                let error = failure.take().unwrap_or(error);
                self.tell(Weight::Error, "error", &[("error", &error)]);
                Tried::Again {
                    reason: error,
                    tries: TRIES,
                    pause: None,
                }
            }
        }
    }

    fn judge(&self, response: &Response, target: &UploadTarget) -> Tried {
        if let Some(next) = target.redirected(response) {
            return Tried::Elsewhere(next);
        }
        let code = response.status();
        let status = status_text(code);
        let id = correlation_id(response);
        let facts = [("correlation_id", id.as_str()), ("http_status_code", code.as_str())];
        let again = |tries| Tried::Again {
            reason: status.clone(),
            tries,
            pause: asked_pause(response),
        };
        match code.as_u16() {
            201 => {
                self.tell(Weight::Info, &status, &facts);
                Tried::Done
            }
            403 => {
                self.tell(Weight::Error, &status, &facts);
                Tried::Final("permission denied")
            }
            413 => {
                self.tell(Weight::Error, &status, &facts);
                Tried::Final("too large")
            }
            429 | 503 => {
                self.tell(Weight::Error, &status, &facts);
                again(TRIES_UNAVAILABLE)
            }
            _ => {
                self.tell(Weight::Warning, &status, &facts);
                again(TRIES)
            }
        }
    }

    fn tell(&self, weight: Weight, outcome: &str, facts: &[(&str, &str)]) {
        let kind = &self.description.artifact_type;
        let kind = if kind.is_empty() {
            String::new()
        } else {
            format!(" as {kind:?}")
        };
        let (id, token) = (self.plan.job.to_string(), self.plan.token.short());
        let facts: Vec<_> = [("id", id.as_str()), ("token", token.as_str())]
            .into_iter()
            .chain(facts.iter().copied())
            .collect();
        notice::report(
            weight,
            &format!("Uploading artifacts{kind} to coordinator... {outcome}"),
            &facts,
        );
    }
}

/// Ends when the server had `limit` to answer after the last byte of the archive.
async fn no_answer(sent: oneshot::Receiver<()>, limit: Duration) {
    // The other side is dropped with the end of the archive, without a word.
    let _ended = sent.await;
    tokio::time::sleep(limit).await;
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

/// An archive that is made while it is sent.
struct Sending {
    body: reqwest::Body,
    failure: Failure,
    /// Closed when the last byte was handed over.
    sent: oneshot::Receiver<()>,
}

impl Archive {
    /// A body that is archived while it is sent, in constant memory.
    fn stream(&self) -> Sending {
        let (sender, receiver) = mpsc::channel(4);
        let (sending, sent) = oneshot::channel();
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
        let state = (receiver, sending);
        let pieces = futures_util::stream::unfold(state, |(mut receiver, sending): (_, oneshot::Sender<()>)| async {
            let piece: Option<io::Result<Bytes>> = mpsc::Receiver::recv(&mut receiver).await;
            piece.map(|piece| (piece, (receiver, sending)))
        });
        Sending {
            body: reqwest::Body::wrap_stream(pieces),
            failure,
            sent,
        }
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

/// Last component of the expanded name.
fn base_name(name: &str, environment: &Environment) -> String {
    let name = if name.is_empty() {
        "artifacts".to_owned()
    } else {
        expanded(name, environment)
    };
    match name.trim_end_matches('/').rsplit('/').next() {
        // Compat: gitlab-runner has no word for the last one and would leave the directory.
        None | Some("" | "." | "..") => "default".to_owned(),
        Some(base) => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Archive, ArchiveFormat, Sending, base_name};
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
        let Sending { body, failure, .. } = archive.stream();
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
            assert_eq!(ArchiveFormat::of(format).ok().unwrap().suffix(), suffix, "{format}");
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

    #[test]
    fn archives_are_named_by_the_last_part_of_their_name() {
        let environment = Environment::from([("REF".to_owned(), "feature/x".to_owned())]);
        for (name, expected) in [
            ("", "artifacts"),
            ("a b", "a b"),
            ("$REF", "x"),
            ("${REF}-1", "x-1"),
            ("$EMPTY", "default"),
            (".", "default"),
            ("a/..", "default"),
            ("a/", "a"),
        ] {
            assert_eq!(base_name(name, &environment), expected, "{name}");
        }
    }
}
