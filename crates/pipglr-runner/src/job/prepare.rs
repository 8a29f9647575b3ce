//! Making ready what a job's scripts need: volumes, network, sources, services, image and build container, as much as
//! possible at once.

use super::plan::{AcceptedJob, JobPlan};
use super::{JobError, World};
use crate::container_side::helper::HelperPlan;
use crate::containers::image::{ensure_image, image_again};
use crate::containers::objects::{create_network, create_volumes, remove_job_objects};
use crate::containers::outage::Outage as _;
use crate::containers::readiness::Waiting;
use crate::containers::services::{self, Service};
use crate::containers::session::{Position, Session, discard};
use crate::containers::{Engine, caches, limits, spec};
use crate::trace::Trace;
use crate::trace::turns::Turns;
use anyhow::Context as _;
use futures_util::FutureExt as _;
use pipglr_podman::Image;
use std::sync::Arc;
use std::time::Duration;

/// Tries of the preparation, and the pause between them.
///
/// Compat: gitlab-runner common/consts.go.
const PREPARATION_TRIES: u32 = 3;
const PREPARATION_PAUSE: Duration = Duration::from_secs(3);

/// What the scripts need: sources on their way, a started container that waits for its plan.
pub(super) struct Ready {
    pub(super) sources: Option<Session>,
    pub(super) build: Session,
    pub(super) image: Image,
    pub(super) services: Vec<Service>,
}

/// Makes it ready, with retries, and shows how in the log.
pub(super) async fn prepare(
    job: &AcceptedJob,
    plan: &JobPlan,
    world: &World,
    trace: &Trace,
) -> Result<Ready, JobError> {
    let executor = if job.runner.executor.is_empty() {
        "podman"
    } else {
        &job.runner.executor
    };
    trace.section_start("prepare_executor", &format!("Preparing the \"{executor}\" executor"));
    trace.line(&format!("Using Docker executor with image {} ...", plan.image.name));
    if plan.image.is_default {
        trace.info("Using default image");
    }
    if plan.image.entrypoint_refused {
        trace.warning("Entrypoint override disabled");
    }
    if plan.privileged && !job.nested_privileged {
        trace.warning(
            "privileged mode is off: this runner's image was built with NESTED_PRIVILEGED=false, \
             so container images cannot be built inside this job",
        );
    }
    match limits::warnings(&world.engine, &plan.options).await {
        Ok(warnings) => warnings.iter().for_each(|warning| trace.warning(warning)),
        Err(error) => trace.warning(&format!("limits of containers may have no effect: {error:#}")),
    }
    let mut attempt = 1;
    let ready = loop {
        match try_prepare(plan, world, trace).await {
            // An outage was waited for already, by each call.
            Err(JobError::System(error)) if attempt < PREPARATION_TRIES && !error.is_outage() => {
                trace.error(&format!("Preparation failed: {error:#}"));
                trace.info(&format!("Will be retried in {}s ...", PREPARATION_PAUSE.as_secs()));
                attempt += 1;
                remove_job_objects(&world.engine, plan).await;
                tokio::time::sleep(PREPARATION_PAUSE).await;
            }
            other => break other,
        }
    };
    trace.section_end("prepare_executor");
    let ready = ready?;
    trace.section_start("prepare_script", "Preparing environment");
    trace.line(&format!("Running on {} via {}...", plan.names.base, host_name()));
    trace.section_end("prepare_script");
    Ok(ready)
}

/// After the runner was restarted before the sources were there: listens to the helper again. The build container lost
/// its connection and was never told what to do, so there is a new one.
pub(super) async fn prepare_again(plan: &JobPlan, world: &World, trace: &Trace) -> Result<Ready, JobError> {
    let engine = &world.engine;
    let sources = listen_again("helper-prepare", plan, engine, trace).await?;
    discard(engine, &plan.names.container("build")).await;
    let image = image_again(engine, &plan.image).await?;
    let build = start_build(plan, &image, engine).await?;
    Ok(Ready {
        sources: Some(sources),
        build,
        image,
        // They go on.
        services: Vec::new(),
    })
}

/// Listens again to a container an earlier process started, from where the log is.
pub(super) async fn listen_again(
    role: &str,
    plan: &JobPlan,
    engine: &Engine,
    trace: &Trace,
) -> Result<Session, JobError> {
    let name = plan.names.container(role);
    let found = engine.despite_outages(|_| engine.client.inspect_container(&name));
    match found.await {
        Err(error) if error.is_not_found() => Err(JobError::System(anyhow::anyhow!(
            "the runner was restarted, and the job's {role} container is gone"
        ))),
        Err(error) if error.is_outage() => Err(JobError::System(anyhow::Error::new(error).context("podman is away"))),
        // Any other trouble is the session's own.
        Ok(_) | Err(_) => Ok(Session::resume(engine, &name, &plan.build.nonce, trace.position())),
    }
}

/// As [`listen_again`], of the helper that finishes the job, if it was started at all.
pub(super) async fn finish_again(plan: &JobPlan, engine: &Engine, trace: &Trace) -> Result<Option<Session>, JobError> {
    let name = plan.names.container("helper-finish");
    let nothing_heard = trace.position() == Position::default();
    let found = engine.despite_outages(|_| engine.client.inspect_container(&name));
    match found.await {
        Ok(container) if container.state.never_started() && nothing_heard => {
            discard(engine, &name).await;
            Ok(None)
        }
        // podman would make the volume anew, and an empty project directory is nothing to upload.
        Err(error) if error.is_not_found() && nothing_heard && has_builds(plan, engine).await? => Ok(None),
        Ok(_) | Err(_) => listen_again("helper-finish", plan, engine, trace).await.map(Some),
    }
}

async fn has_builds(plan: &JobPlan, engine: &Engine) -> Result<bool, JobError> {
    if plan.builds.name.starts_with('/') {
        return Ok(true);
    }
    let exists = engine.client.volume_exists(&plan.builds.name).await;
    Ok(exists.context("look for the volume of the project directory")?)
}

async fn try_prepare(plan: &JobPlan, world: &World, trace: &Trace) -> Result<Ready, JobError> {
    let engine = &world.engine;
    // Once for all who need them.
    let objects = async {
        let (volumes, network) = tokio::join!(create_volumes(engine, plan), create_network(engine, plan));
        volumes.context("create volumes").map_err(Arc::new)?;
        network.context("create the job's network").map_err(Arc::new)
    }
    .shared();
    let sources = async {
        shared(objects.clone().await)?;
        start_sources(plan, engine).await
    };
    let mut turns = Turns::of(trace);
    let services = plan.services.list.iter().map(|service| {
        let (objects, turn) = (objects.clone(), turns.take());
        async move {
            shared(objects.await)?;
            services::start(engine, plan, service, turn).await
        }
    });
    let services = futures_util::future::join_all(services.collect::<Vec<_>>());
    let turn = turns.take();
    let build = async {
        let image = ensure_image(engine, &plan.image, &turn).await?;
        drop(turn);
        shared(objects.clone().await)?;
        let build = start_build(plan, &image, engine).await?;
        Ok::<_, JobError>((build, image))
    };
    let (sources, services, build) = tokio::join!(sources, services, build);
    let services = services.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (build, image) = build?;
    let sources = sources?;
    if let Some(limit) = plan.services.wait {
        let waiting = Waiting {
            engine,
            build: build.id(),
            services: &services,
            reach: plan.network.reach(),
            limit,
        };
        waiting.until_ready(trace).await;
    }
    Ok(Ready {
        sources,
        build,
        image,
        services,
    })
}

/// An error several wait for, for each of them.
fn shared(result: Result<(), Arc<anyhow::Error>>) -> Result<(), JobError> {
    result.map_err(|error| JobError::System(anyhow::Error::new(Shared(error))))
}

#[derive(Debug)]
struct Shared(Arc<anyhow::Error>);

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Starts the build container; it waits for its plan.
pub(super) async fn start_build(plan: &JobPlan, image: &Image, engine: &Engine) -> Result<Session, JobError> {
    let container = spec::build_container(plan, image, engine.settings());
    Session::launch(engine, &container, &plan.build.nonce)
        .await
        .map_err(launch_error)
}

/// What the helper that fetches sources and artifacts is told.
pub(super) fn sources_helper(plan: &JobPlan) -> HelperPlan {
    HelperPlan {
        nonce: plan.build.nonce.clone(),
        environment: plan.build.environment.clone(),
        gitlab_env: None,
        remove_first: plan.build.remove_at_end.clone(),
        builds_dir: plan.build.builds_dir.clone(),
        slot: plan.builds.slot.clone(),
        pauses: plan.pauses,
        files: plan.build.files.clone(),
        phases: plan.prepare_phases.clone(),
    }
}

/// Starts the helper that fetches sources and artifacts; it works while the image is still on its way.
async fn start_sources(plan: &JobPlan, engine: &Engine) -> Result<Option<Session>, JobError> {
    if plan.prepare_phases.is_empty() {
        return Ok(None);
    }
    start_helper(plan, &sources_helper(plan), "helper-prepare", engine)
        .await
        .map(Some)
}

/// Starts a helper container and tells it what to do.
pub(super) async fn start_helper(
    plan: &JobPlan,
    helper: &HelperPlan,
    role: &str,
    engine: &Engine,
) -> Result<Session, JobError> {
    let mut helper = helper.clone();
    if let Some(storage) = &plan.cache_storage {
        storage.sign(&mut helper.phases).await;
    }
    let mut container = spec::helper_container(plan, role, engine.settings());
    caches::mount(&mut container, plan, engine);
    let mut session = Session::launch(engine, &container, &helper.nonce)
        .await
        .context("start the helper container")?;
    session.tell(&helper).await;
    Ok(session)
}

/// A container podman will not have is the configuration's fault, and trying again does not help.
fn launch_error(error: anyhow::Error) -> JobError {
    match error.downcast_ref::<pipglr_podman::Error>() {
        Some(pipglr_podman::Error::Api { status, .. }) if status.as_u16() == 400 => {
            JobError::Configuration(format!("{error:#}"))
        }
        _ => JobError::System(error),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
