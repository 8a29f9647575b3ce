//! One job's life. [`run_job`] reads from top to bottom as what happens to a job.

mod attempts;
mod failure;
mod feature_flags;
mod follow;
mod header;
mod hold;
mod phases;
pub mod plan;
mod prepare;
mod script;
mod secrets;
mod step;
mod terminal;
mod uses;
mod variables;

pub use failure::{JobError, classify_pull, final_state, go_duration, is_rate_limit};
pub use hold::{FailedJob, FailureHold, JobHold};
use plan::settings;
pub use plan::{AcceptedJob, JobPlan, Seed, SlotNumbers};
pub use variables::{expand, parse_bool};

use crate::containers::Engine;
use crate::containers::objects::remove_job_objects;
use crate::gitlab::{JobApi, StateReport, UpdateAnswer};
use crate::journal::{self, Journal, Kept};
use crate::metrics::Progress;
use crate::session_server::JobSession;
use crate::trace::Trace;
use crate::trace::sender::{Delivery, JobSignals, Pace, Sender};
use anyhow::Context as _;
use phases::run_phases;
use pipglr_protocol::update::{FailureReason, Output, RemoteJobState, UpdateState};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use step::Step;
use tokio_util::sync::CancellationToken;

/// What a job needs of the world besides itself.
#[derive(Debug, Clone)]
pub struct World {
    pub engine: Engine,
    pub api: JobApi,
    /// Where journals and logs of jobs are kept while they run.
    pub directory: PathBuf,
    pub pace: Pace,
    /// Raised when running jobs have to end now.
    pub interrupt: CancellationToken,
    /// How far the job is, for whoever watches.
    pub progress: Progress,
    /// Where web terminals of the job come in, if they are served.
    pub session: Option<JobSession>,
    /// Who looks into the container if the job fails.
    pub hold: Option<JobHold>,
}

/// How a job ended, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// `None` if the coordinator took the job back before it began.
    pub state: Option<UpdateState>,
    /// As this runner means it, before the coordinator's list is consulted.
    pub failure_reason: Option<FailureReason>,
    pub delivery: Option<Delivery>,
    pub duration: Duration,
}

/// Runs an accepted job to its end: acknowledge, plan, prepare, run, report, clean up.
///
/// Never fails: whatever goes wrong is the job's outcome. Objects on the engine are removed after the final state was
/// sent, off the job's critical path.
pub async fn run_job(job: AcceptedJob, world: World) -> JobRecord {
    let begin = || {
        let progress = journal::Progress {
            step: serde_json::to_value(Step::Accepted)?,
            ..journal::Progress::default()
        };
        let journal = Journal::create(&world.directory, &job, &progress)?;
        open_trace(&job, &world, journal, progress)
    };
    match begin() {
        Ok(trace) => Box::pin(live(&job, Step::Accepted, trace, &world)).await,
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::error!(job_id = job.payload.id.0, error = reason, "job cannot start");
            // Nothing can be written down, but everything can be said.
            let trace = Trace::in_memory(&world.directory.join(&job.seed.unique), &plan::trace_settings(&job));
            header::print(&job, &trace);
            let record = Box::pin(live(&job, Step::Lost { reason }, trace, &world)).await;
            remove_journal(&job, &world);
            record
        }
    }
}

/// Goes on with a job an earlier process left, or fails it.
pub async fn adopt_job(kept: Kept, world: World) -> JobRecord {
    let Kept {
        job,
        journal,
        progress,
        rebooted,
    } = kept;
    let step = Step::resume(progress.step.clone(), rebooted);
    tracing::info!(
        job_id = job.payload.id.0,
        ?step,
        "job of an earlier process is taken over"
    );
    match open_trace(&job, &world, journal, progress) {
        Ok(trace) => Box::pin(live(&job, step, trace, &world)).await,
        Err(error) => {
            tracing::error!(job_id = job.payload.id.0, error = %format!("{error:#}"), "job cannot be taken over");
            give_up(&job, &world).await;
            lost(&job)
        }
    }
}

fn open_trace(
    job: &AcceptedJob,
    world: &World,
    journal: Journal,
    progress: journal::Progress,
) -> anyhow::Result<Trace> {
    let path = journal.log();
    let settings = plan::trace_settings(job);
    let trace = Trace::open(journal, progress, &settings).with_context(|| format!("open {}", path.display()))?;
    trace.tell(world.progress.clone());
    Ok(trace)
}

/// A job from the step it is at to its end.
async fn live(job: &AcceptedJob, step: Step, trace: Trace, world: &World) -> JobRecord {
    let signals = JobSignals::default();
    // Doing it twice is no harm.
    if matches!(step, Step::Accepted | Step::Lost { .. }) && !acknowledge(&world.api, &signals).await {
        if !matches!(step, Step::Accepted) {
            remove_objects(job, &world.engine).await;
        }
        forget(job, &trace);
        return record(job, None, None, None);
    }
    let is_taken_over = !matches!(step, Step::Accepted | Step::Lost { .. } | Step::Ended { .. });
    let mut sender = Sender::new(trace.clone(), world.api.clone(), signals.clone(), world.pace);
    let sending_done = CancellationToken::new();
    let planned = OnceLock::new();
    let (end, (), ()) = tokio::join!(
        async {
            let end = match step {
                Step::Ended { end } => end,
                step => {
                    let end = supervised(job, step, &planned, world, &trace, &signals).await;
                    close_trace(&trace, end, || full_disk(job, world))
                }
            };
            sending_done.cancel();
            end
        },
        sender.run(&sending_done),
        async {
            if is_taken_over {
                tokio::select! {
                    () = ask_again(&world.api, &signals) => {}
                    () = sending_done.cancelled() => {}
                }
            }
        }
    );
    let last = final_state(&end, &job.payload.features.failure_reasons);
    let reason = end.as_ref().err().map(JobError::reason);
    // A job that ended with an earlier process was not planned by this one.
    let plan = planned.into_inner().or_else(|| plan::lower(job).ok());
    let (delivery, removed) = tokio::join!(sender.finish(&last), stop_at_once(&end, plan.as_ref(), &world.engine));
    if let Err(JobError::System(error)) = &end {
        tracing::error!(job_id = job.payload.id.0, error = %format!("{error:#}"), "job failed for reasons on our side");
    }
    let finished = record(job, Some(last.state), reason, Some(delivery));
    if let (Some(plan), false) = (&plan, removed) {
        remove_job_objects(&world.engine, plan).await;
    }
    forget(job, &trace);
    finished
}

fn record(
    job: &AcceptedJob,
    state: Option<UpdateState>,
    failure_reason: Option<FailureReason>,
    delivery: Option<Delivery>,
) -> JobRecord {
    JobRecord {
        state,
        failure_reason,
        delivery,
        duration: job.age(),
    }
}

/// Of a job that cannot even be written about.
fn lost(job: &AcceptedJob) -> JobRecord {
    let (state, reason) = (UpdateState::Failed, FailureReason::RunnerSystemFailure);
    record(job, Some(state), Some(reason), None)
}

fn forget(job: &AcceptedJob, trace: &Trace) {
    if let Err(error) = trace.forget() {
        tracing::warn!(job_id = job.payload.id.0, %error, "the job's journal could not be removed");
    }
}

/// The second phase of the two-phase commit: only after it is the job ours.
async fn acknowledge(api: &JobApi, signals: &JobSignals) -> bool {
    let update = api.update(&StateReport::running(Output::default())).await;
    if update.remote == Some(RemoteJobState::Canceling) {
        signals.cancel.cancel();
    }
    // Every other failure starts the job: the coordinator may have taken the acknowledgement without our hearing of it.
    update.answer != UpdateAnswer::Gone && update.remote != Some(RemoteJobState::Ended)
}

/// While nobody asked, the job may have been canceled: what it is about to begin should not wait for the next report.
async fn ask_again(api: &JobApi, signals: &JobSignals) {
    if !acknowledge(api, signals).await {
        signals.abort.cancel();
    }
}

/// Ends a job that cannot be gone on with: the coordinator hears of it, and nothing of it is left here.
pub(crate) async fn give_up(job: &AcceptedJob, world: &World) {
    report_without_log(&world.api, world.pace).await;
    remove_objects(job, &world.engine).await;
    remove_journal(job, world);
}

fn remove_journal(job: &AcceptedJob, world: &World) {
    if let Err(error) = journal::remove(&world.directory, &job.seed.unique) {
        tracing::warn!(job_id = job.payload.id.0, %error, "the job's journal could not be removed");
    }
}

/// Removes what a job made, as far as its plan tells.
pub(crate) async fn remove_objects(job: &AcceptedJob, engine: &Engine) {
    if let Ok(plan) = plan::lower(job).map(Box::new) {
        remove_job_objects(engine, &plan).await;
    }
}

/// Tells the coordinator about a job that ended for reasons on our side, as often as it takes.
pub(crate) async fn report_without_log(api: &JobApi, pace: Pace) {
    let report = StateReport {
        state: UpdateState::Failed,
        failure_reason: Some(FailureReason::RunnerSystemFailure),
        exit_code: 0,
        output: Output::default(),
    };
    let mut pauses = pace.final_pauses();
    while let UpdateAnswer::Failed | UpdateAnswer::NotYet = api.update(&report).await.answer {
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return,
        }
    }
}

/// A job that was stopped from outside may still be at work; one that ended by itself is not. True if all its objects
/// are gone.
async fn stop_at_once(end: &Result<(), JobError>, plan: Option<&JobPlan>, engine: &Engine) -> bool {
    match (end, plan) {
        (Err(error), Some(plan)) if error.leaves_containers_at_work() => remove_job_objects(engine, plan).await,
        _ => false,
    }
}

/// What to say of a disk that was full while the job ran: its own commands may have hidden it, or suffered from another job's.
fn full_disk(job: &AcceptedJob, world: &World) -> Option<String> {
    let space = world.engine.disk()?.was_full_within(job.age())?;
    let mib = |bytes: u64| bytes >> 20;
    Some(format!(
        "No space left on device: the disk of this runner was full while the job ran ({} MiB of {} MiB are free now)",
        mib(space.free),
        mib(space.total)
    ))
}

/// Writes the last line and, as one with it, that only reporting is left. A job whose log could not be written has not
/// succeeded.
fn close_trace(
    trace: &Trace,
    end: Result<(), JobError>,
    full_disk: impl FnOnce() -> Option<String>,
) -> Result<(), JobError> {
    trace.flush();
    let end = match trace.take_error() {
        Some(error) => Err(JobError::System(
            anyhow::Error::new(error).context("the job log could not be written on the runner's state volume"),
        )),
        None => end,
    };
    let warning = end.as_ref().err().and_then(|_| full_disk());
    trace.record(|log| {
        match &end {
            Ok(()) => log.info("Job succeeded"),
            Err(error) => {
                warning.iter().for_each(|warning| log.warning(warning));
                log.error(&error.last_line());
            }
        }
        log.flush();
        let step = Step::Ended { end };
        log.enter(&step);
        step.into_end()
    })
}

/// Plans the job and runs its phases, under everything that can end a job from outside.
async fn supervised(
    job: &AcceptedJob,
    step: Step,
    planned: &OnceLock<JobPlan>,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    let timeout = plan::timeout(&job.payload);
    let end = tokio::select! {
        biased;
        () = signals.abort.cancelled() => Err(JobError::Canceled),
        () = world.interrupt.cancelled() => Err(JobError::Interrupted("terminated".into())),
        () = tokio::time::sleep(timeout.saturating_sub(job.age())) => Err(JobError::Timeout(timeout)),
        end = plan_and_run(job, step, planned, world, trace, signals) => end,
    };
    if let Err(JobError::Timeout(_)) = end {
        header::warn_of_time_out(trace);
    }
    terminal::keep_open(job, end, world, trace, signals).await
}

async fn plan_and_run(
    job: &AcceptedJob,
    step: Step,
    planned: &OnceLock<JobPlan>,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    if let Step::Accepted = step {
        trace.enter(&Step::Preparing)?;
        header::print(job, trace);
    }
    let mut job = job.clone();
    // A job that got further has them in its journal.
    if !job.payload.secrets.is_empty() && matches!(step, Step::Accepted | Step::Preparing) {
        job.secrets = tokio::select! {
            biased;
            () = signals.cancel.cancelled() => return Err(JobError::Canceled),
            secrets = secrets::resolve(&job, trace) => secrets?,
        };
        trace.keep_job(&job).context("write the job's secrets to its journal")?;
    }
    let mut plan = plan::lower(&job)?;
    plan.build.stay_after_failure = world.hold.is_some();
    let plan = planned.get_or_init(|| plan);
    // From here on nothing of it is removed as unused.
    let lease = world
        .engine
        .leases()
        .lease(uses::items(plan), world.engine.uses())
        .await;
    let world = &World {
        engine: world.engine.leasing(lease),
        ..world.clone()
    };
    match step {
        Step::Accepted => plan.warnings.iter().for_each(|warning| trace.warning(warning)),
        Step::Preparing => {
            header::print_new_beginning(trace);
            world.engine.wait_until_back().await.context("podman is away")?;
            remove_job_objects(&world.engine, plan).await;
        }
        Step::Lost { reason } => return Err(JobError::System(anyhow::anyhow!(reason))),
        Step::Sources | Step::Scripts | Step::Finishing { .. } | Step::Open { .. } | Step::Ended { .. } => {}
    }
    run_phases(&job, plan, step, world, trace, signals).await
}
