//! Services: made, started, and what is to be known to wait for them.

use super::image::ensure_image;
use super::session::try_discard;
use super::{Engine, spec};
use crate::job::JobError;
use crate::job::plan::{JobPlan, ServicePlan};
use crate::trace::turns::Turn;
use anyhow::Context as _;
use pipglr_podman::{HealthConfig, Image, SecretSpec};

/// Most ports that are tried, from the lowest.
///
/// Compat: gitlab-runner executors/docker/docker.go.
const MOST_PORTS: usize = 20;

/// A service whose container was started.
#[derive(Debug, Clone)]
pub struct Service {
    pub id: String,
    /// Its container's name.
    pub name: String,
    /// How its lines are marked in the job's log.
    pub label: String,
    pub check: Check,
}

/// When a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// At once.
    Nothing,
    /// One of the ports accepts connections.
    Ports(Vec<u16>),
    /// The image's own check succeeds.
    Health(HealthConfig),
}

/// Gets the image of a service, makes its container and starts it.
///
/// # Errors
/// The image cannot be had, or podman cannot run the container.
pub async fn start(engine: &Engine, plan: &JobPlan, service: &ServicePlan, log: Turn) -> Result<Service, JobError> {
    log.line(&format!("Starting service {}...", service.title));
    let image = ensure_image(engine, &service.image, &log).await?;
    if service.image.entrypoint_refused {
        log.warning("Entrypoint override disabled");
    }
    let check = check(service, &image)?;
    let name = format!("{}-{}", plan.names.unique, service.role);
    let id = engine
        .despite_outages(|again| start_container(engine, plan, service, &image, &name, again))
        .await
        .with_context(|| format!("service {}", service.title))
        .map_err(JobError::System)?;
    Ok(Service {
        id,
        name,
        label: service.aliases.join("-"),
        check,
    })
}

/// Gives the container's ID. `again`: an earlier try may have made it, or the secrets.
async fn start_container(
    engine: &Engine,
    plan: &JobPlan,
    service: &ServicePlan,
    image: &Image,
    name: &str,
    again: bool,
) -> anyhow::Result<String> {
    if again {
        try_discard(engine, name).await;
    }
    create_secrets(engine, plan, service, again).await?;
    let spec = spec::service_container(plan, service, image, engine.settings());
    let id = engine.create(&spec).await?;
    engine.client.start(&id).await.context("start container")?;
    Ok(id)
}

async fn create_secrets(engine: &Engine, plan: &JobPlan, service: &ServicePlan, again: bool) -> anyhow::Result<()> {
    for (key, value) in service.secrets() {
        let secret = SecretSpec {
            name: spec::secret_name(plan, service, key),
            value: value.expose().into(),
            labels: plan.labels.for_kind("service"),
        };
        match engine.client.create_secret(&secret).await {
            Ok(_) => {}
            // podman made it before it went away.
            Err(pipglr_podman::Error::Conflict { .. }) if again => {}
            Err(error) => return Err(error).with_context(|| format!("hand over the variable {key}")),
        }
    }
    Ok(())
}

/// `HEALTHCHECK_TCP_PORT` wins over the image's own check, which wins over the ports the image names.
fn check(service: &ServicePlan, image: &Image) -> Result<Check, JobError> {
    let named = |key: &str| key.eq_ignore_ascii_case("HEALTHCHECK_TCP_PORT");
    let of_service = service.environment.iter().find(|(key, _)| named(key));
    let of_image = || {
        let entries = image.config.env.iter().filter_map(|entry| entry.split_once('='));
        entries.into_iter().find(|(key, _)| named(key)).map(|(_, value)| value)
    };
    let port = of_service
        .map(|(_, variable)| variable.value.expose())
        .or_else(of_image);
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        return match port.parse() {
            Ok(port) => Ok(Check::Ports(vec![port])),
            Err(_) => Err(JobError::Configuration(format!(
                "HEALTHCHECK_TCP_PORT of service {} is not a port: {port:?}",
                service.title
            ))),
        };
    }
    if let Some(health) = &image.healthcheck
        && matches!(health.test.first().map(String::as_str), Some("CMD" | "CMD-SHELL"))
    {
        return Ok(Check::Health(health.clone()));
    }
    let mut ports: Vec<u16> = image.config.exposed_ports().filter_map(tcp_port).collect();
    ports.sort_unstable();
    ports.truncate(MOST_PORTS);
    Ok(if ports.is_empty() {
        Check::Nothing
    } else {
        Check::Ports(ports)
    })
}

/// `5432/tcp` or `5432`.
fn tcp_port(text: &str) -> Option<u16> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    port.parse().ok().filter(|_| protocol == "tcp")
}
