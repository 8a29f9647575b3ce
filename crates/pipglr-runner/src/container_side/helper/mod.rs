//! Process 1 of a helper container: git, artifact download and upload. The only place where untrusted repositories and
//! archives are touched outside the job's own container; it holds the job's token and nothing of the engine's.

mod cache;
mod download;
mod expand;
mod git;
mod plan;
mod selection;
mod sources;
mod upload;

pub use cache::{
    ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, Notice, RestoreEntry, RestorePlan, SignedRequest,
};
pub use plan::{
    CoordinatorAccess, Download, DownloadsPlan, GitTls, HelperPlan, Phase, SourcesPlan, Strategy, UploadsPlan, UrlRule,
};

use super::marker::{Event, StageEnd};
use super::{CANNOT_RUN, gitlab_env, notice, plan_input};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Pauses between tries of a phase.
///
/// Compat: gitlab-runner helpers/retry with `FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY`.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The environment of phases, last value of a key only.
pub(super) type Environment = std::collections::BTreeMap<String, String>;

/// A phase that did not work out; its words have been printed.
#[derive(Debug)]
pub(super) struct PhaseFailed(pub(super) i32);

/// Reads a plan from stdin, carries it out and gives the exit code for process 1.
pub async fn run() -> i32 {
    // Whatever user the build image has must be able to work on what is created here.
    // Compat: gitlab-runner's helper runs with umask 0000.
    rustix::process::umask(rustix::fs::Mode::empty());
    match plan_input::read_plan::<HelperPlan>() {
        Ok(plan) => run_plan(plan).await,
        Err(error) => {
            notice::error(&format!("cannot start the helper container: {error}"));
            CANNOT_RUN
        }
    }
}

async fn run_plan(plan: HelperPlan) -> i32 {
    let mut environment: Environment = plan
        .environment
        .iter()
        .map(|(key, value)| (key.clone(), value.expose().to_owned()))
        .collect();
    if let Some(path) = &plan.gitlab_env {
        let later = gitlab_env::take(Path::new(path));
        environment.extend(gitlab_env::pairs(&later).map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for path in &plan.remove_first {
        if let Err(error) = remove_whatever(Path::new(path)) {
            notice::error(&format!("remove {path}, left by an earlier job: {error}"));
            return CANNOT_RUN;
        }
    }
    for file in &plan.files {
        if let Err(error) = write_file(Path::new(&file.path), file.content.expose()) {
            notice::error(&format!("write file variable {}: {error}", file.path));
            return CANNOT_RUN;
        }
    }
    let mut code = 0;
    for phase in &plan.phases {
        code = with_attempts(&plan.nonce, phase, &environment).await;
        if code != 0 {
            break;
        }
    }
    notice::marker(&Event::Finished, &plan.nonce);
    code
}

async fn with_attempts(nonce: &str, phase: &Phase, environment: &Environment) -> i32 {
    let attempts = match phase {
        Phase::GetSources(plan) => plan.attempts,
        Phase::DownloadArtifacts(plan) => plan.attempts,
        Phase::RestoreCache(plan) => plan.attempts,
        Phase::ArchiveCache(_) | Phase::UploadArtifacts(_) => 1,
    };
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let stage = phase.stage().to_owned();
        notice::marker(&Event::Start { stage: stage.clone() }, nonce);
        let result = match phase {
            Phase::GetSources(plan) => sources::get(plan, environment, attempt),
            Phase::RestoreCache(plan) => cache::restore(plan).await,
            Phase::DownloadArtifacts(plan) => download::run(plan).await,
            Phase::ArchiveCache(plan) => cache::archive(plan, environment).await,
            Phase::UploadArtifacts(plan) => upload::run(plan, environment).await,
        };
        let code = result.err().map_or(0, |PhaseFailed(code)| code);
        if code != 0 && attempt < attempts {
            notice::warning("Retrying...");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            notice::marker(
                &Event::End {
                    stage,
                    end: StageEnd::Exited(code),
                },
                nonce,
            );
            continue;
        }
        notice::marker(
            &Event::End {
                stage,
                end: StageEnd::Exited(code),
            },
            nonce,
        );
        return code;
    }
    unreachable!("the loop above has no end of its own")
}

/// Removes a directory with its content, or whatever else stands in its place.
fn remove_whatever(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn write_file(path: &Path, content: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
}
