//! One job's life. [`run_job`] reads from top to bottom as what happens to a job.

mod attempts;
mod failure;
mod feature_flags;
mod follow;
mod header;
pub mod plan;
mod prepare;
mod script;
mod secrets;
mod variables;

pub use failure::{JobError, classify_pull, final_state, go_duration};
pub use plan::{AcceptedJob, JobPlan, SlotNumbers};
use plan::{Timeouts, settings};
pub use variables::{expand, parse_bool};

use crate::container_side::helper::{HelperPlan, Phase, skipped};
use crate::container_side::marker::StageEnd;
use crate::containers::Engine;
use crate::containers::objects::remove_job_objects;
use crate::containers::service_output;
use crate::gitlab::{JobApi, StateReport, UpdateAnswer};
use crate::metrics::Progress;
use crate::trace::Trace;
use crate::trace::sender::{Delivery, JobSignals, Pace, Sender};
use anyhow::Context as _;
use attempts::{follow_helper, follow_scripts};
use pipglr_protocol::update::{FailureReason, Output, RemoteJobState, UpdateState};
use prepare::{Ready, prepare, sources_helper, start_helper};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What a job needs of the world besides itself.
#[derive(Debug, Clone)]
pub struct World {
    pub engine: Engine,
    pub api: JobApi,
    /// Where the job's log is kept while it runs.
    pub directory: PathBuf,
    pub pace: Pace,
    /// Raised when running jobs have to end now.
    pub interrupt: CancellationToken,
    /// How far the job is, for whoever watches.
    pub progress: Progress,
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
    let began = Instant::now();
    let record = |state, failure_reason, delivery| JobRecord {
        state,
        failure_reason,
        delivery,
        duration: began.elapsed(),
    };
    let signals = JobSignals::default();
    if !acknowledge(&world.api, &signals).await {
        return record(None, None, None);
    }
    let trace = match create_trace(&job, &world) {
        Ok(trace) => trace,
        Err(error) => {
            tracing::error!(job_id = job.payload.id.0, error = %format!("{error:#}"), "job cannot start");
            report_without_log(&world.api).await;
            return record(
                Some(UpdateState::Failed),
                Some(FailureReason::RunnerSystemFailure),
                None,
            );
        }
    };
    let mut sender = Sender::new(trace.clone(), world.api.clone(), signals.clone(), world.pace);
    let sending_done = CancellationToken::new();
    let planned = OnceLock::new();
    let (end, ()) = tokio::join!(
        async {
            let end = supervised(&job, &planned, &world, &trace, &signals).await;
            let end = close_trace(&trace, end);
            sending_done.cancel();
            end
        },
        sender.run(&sending_done)
    );
    let last = final_state(&end, &job.payload.features.failure_reasons);
    let reason = end.as_ref().err().map(JobError::reason);
    let plan = planned.get();
    let (delivery, removed) = tokio::join!(sender.finish(&last), stop_at_once(&end, plan, &world.engine));
    if let Err(JobError::System(error)) = &end {
        tracing::error!(job_id = job.payload.id.0, error = %format!("{error:#}"), "job failed for reasons on our side");
    }
    let finished = record(Some(last.state), reason, Some(delivery));
    if let (Some(plan), false) = (plan, removed) {
        remove_job_objects(&world.engine, plan).await;
    }
    if let Err(error) = std::fs::remove_file(trace.path()) {
        tracing::warn!(job_id = job.payload.id.0, %error, "job log could not be removed");
    }
    finished
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

fn create_trace(job: &AcceptedJob, world: &World) -> anyhow::Result<Trace> {
    std::fs::create_dir_all(&world.directory).with_context(|| format!("create {}", world.directory.display()))?;
    // Job numbers are unique on one instance only, and runners of several may share this directory.
    let path = world
        .directory
        .join(format!("{}-{}.log", job.payload.id, uuid::Uuid::new_v4().simple()));
    let trace =
        Trace::create(&path, &plan::trace_settings(job)).with_context(|| format!("create {}", path.display()))?;
    trace.tell(world.progress.clone());
    Ok(trace)
}

/// Tells the coordinator about a job that ended for reasons on our side.
pub(crate) async fn report_without_log(api: &JobApi) {
    let report = StateReport {
        state: UpdateState::Failed,
        failure_reason: Some(FailureReason::RunnerSystemFailure),
        exit_code: 0,
        output: Output::default(),
    };
    api.update(&report).await;
}

/// A job that was stopped from outside may still be at work; one that ended by itself is not. True if all its objects
/// are gone.
async fn stop_at_once(end: &Result<(), JobError>, plan: Option<&JobPlan>, engine: &Engine) -> bool {
    match (end, plan) {
        (Err(error), Some(plan)) if error.leaves_containers_at_work() => remove_job_objects(engine, plan).await,
        _ => false,
    }
}

/// Writes the last line. A job whose log could not be written has not succeeded.
fn close_trace(trace: &Trace, end: Result<(), JobError>) -> Result<(), JobError> {
    trace.flush();
    let end = match trace.take_error() {
        Some(error) => Err(JobError::System(
            anyhow::Error::new(error).context("the job log could not be written on the runner's state volume"),
        )),
        None => end,
    };
    match &end {
        Ok(()) => trace.info("Job succeeded"),
        Err(error) => trace.error(&error.last_line()),
    }
    trace.flush();
    end
}

/// Plans the job and runs its phases, under everything that can end a job from outside.
async fn supervised(
    job: &AcceptedJob,
    planned: &OnceLock<JobPlan>,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    let timeout = plan::timeout(&job.payload);
    let end = tokio::select! {
        biased;
        () = signals.abort.cancelled() => Err(JobError::Canceled),
        () = world.interrupt.cancelled() => Err(JobError::Interrupted("terminated")),
        () = tokio::time::sleep(timeout) => Err(JobError::Timeout(timeout)),
        end = plan_and_run(job, planned, world, trace, signals) => end,
    };
    if let Err(JobError::Timeout(_)) = end {
        header::warn_of_time_out(trace);
    }
    end
}

async fn plan_and_run(
    job: &AcceptedJob,
    planned: &OnceLock<JobPlan>,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    header::print(job, trace);
    let mut job = job.clone();
    if !job.payload.secrets.is_empty() {
        job.secrets = tokio::select! {
            biased;
            () = signals.cancel.cancelled() => return Err(JobError::Canceled),
            secrets = secrets::resolve(&job, trace) => secrets?,
        };
    }
    let plan = plan::lower(&job)?;
    run_phases(&job, planned.get_or_init(|| plan), world, trace, signals).await
}

/// The phases of a job in the order its log shows them. Images, volumes and git are prepared at the same time.
async fn run_phases(
    job: &AcceptedJob,
    plan: &JobPlan,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    let phases: Vec<&str> = plan.prepare_phases.iter().map(Phase::stage).collect();
    tracing::debug!(
        name = plan.names.unique,
        image = plan.image.reference,
        ?phases,
        builds = plan.builds.name,
        "job planned"
    );
    for warning in &plan.warnings {
        trace.warning(warning);
    }
    let mut ready = tokio::select! {
        biased;
        // Before the user's scripts began there is nothing to be graceful about.
        () = signals.cancel.cancelled() => return Err(JobError::Canceled),
        () = limit(plan.timeouts.prepare) => return Err(Timeouts::exceeded("prepare", plan.timeouts.prepare)),
        ready = prepare(job, plan, world, trace) => ready?,
    };
    let services = std::mem::take(&mut ready.services);
    let rest = run_prepared(job, plan, ready, world, trace, signals);
    if plan.services.show_output {
        tokio::select! {
            biased;
            end = rest => end,
            never = service_output::show(&world.engine, &services, trace) => match never {},
        }
    } else {
        rest.await
    }
}

/// Sources, scripts and artifacts of a job for which everything is ready.
async fn run_prepared(
    job: &AcceptedJob,
    plan: &JobPlan,
    mut ready: Ready,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    let mut end = match ready.sources.take() {
        Some(session) => {
            tokio::select! {
                biased;
                () = signals.cancel.cancelled() => return Err(JobError::Canceled),
                end = follow_helper(session, sources_helper(plan), "helper-prepare", plan, world, trace) => match end {
                    Err(error @ JobError::StageTimeout { .. }) => return Err(error),
                    end => end.and_then(stage_result),
                },
            }
        }
        None => {
            say_sources_are_skipped(plan, trace);
            Ok(())
        }
    };
    if end.is_ok() {
        end = run_scripts(job, plan, ready, world, trace, signals).await;
    }
    let uploads = if end.is_ok() {
        &plan.uploads_on_success
    } else {
        &plan.uploads_on_failure
    };
    let last: Vec<Phase> = uploads.iter().chain(&plan.clean_up).cloned().collect();
    if !last.is_empty() && !matches!(end, Err(JobError::System(_))) {
        let finished = finish_in_helper(plan, last, world, trace).await;
        end = end.and(finished);
    }
    end
}

/// The section of a job whose strategy leaves nothing to fetch.
fn say_sources_are_skipped(plan: &JobPlan, trace: &Trace) {
    let Some(strategy) = plan.skipped_sources else {
        return;
    };
    trace.section_start("get_sources", &follow::title("get_sources"));
    for line in skipped(strategy) {
        trace.info(line);
    }
    trace.section_end("get_sources");
}

/// Ends when a phase's time is up; never if it has no limit of its own.
async fn limit(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The user's scripts, in the build container.
async fn run_scripts(
    job: &AcceptedJob,
    plan: &JobPlan,
    ready: Ready,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    header::print_policy(job, trace);
    let ends = follow_scripts(plan, ready, world, trace, &signals.cancel).await?;
    if let Some(error) = ends.after_script.and_then(|end| stage_result(Some(end)).err()) {
        if !plan.ignore_after_script && ends.script == Some(StageEnd::Exited(0)) {
            return Err(error);
        }
        trace.warning(&format!(
            "after_script failed, but job will continue unaffected: {error}"
        ));
    }
    stage_result(ends.script)
}

async fn finish_in_helper(plan: &JobPlan, phases: Vec<Phase>, world: &World, trace: &Trace) -> Result<(), JobError> {
    // File variables are gone by now and stay gone: only their paths are known here.
    let helper = HelperPlan {
        nonce: plan.build.nonce.clone(),
        environment: plan.build.environment.clone(),
        gitlab_env: Some(plan.build.gitlab_env.clone()),
        phases,
        ..HelperPlan::default()
    };
    let role = "helper-finish";
    let session = start_helper(plan, &helper, role, &world.engine).await?;
    stage_result(follow_helper(session, helper, role, plan, world, trace).await?)
}

fn stage_result(end: Option<StageEnd>) -> Result<(), JobError> {
    match end {
        Some(StageEnd::Exited(0)) => Ok(()),
        Some(StageEnd::Exited(code)) => Err(JobError::ExitCode(code)),
        Some(StageEnd::TimedOut) => Err(JobError::ScriptTimeout),
        Some(StageEnd::Canceled) => Err(JobError::Canceled),
        Some(StageEnd::SystemFailure) => Err(JobError::System(anyhow::anyhow!("a step could not be started"))),
        None => Err(JobError::System(anyhow::anyhow!("the container ran nothing"))),
    }
}
