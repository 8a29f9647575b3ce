//! Following containers to their end, and starting one anew that somebody removed (`EXECUTOR_JOB_SECTION_ATTEMPTS`).
//!
//! Compat: gitlab-runner executors/docker/command.go; only a container that vanished is started again, never a script
//! that failed.

use super::follow::{BuildEnds, follow, follow_build};
use super::plan::{self, JobPlan, Timeouts};
use super::prepare::{Ready, start_build, start_helper};
use super::{JobError, World, limit};
use crate::container_side::helper::HelperPlan;
use crate::container_side::marker::StageEnd;
use crate::containers::session::Session;
use crate::trace::Trace;
use tokio_util::sync::CancellationToken;

/// Follows a helper container to its end and gives the end of its last phase.
pub(super) async fn follow_helper(
    mut session: Session,
    mut helper: HelperPlan,
    role: &str,
    plan: &JobPlan,
    world: &World,
    trace: &Trace,
) -> Result<Option<StageEnd>, JobError> {
    let get_sources = plan.timeouts.get_sources.filter(|_| role == "helper-prepare");
    for attempt in 1.. {
        let mut done = Vec::new();
        let gone = match follow(&mut session, trace, &mut done, limit(get_sources)).await {
            Err(JobError::StageTimeout { what, .. }) => return Err(Timeouts::exceeded(what, get_sources)),
            Err(JobError::ContainerGone { id }) => id,
            end => return end,
        };
        helper
            .phases
            .retain(|phase| !done.iter().any(|stage| stage == phase.stage()));
        let stage = helper.phases.first().map_or(role, |phase| phase.stage()).to_owned();
        may_retry(plan, attempt, gone, &stage, trace)?;
        session = start_helper(plan, &helper, role, &world.engine).await?;
    }
    unreachable!("the loop above has no end of its own")
}

/// Hands the scripts to the build container and follows it to its end.
pub(super) async fn follow_scripts(
    plan: &JobPlan,
    ready: Ready,
    world: &World,
    trace: &Trace,
    cancel: &CancellationToken,
) -> Result<BuildEnds, JobError> {
    let Ready { mut build, image, .. } = ready;
    let mut scripts = plan::for_image(&plan.build, &image.config);
    let mut ends = BuildEnds::default();
    for attempt in 1.. {
        build.send_plan(&scripts).await?;
        let gone = match follow_build(&mut build, trace, cancel, &mut ends).await {
            Err(JobError::ContainerGone { id }) => id,
            Err(error) => return Err(error),
            Ok(()) => return Ok(ends),
        };
        scripts.steps.retain(|step| !ends.succeeded.contains(&step.stage));
        let script_is_over = ends.script.is_some_and(|end| end != StageEnd::Exited(0));
        let Some(step) = scripts.steps.first().filter(|_| !script_is_over) else {
            // after_script is not repeated: it would have to be told a status that is no longer known.
            return Err(JobError::ContainerGone { id: gone });
        };
        may_retry(plan, attempt, gone, &step.stage, trace)?;
        build = start_build(plan, &image, &world.engine).await?;
    }
    unreachable!("the loop above has no end of its own")
}

/// Says that a stage is started again; an error when it must not be.
fn may_retry(plan: &JobPlan, attempt: u32, id: String, stage: &str, trace: &Trace) -> Result<(), JobError> {
    if let Some(open) = trace.open_section() {
        trace.flush_job();
        trace.section_end(&open);
    }
    if plan.section_attempts > 1 {
        let short = id.get(..12).unwrap_or(&id);
        trace.error(&format!("Container \"{short}\" not found or removed. Will retry..."));
    }
    if attempt < plan.section_attempts {
        trace.info(&format!("Retrying {stage}"));
        return Ok(());
    }
    if plan.section_attempts > 1 {
        trace.error("Execution attempts exceeded");
    }
    Err(JobError::ContainerGone { id })
}
