//! Following containers to their end, and starting one anew that somebody removed (`EXECUTOR_JOB_SECTION_ATTEMPTS`).
//!
//! Compat: gitlab-runner executors/docker/command.go; only a container that vanished is started again, never a script
//! that failed.

use super::follow::{BuildEnds, end_of_phases, follow, follow_build};
use super::phases::limit;
use super::plan::{self, JobPlan, Timeouts};
use super::prepare::{Ready, start_build, start_helper};
use super::step::Step;
use super::{JobError, World};
use crate::container_side::helper::HelperPlan;
use crate::container_side::init::InitPlan;
use crate::container_side::marker::StageEnd;
use crate::containers::image::image_again;
use crate::containers::session::{Position, Session};
use crate::trace::Trace;
use pipglr_podman::Image;
use tokio_util::sync::CancellationToken;

/// Containers that are started for one plan that does not reach them.
const LAUNCHES: u32 = 3;

/// Follows a helper container to its end and gives how its phases ended.
pub(super) async fn follow_helper(
    mut session: Session,
    mut helper: HelperPlan,
    role: &str,
    plan: &JobPlan,
    world: &World,
    trace: &Trace,
) -> Result<Option<StageEnd>, JobError> {
    let get_sources = plan.timeouts.get_sources.filter(|_| role == "helper-prepare");
    let (mut attempt, mut launches) = (1, 1);
    loop {
        let gone = match follow(&mut session, trace, limit(get_sources)).await {
            Err(JobError::StageTimeout { what, .. }) => return Err(Timeouts::exceeded(what, get_sources)),
            Err(JobError::NothingRan(reason)) if launches < LAUNCHES => {
                launches += 1;
                tell_of_new_container(&reason, trace);
                session.remove().await;
                session = start_helper(plan, &helper, role, &world.engine).await?;
                continue;
            }
            Err(JobError::ContainerGone { id }) => id,
            end => return end.map(|()| end_of_phases(&trace.ended())),
        };
        let done = BuildEnds::of(trace.ended()).succeeded;
        if !done.is_empty() {
            // What is in the job's temporary directory by now is its own.
            helper.builds_dir.clear();
        }
        helper
            .phases
            .retain(|phase| !done.iter().any(|stage| stage == phase.stage()));
        let stage = helper.phases.first().map_or(role, |phase| phase.stage()).to_owned();
        may_retry(plan, attempt, gone, &stage, trace)?;
        attempt += 1;
        session = start_helper(plan, &helper, role, &world.engine).await?;
    }
}

/// The build container.
pub(super) enum Build {
    /// It waits for its plan.
    Waits { session: Session, image: Box<Image> },
    /// An earlier process told it what to do, or was about to.
    Told(Session),
}

impl Build {
    pub(super) fn waiting(ready: Ready) -> Self {
        Self::Waits {
            session: ready.build,
            image: Box::new(ready.image),
        }
    }
}

/// Hands the scripts to the build container and follows it to its end.
pub(super) async fn follow_scripts(
    plan: &JobPlan,
    build: Build,
    world: &World,
    trace: &Trace,
    cancel: &CancellationToken,
) -> Result<BuildEnds, JobError> {
    let mut ends = BuildEnds::of(trace.ended());
    let (mut attempt, mut launches) = (1, 1);
    let (mut session, mut image) = match build {
        Build::Waits { mut session, image } => {
            trace.enter(&Step::Scripts)?;
            session.tell(&scripts_left(plan, &image, &ends)).await;
            (session, Some(*image))
        }
        Build::Told(session) => (session, None),
    };
    loop {
        let gone = match follow_build(&mut session, trace, cancel, &mut ends).await {
            Ok(()) => return Ok(ends),
            Err(JobError::NothingRan(reason)) if launches < LAUNCHES => {
                launches += 1;
                tell_of_new_container(&reason, trace);
                session.remove().await;
                None
            }
            Err(JobError::ContainerGone { id }) => Some(id),
            Err(error) => return Err(error),
        };
        let found = match image.take() {
            Some(image) => image,
            None => image_again(&world.engine, &plan.image).await?,
        };
        let left = scripts_left(plan, &found, &ends);
        if let Some(id) = gone {
            let script_is_over = ends.script.is_some_and(|end| end != StageEnd::Exited(0));
            let Some(step) = left.steps.first().filter(|_| !script_is_over) else {
                // after_script is not repeated: it would have to be told a status that is no longer known.
                return Err(JobError::ContainerGone { id });
            };
            may_retry(plan, attempt, id, &step.stage, trace)?;
            attempt += 1;
        }
        session = start_build(plan, &found, &world.engine).await?;
        session.tell(&left).await;
        image = Some(found);
    }
}

fn scripts_left(plan: &JobPlan, image: &Image, ends: &BuildEnds) -> InitPlan {
    let mut scripts = plan::for_image(&plan.build, &image.config);
    scripts.steps.retain(|step| !ends.succeeded.contains(&step.stage));
    scripts
}

/// A container that did nothing is replaced; nothing of it was shown but its regret.
fn tell_of_new_container(reason: &str, trace: &Trace) {
    trace.record(|log| {
        log.flush_job();
        log.warning(&format!("{reason} before it was told what to do; it is started anew"));
        log.at(Position::default());
    });
}

/// Says that a stage is started again; an error when it must not be.
fn may_retry(plan: &JobPlan, attempt: u32, id: String, stage: &str, trace: &Trace) -> Result<(), JobError> {
    let open = trace.open_section();
    trace.record(|log| {
        if let Some(open) = open {
            log.flush_job();
            log.section_end(&open);
        }
        log.at(Position::default());
    });
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
