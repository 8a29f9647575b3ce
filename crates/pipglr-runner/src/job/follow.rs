//! Listening to a container: its output goes to the log, its stages become sections.

use super::JobError;
use crate::container_side::marker::StageEnd;
use crate::containers::session::{Session, SessionEvent};
use crate::trace::Trace;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The stage in which a job's files are removed.
const CLEAN_UP: &str = "cleanup_file_variables";

/// How the stages of the build container ended.
#[derive(Debug, Default)]
pub(super) struct BuildEnds {
    /// The first step that failed, or the last one.
    pub(super) script: Option<StageEnd>,
    pub(super) after_script: Option<StageEnd>,
    /// Steps that need not run again if the container vanishes.
    pub(super) succeeded: Vec<String>,
}

impl BuildEnds {
    /// Those that ended before.
    pub(super) fn of(ended: Vec<(String, StageEnd)>) -> Self {
        let mut ends = Self::default();
        for (stage, end) in ended {
            ends.note(stage, end);
        }
        ends
    }

    fn note(&mut self, stage: String, end: StageEnd) {
        match stage.as_str() {
            "after_script" => self.after_script = Some(end),
            CLEAN_UP => {}
            _ => {
                if end == StageEnd::Exited(0) {
                    self.succeeded.push(stage);
                }
                self.script = Some(end);
            }
        }
    }
}

/// Follows a helper container to its end. `time_is_up` limits the time until the sources are there.
pub(super) async fn follow(
    session: &mut Session,
    trace: &Trace,
    time_is_up: impl Future<Output = ()>,
) -> Result<(), JobError> {
    let mut fetching = true;
    tokio::pin!(time_is_up);
    loop {
        let event = tokio::select! {
            event = session.next() => event,
            () = &mut time_is_up, if fetching => return Err(JobError::stage_timeout("get sources")),
        };
        let Some(event) = event else { return Ok(()) };
        match show(event, session, trace)? {
            Shown::End(stage, StageEnd::Exited(0)) => fetching &= stage != "get_sources",
            Shown::End(..) | Shown::Output => {}
            Shown::Finished => return Ok(()),
        }
    }
}

/// How the first phase that failed ended, or else the last one; of a phase that was tried again the last try counts.
///
/// Compat: gitlab-runner common/build.go `cleanupFileVariables`: what goes wrong in tidying up does not fail a job.
pub(super) fn end_of_phases(ended: &[(String, StageEnd)]) -> Option<StageEnd> {
    let mut tries = ended.iter().peekable();
    let mut last = None;
    while let Some((stage, end)) = tries.next() {
        if tries.peek().is_some_and(|next| next.0 == *stage) {
            continue;
        }
        let end = if stage == CLEAN_UP { StageEnd::Exited(0) } else { *end };
        last = Some(end);
        if end != StageEnd::Exited(0) {
            break;
        }
    }
    last
}

/// Follows the build container; `cancel` stops the script, after which `after_script` still runs.
pub(super) async fn follow_build(
    session: &mut Session,
    trace: &Trace,
    cancel: &CancellationToken,
    ends: &mut BuildEnds,
) -> Result<(), JobError> {
    // Asked again until it is heard: the first request may come before the container listens.
    let mut reminder = tokio::time::interval(Duration::from_secs(1));
    reminder.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = false;
    loop {
        let may_stop = ends.script.is_none_or(|end| end == StageEnd::Exited(0));
        let event = tokio::select! {
            event = session.next() => event,
            () = cancel.cancelled(), if !asked && may_stop => {
                asked = true;
                reminder.reset();
                session.ask_to_stop().await;
                continue;
            }
            _ = reminder.tick(), if asked && may_stop => {
                session.ask_to_stop().await;
                continue;
            }
        };
        let Some(event) = event else { return Ok(()) };
        match show(event, session, trace)? {
            Shown::Output => {}
            Shown::Finished => return Ok(()),
            Shown::End(stage, end) => ends.note(stage, end),
        }
    }
}

enum Shown {
    Output,
    End(String, StageEnd),
    Finished,
}

/// Puts an event into the log, and into the journal what it means for the job, as one.
fn show(event: SessionEvent, session: &Session, trace: &Trace) -> Result<Shown, JobError> {
    trace.record(|log| {
        // The end of a container counts once the next step is recorded: until then it is to be found again.
        if event != SessionEvent::Finished {
            log.at(session.position());
        }
        match event {
            SessionEvent::Output(source, bytes) => log.write(source, &bytes),
            SessionEvent::Start { stage } => log.section_start(&stage, &title(&stage)),
            SessionEvent::End { stage, end } => {
                log.flush_job();
                log.section_end(&stage);
                if end == StageEnd::Canceled {
                    log.warning("script canceled externally (UI, API)");
                }
                log.ended(&stage, end);
                return Ok(Shown::End(stage, end));
            }
            SessionEvent::Finished => return Ok(Shown::Finished),
            SessionEvent::Died(reason) => return Err(JobError::System(anyhow::anyhow!(reason))),
            SessionEvent::NothingRan(reason) => return Err(JobError::NothingRan(reason)),
            SessionEvent::Gone { id } => return Err(JobError::ContainerGone { id }),
        }
        Ok(Shown::Output)
    })
}

/// Section titles as GitLab users know them.
///
/// Compat: gitlab-runner common/build.go.
pub(super) fn title(stage: &str) -> String {
    match stage {
        "resolve_secrets" => "Resolving secrets",
        "get_sources" => "Getting source from Git repository",
        "restore_cache" => "Restoring cache",
        "archive_cache" => "Saving cache for successful job",
        "archive_cache_on_failure" => "Saving cache for failed job",
        "download_artifacts" => "Downloading artifacts",
        "after_script" => "Running after_script",
        "upload_artifacts_on_success" => "Uploading artifacts for successful job",
        "upload_artifacts_on_failure" => "Uploading artifacts for failed job",
        CLEAN_UP => "Cleaning up project directory and file based variables",
        step => return format!("Executing \"{step}\" stage of the job script"),
    }
    .to_owned()
}
