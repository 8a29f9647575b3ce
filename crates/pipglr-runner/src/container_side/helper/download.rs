//! `download_artifacts`: unpacks archives of earlier jobs into the project directory.

use super::PhaseFailed;
use super::plan::{CoordinatorAccess, Download, DownloadsPlan};
use crate::container_side::notice;
use crate::gitlab::{Connection, GitLab, TlsFiles};
use anyhow::Context as _;
use pipglr_archive::{ExtractNote, ExtractOptions};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries of one download.
///
/// Compat: gitlab-runner commands/helpers/artifacts_downloader.go.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What came of one try.
enum Tried {
    Done,
    /// Another try will not help.
    Final(String),
    Again(String),
}

pub(super) async fn run(plan: &DownloadsPlan) -> Result<(), PhaseFailed> {
    let gitlab = connect(&plan.coordinator)?;
    if let Err(error) = std::fs::create_dir_all(&plan.project_dir) {
        notice::error(&format!("create {}: {error}", plan.project_dir));
        return Err(PhaseFailed(1));
    }
    for download in &plan.downloads {
        notice::info(&format!(
            "Downloading artifacts for {} ({})...",
            download.name, download.job
        ));
        one(plan, download, &gitlab).await?;
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
    .map_err(|error| {
        notice::error(&error.to_string());
        PhaseFailed(1)
    })
}

async fn one(plan: &DownloadsPlan, download: &Download, gitlab: &GitLab) -> Result<(), PhaseFailed> {
    for attempt in 1..=TRIES {
        let direct = plan.direct && attempt == 1;
        let reason = match attempt_download(plan, download, gitlab, direct).await {
            Tried::Done => return Ok(()),
            Tried::Final(reason) => {
                notice::error(&reason);
                return Err(PhaseFailed(1));
            }
            Tried::Again(reason) => reason,
        };
        if attempt == TRIES {
            notice::error(&format!("{reason}; giving up after {TRIES} tries"));
            return Err(PhaseFailed(1));
        }
        notice::warning(&format!("{reason}; retrying..."));
        tokio::time::sleep(PAUSE).await;
    }
    Err(PhaseFailed(1))
}

async fn attempt_download(plan: &DownloadsPlan, download: &Download, gitlab: &GitLab, direct: bool) -> Tried {
    const WHAT: &str = "Downloading artifacts from coordinator...";
    let mut response = match gitlab.download_artifacts(download.job, &download.token, direct).await {
        Ok(response) => response,
        Err(error) => return Tried::Again(format!("{WHAT} error: {error}")),
    };
    let status = response.status();
    match status.as_u16() {
        200 => {}
        401 => return Tried::Final(format!("{WHAT} unauthorized")),
        403 => return Tried::Final(format!("{WHAT} forbidden")),
        404 => return Tried::Final(format!("{WHAT} not found")),
        _ => return Tried::Again(format!("{WHAT} failed: {status}")),
    }
    let mut file = match temporary_file() {
        Ok(file) => file,
        Err(error) => return Tried::Final(format!("{error:#}")),
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if let Err(error) = file.write_all(&chunk) {
                    return Tried::Final(format!("store the archive: {error}"));
                }
            }
            Ok(None) => break,
            Err(error) => return Tried::Again(format!("{WHAT} broke off: {error}")),
        }
    }
    notice::line(&format!(
        "{WHAT} ok        job={} id={} token={}",
        download.name,
        download.job,
        download.token.short()
    ));
    match extract(file, PathBuf::from(&plan.project_dir)).await {
        Ok(()) => Tried::Done,
        Err(error) => Tried::Final(format!("unpack artifacts of {}: {error:#}", download.name)),
    }
}

/// A file without a name: nothing is left behind however this process ends.
fn temporary_file() -> anyhow::Result<std::fs::File> {
    let dir = std::env::var_os("ARCHIVER_STAGING_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open(&dir, flags, rustix::fs::Mode::from_raw_mode(0o600))
        .with_context(|| format!("create a temporary file in {}", dir.display()))?;
    Ok(fd.into())
}

async fn extract(mut file: std::fs::File, project: PathBuf) -> anyhow::Result<()> {
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
