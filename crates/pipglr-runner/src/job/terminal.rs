//! Web terminals of a job: opened in its build container, and what holds the job open.

use super::plan::{self, AcceptedJob, JobPlan};
use super::step::Step;
use super::{JobError, World, go_duration};
use crate::containers::terminal::Shells;
use crate::session_server::JobSession;
use crate::trace::Trace;
use crate::trace::sender::JobSignals;
use pipglr_podman::Image;
use std::time::Duration;

/// The build container is there: shells may be opened in it.
pub(super) fn offer(plan: &JobPlan, image: &Image, world: &World) {
    if world.session.is_none() && world.hold.is_none() {
        return;
    }
    let scripts = plan::for_image(&plan.build, &image.config);
    let shells = Shells::new(&world.engine, plan.names.container("build"), &scripts);
    if let Some(hold) = &world.hold {
        hold.offer(shells.clone());
    }
    if let Some(session) = &world.session {
        session.offer(shells);
    }
}

/// When all is done, waits for whoever is connected, as long as that is allowed; it changes nothing about the end.
///
/// Compat: gitlab-runner common/build.go `waitForTerminal`.
pub(super) async fn keep_open(
    job: &AcceptedJob,
    end: Result<(), JobError>,
    world: &World,
    trace: &Trace,
    signals: &JobSignals,
) -> Result<(), JobError> {
    if let Some(hold) = &world.hold {
        tokio::select! {
            biased;
            () = signals.abort.cancelled() => {}
            () = signals.cancel.cancelled() => {}
            () = world.interrupt.cancelled() => {}
            () = hold.wait(&end) => {}
        }
    }
    let Some(session) = &world.session else { return end };
    let is_stopped = end.as_ref().is_err_and(JobError::leaves_containers_at_work);
    if is_stopped || !session.is_connected() {
        session.end("the job has ended");
        return end;
    }
    let step = Step::Open { end };
    if let Err(error) = trace.enter(&step) {
        session.end("the job has ended");
        return step.into_end().and(Err(JobError::System(error)));
    }
    let left = plan::timeout(&job.payload).saturating_sub(job.age());
    let limit = session.timeout().min(left);
    let limit = Duration::from_secs(limit.as_secs_f64().round() as u64);
    trace.info(&format!(
        "Terminal is connected, will time out in {}...",
        go_duration(limit)
    ));
    wait(session, limit, world, trace, signals).await;
    step.into_end()
}

async fn wait(session: &JobSession, limit: Duration, world: &World, trace: &Trace, signals: &JobSignals) {
    tokio::select! {
        biased;
        () = signals.abort.cancelled() => session.end("the job was canceled"),
        () = signals.cancel.cancelled() => session.end("the job was canceled"),
        () = world.interrupt.cancelled() => {
            trace.info("Terminal disconnected");
            session.end("the runner is shut down");
        }
        () = session.disconnected() => {
            trace.info("Terminal disconnected");
            session.end("the job has ended");
        }
        () = tokio::time::sleep(limit) => {
            let text = format!("terminal session timed out (maximum time allowed - {})", go_duration(limit));
            trace.info(&text);
            session.end(&text);
        }
    }
}
