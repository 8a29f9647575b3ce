//! Process 1 of a helper container: git, artifact download and upload. The only place where untrusted repositories and
//! archives are touched outside the job's own container; it holds the job's token and nothing of the engine's.

mod cache;
mod download;
mod expand;
mod leftovers;
mod plan;
mod provenance;
mod selection;
mod sources;
mod upload;

pub use cache::{
    ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, Notice, RestoreEntry, RestorePlan, SignedRequest,
};
pub use plan::{
    CleanUpPlan, CoordinatorAccess, Download, DownloadsPlan, GitAccess, GitTls, HelperPlan, Pauses, Phase,
    ProvenancePlan, SourcesPlan, Strategy, SubmodulesPlan, UploadsPlan, UrlRule,
};
pub use sources::skipped;
pub(crate) use sources::{external_config, external_file};

use super::marker::{Event, StageEnd};
use super::{CANNOT_RUN, gitlab_env, notice, plan_input};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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
    if !plan.builds_dir.is_empty()
        && let Err(error) = leftovers::remove(Path::new(&plan.builds_dir), &plan.slot, &plan.remove_first)
    {
        notice::error(&format!("remove what an earlier job left: {error}"));
        return CANNOT_RUN;
    }
    for file in &plan.files {
        if let Err(error) = write_file(Path::new(&file.path), file.content.expose()) {
            notice::error(&format!("write file variable {}: {error}", file.path));
            return CANNOT_RUN;
        }
    }
    let mut code = 0;
    for phase in &plan.phases {
        // Tidying up is due whatever came before, and does not change it.
        if let Phase::CleanUp(_) = phase {
            with_attempts(&plan, phase, &environment).await;
        } else if code == 0 {
            code = with_attempts(&plan, phase, &environment).await;
        }
    }
    notice::marker(&Event::Finished, &plan.nonce);
    code
}

async fn with_attempts(plan: &HelperPlan, phase: &Phase, environment: &Environment) -> i32 {
    let attempts = match phase {
        Phase::GetSources(plan) => plan.attempts,
        Phase::DownloadArtifacts(plan) => plan.attempts,
        Phase::RestoreCache(plan) => plan.attempts,
        Phase::ArchiveCache(_) | Phase::UploadArtifacts(_) | Phase::CleanUp(_) => 1,
    };
    for attempt in 1.. {
        let stage = phase.stage().to_owned();
        notice::marker(&Event::Start { stage: stage.clone() }, &plan.nonce);
        let result = match phase {
            Phase::GetSources(plan) => sources::get(plan, environment, attempt),
            Phase::RestoreCache(plan) => cache::restore(plan).await,
            Phase::DownloadArtifacts(plan) => download::run(plan, environment).await,
            Phase::ArchiveCache(plan) => cache::archive(plan, environment).await,
            Phase::UploadArtifacts(plan) => upload::run(plan, environment).await,
            Phase::CleanUp(plan) => sources::clean_up(plan, environment),
        };
        let code = result.err().map_or(0, |PhaseFailed(code)| code);
        let again = code != 0 && attempt < attempts;
        if again {
            notice::warning("Retrying...");
            tokio::time::sleep(plan.pauses.after(attempt)).await;
        }
        let end = StageEnd::Exited(code);
        notice::marker(&Event::End { stage, end }, &plan.nonce);
        if !again {
            return code;
        }
    }
    unreachable!("the loop above has no end of its own")
}

/// Ends a phase with an error of our own.
fn failed(message: &str) -> PhaseFailed {
    notice::error(message);
    PhaseFailed(1)
}

/// Ends a transfer of artifacts with its last word.
fn give_up(message: &str) -> PhaseFailed {
    notice::report(notice::Weight::Fatal, message, &[]);
    PhaseFailed(1)
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
