//! `download_artifacts`: unpacks archives of earlier jobs into the project directory.

use super::plan::{CoordinatorAccess, Download, DownloadsPlan};
use super::selection::describe;
use super::{Environment, PhaseFailed, failed, give_up};
use crate::container_side::notice::{self, Weight};
use crate::gitlab::{Connection, GitLab, TlsFiles, asked_pause, correlation_id};
use anyhow::Context as _;
use pipglr_archive::{ExtractNote, ExtractOptions};
use reqwest::{Response, StatusCode};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries of one download.
///
/// Compat: gitlab-runner commands/helpers/artifacts_downloader.go (messages, tries).
const TRIES: u32 = 3;

/// Why one try did not bring the archive.
enum Failed {
    /// Another try will not help.
    Final(String),
    Again {
        reason: String,
        /// Before the next try, if the server asks for it.
        pause: Option<Duration>,
    },
}

pub(super) async fn run(plan: &DownloadsPlan, environment: &Environment) -> Result<(), PhaseFailed> {
    let gitlab = connect(&plan.coordinator)?;
    if let Err(error) = std::fs::create_dir_all(&plan.project_dir) {
        return Err(give_up(&format!("create {}: {error}", plan.project_dir)));
    }
    for download in &plan.downloads {
        notice::info(&format!(
            "Downloading artifacts for {} ({})...",
            download.name, download.job
        ));
        let archive = fetch(plan, download, environment, &gitlab).await?;
        extract(archive, PathBuf::from(&plan.project_dir))
            .await
            .map_err(|error| give_up(&format!("unpack artifacts of {}: {error:#}", download.name)))?;
    }
    Ok(())
}

/// A client of the coordinator, from inside a helper container.
pub(super) fn connect(access: &CoordinatorAccess) -> Result<GitLab, PhaseFailed> {
    let tls = TlsFiles {
        ca_text: access.ca.clone(),
        identity_text: access.identity.clone(),
        ..TlsFiles::default()
    };
    GitLab::connect(&Connection {
        url: access.url.clone(),
        tls,
    })
    .map_err(|error| failed(&error.to_string()))
}

/// The archive of one job, on disk.
async fn fetch(
    plan: &DownloadsPlan,
    download: &Download,
    environment: &Environment,
    gitlab: &GitLab,
) -> Result<File, PhaseFailed> {
    let mut attempt = 1;
    loop {
        let direct = plan.direct && attempt == 1;
        let (reason, pause) = match attempt_fetch(plan, download, environment, gitlab, direct).await {
            Ok(archive) => return Ok(archive),
            Err(Failed::Final(reason)) => return Err(give_up(&reason)),
            Err(Failed::Again { reason, .. }) if attempt >= TRIES => return Err(give_up(&reason)),
            Err(Failed::Again { reason, pause }) => (reason, pause),
        };
        let facts = [("context", "artifacts-downloader"), ("error", reason.as_str())];
        notice::report(Weight::Warning, "Retrying...", &facts);
        tokio::time::sleep(pause.unwrap_or_else(|| plan.pauses.after(attempt))).await;
        attempt += 1;
    }
}

async fn attempt_fetch(
    plan: &DownloadsPlan,
    download: &Download,
    environment: &Environment,
    gitlab: &GitLab,
    direct: bool,
) -> Result<File, Failed> {
    let transport = |error: String| {
        tell(download, Weight::Error, "error", &[("error", &error)]);
        Failed::Again {
            reason: error,
            pause: None,
        }
    };
    let response = gitlab.download_artifacts(download.job, &download.token, direct).await;
    let mut response = response.map_err(|error| transport(error.to_string()))?;
    let (host, id) = (host(&response), correlation_id(&response));
    let status = response.status();
    let facts = [
        ("correlation_id", id.as_str()),
        ("host", host.as_str()),
        ("http_status_code", status.as_str()),
    ];
    let (word, last) = match status.as_u16() {
        200 => ("ok", None),
        401 => ("unauthorized", Some("permission denied")),
        403 => ("forbidden", Some("permission denied")),
        404 => ("not found", Some("file does not exist")),
        _ => {
            tell(download, Weight::Warning, "failed", &facts);
            return Err(Failed::Again {
                reason: status_text(status),
                pause: asked_pause(&response),
            });
        }
    };
    if let Some(reason) = last {
        tell(download, Weight::Error, word, &facts);
        return Err(Failed::Final(reason.to_owned()));
    }
    let mut file =
        temporary_file(&staging_dir(plan, environment)).map_err(|error| Failed::Final(format!("{error:#}")))?;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => file
                .write_all(&chunk)
                .map_err(|error| Failed::Final(format!("store the archive: {error}")))?,
            Ok(None) => break,
            Err(error) => return Err(transport(format!("the answer broke off: {}", describe(&error)))),
        }
    }
    tell(download, Weight::Info, word, &facts);
    Ok(file)
}

fn tell(download: &Download, weight: Weight, outcome: &str, facts: &[(&str, &str)]) {
    let (id, token) = (download.job.to_string(), download.token.short());
    let facts: Vec<_> = [("id", id.as_str()), ("token", token.as_str())]
        .into_iter()
        .chain(facts.iter().copied())
        .collect();
    notice::report(
        weight,
        &format!("Downloading artifacts from coordinator... {outcome}"),
        &facts,
    );
}

fn host(response: &Response) -> String {
    response.url().host_str().unwrap_or_default().to_owned()
}

/// A status as Go's HTTP servers and gitlab-runner's log have it.
pub(super) fn status_text(status: StatusCode) -> String {
    let reason = match status.as_u16() {
        413 => "Request Entity Too Large",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    format!("{} {reason}", status.as_u16()).trim_end().to_owned()
}

/// On disk by default: `/tmp` of a helper container is memory.
fn staging_dir(plan: &DownloadsPlan, environment: &Environment) -> PathBuf {
    let wanted = environment.get("ARCHIVER_STAGING_DIR").filter(|dir| !dir.is_empty());
    PathBuf::from(wanted.unwrap_or(&plan.staging_dir))
}

/// A file without a name: nothing is left behind however this process ends.
fn temporary_file(dir: &Path) -> anyhow::Result<File> {
    let create = || -> io::Result<File> {
        std::fs::create_dir_all(dir)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(dir, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => Ok(fd.into()),
            // On NFS, for one, every file has a name at first.
            Err(Errno::OPNOTSUPP) => {
                let path = dir.join(format!(".artifacts-{}", uuid::Uuid::new_v4().simple()));
                let file = File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)?;
                std::fs::remove_file(&path)?;
                Ok(file)
            }
            Err(error) => Err(error.into()),
        }
    };
    create().with_context(|| format!("create a temporary file in {}", dir.display()))
}

async fn extract(mut file: File, project: PathBuf) -> anyhow::Result<()> {
    let unpack = move || -> anyhow::Result<()> {
        file.rewind()?;
        let extracted = pipglr_archive::extract(
            Path::new(&project),
            std::io::BufReader::new(file),
            &ExtractOptions::default(),
        )?;
        for ExtractNote::SpecialSkipped { path } in extracted.notes {
            notice::warning(&format!("{}: not a file, directory or link; left out", path.display()));
        }
        Ok(())
    };
    tokio::task::spawn_blocking(unpack).await?
}
