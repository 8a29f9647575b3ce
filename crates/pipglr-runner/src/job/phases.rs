//! The phases of a job: made ready, sources, scripts, what is kept. Each is written down before it begins.

use super::attempts::{Build, follow_helper, follow_scripts};
use super::follow::title;
use super::plan::{AcceptedJob, JobPlan, Timeouts};
use super::prepare::{Ready, finish_again, listen_again, prepare, prepare_again, sources_helper, start_helper};
use super::step::Step;
use super::{JobError, World, header, terminal};
use crate::container_side::helper::{HelperPlan, Phase, skipped};
use crate::container_side::marker::StageEnd;
use crate::containers::service_output::Shown;
use crate::containers::session::Session;
use crate::trace::Trace;
use crate::trace::sender::JobSignals;
use std::time::Duration;

/// The phases of a job in the order its log shows them, from the step it is at.
pub(super) async fn run_phases(
    job: &AcceptedJob,
    plan: &JobPlan,
    step: Step,
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
    match step {
        Step::Finishing { end } => finish(plan, end, true, world, trace).await,
        Step::Open { end } => end,
        Step::Scripts => {
            tell_of_silent_services(plan, trace);
            let build = Build::Told(listen_again("build", plan, &world.engine, trace).await?);
            let end = run_scripts(plan, build, world, trace, signals).await;
            finish(plan, end, false, world, trace).await
        }
        step => {
            if let Step::Sources = step {
                tell_of_silent_services(plan, trace);
            }
            let mut ready = make_ready(job, plan, &step, world, trace, signals).await?;
            let services = std::mem::take(&mut ready.services);
            let rest = run_prepared(job, plan, &step, ready, world, trace, signals);
            if !plan.services.show_output {
                return rest.await;
            }
            let shown = Shown::new(&world.engine, services, trace);
            let end = tokio::select! {
                biased;
                end = rest => end,
                never = shown.follow() => match never {},
            };
            shown.rest().await;
            end
        }
    }
}

/// Services of a job that was taken over go on, but where their output was followed to is not known.
fn tell_of_silent_services(plan: &JobPlan, trace: &Trace) {
    if plan.services.show_output {
        trace.warning("the runner was restarted: output of services is not shown from here on");
    }
}

/// Sources, scripts and artifacts of a job for which everything is ready.
async fn run_prepared(
    job: &AcceptedJob,
    plan: &JobPlan,
    step: &Step,
    mut ready: Ready,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    terminal::offer(plan, &ready.image, world);
    let mut end = get_sources(ready.sources.take(), plan, step, world, trace, signals).await?;
    if end.is_ok() {
        header::print_policy(job, trace);
        end = run_scripts(plan, Build::waiting(ready), world, trace, signals).await;
    }
    finish(plan, end, false, world, trace).await
}

/// Images, volumes and git are prepared at the same time.
async fn make_ready(
    job: &AcceptedJob,
    plan: &JobPlan,
    step: &Step,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<Ready, JobError> {
    let ready = async {
        match step {
            Step::Sources => prepare_again(plan, world, trace).await,
            _ => prepare(job, plan, world, trace).await,
        }
    };
    tokio::select! {
        biased;
        // Before the user's scripts began there is nothing to be graceful about.
        () = signals.cancel.cancelled() => Err(JobError::Canceled),
        () = limit(plan.timeouts.prepare) => Err(Timeouts::exceeded("prepare", plan.timeouts.prepare)),
        ready = ready => ready,
    }
}

/// Follows the helper that fetches sources and artifacts, and gives its end; an error ends the job at once.
async fn get_sources(
    session: Option<Session>,
    plan: &JobPlan,
    step: &Step,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<Result<(), JobError>, JobError> {
    let Some(session) = session else {
        say_sources_are_skipped(plan, trace);
        return Ok(Ok(()));
    };
    if !matches!(step, Step::Sources) {
        trace.enter(&Step::Sources)?;
    }
    tokio::select! {
        biased;
        () = signals.cancel.cancelled() => Err(JobError::Canceled),
        end = follow_helper(session, sources_helper(plan), "helper-prepare", plan, world, trace) => match end {
            Err(error @ JobError::StageTimeout { .. }) => Err(error),
            end => Ok(end.and_then(stage_result)),
        },
    }
}

/// The section of a job whose strategy leaves nothing to fetch.
fn say_sources_are_skipped(plan: &JobPlan, trace: &Trace) {
    let Some(strategy) = plan.skipped_sources else {
        return;
    };
    trace.section_start("get_sources", &title("get_sources"));
    for line in skipped(strategy) {
        trace.info(line);
    }
    trace.section_end("get_sources");
}

/// Ends when a phase's time is up; never if it has no limit of its own.
pub(super) async fn limit(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The user's scripts, in the build container.
async fn run_scripts(
    plan: &JobPlan,
    build: Build,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    let ends = follow_scripts(plan, build, world, trace, &signals.cancel).await?;
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

/// What is done with the project directory after the scripts; `begun` by an earlier process.
async fn finish(
    plan: &JobPlan,
    end: Result<(), JobError>,
    begun: bool,
    world: &World,
    trace: &Trace,
) -> Result<(), JobError> {
    let uploads = if end.is_ok() {
        &plan.uploads_on_success
    } else {
        &plan.uploads_on_failure
    };
    let phases: Vec<Phase> = uploads.iter().chain(&plan.clean_up).cloned().collect();
    if phases.is_empty() || matches!(end, Err(JobError::System(_))) {
        return end;
    }
    // File variables are gone by now and stay gone: only their paths are known here.
    let helper = HelperPlan {
        nonce: plan.build.nonce.clone(),
        environment: plan.build.environment.clone(),
        gitlab_env: Some(plan.build.gitlab_env.clone()),
        phases,
        ..HelperPlan::default()
    };
    let step = Step::Finishing { end };
    if !begun {
        trace.enter(&step)?;
    }
    let finished = finish_in_helper(plan, helper, begun, world, trace).await;
    step.into_end().and(finished)
}

async fn finish_in_helper(
    plan: &JobPlan,
    helper: HelperPlan,
    begun: bool,
    world: &World,
    trace: &Trace,
) -> Result<(), JobError> {
    let role = "helper-finish";
    let running = match begun {
        true => finish_again(plan, &world.engine, trace).await?,
        false => None,
    };
    let session = match running {
        Some(session) => session,
        None => start_helper(plan, &helper, role, &world.engine).await?,
    };
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
