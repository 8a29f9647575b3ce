//! What a job made on the engine, and how it goes away: at the job's end by name, after a crash by label.

use super::{Engine, groups, spec};
use crate::job::plan::JobPlan;
use pipglr_podman::{Filters, NetworkSpec, RemoveOptions, VolumeSpec};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time for the removal of one job's objects.
///
/// Compat: gitlab-runner executors/docker/consts.go.
const REMOVAL_LIMIT: Duration = Duration::from_secs(300);
/// Marks volumes that end with their job.
const TEMPORARY: &str = "pipglr.temporary";

/// Roles of containers a job can have.
const ROLES: [&str; 3] = ["build", "helper-prepare", "helper-finish"];

/// Creates the job's volumes, labelled so that a crash cannot leak them.
///
/// # Errors
/// podman refuses or is not there.
pub async fn create_volumes(engine: &Engine, plan: &JobPlan) -> Result<(), pipglr_podman::Error> {
    let of_sources = (&plan.builds.name, &plan.builds.directory);
    let further = plan.volumes.iter().map(|v| (&v.source, &v.destination));
    let named = std::iter::once(of_sources)
        .chain(further)
        .filter(|(name, _)| !name.starts_with('/'));
    for (name, destination) in named {
        let temporary = name.starts_with(&plan.names.unique);
        let mut labels = plan.labels.for_volume(destination, !temporary);
        if temporary {
            labels.insert(TEMPORARY.to_owned(), "true".to_owned());
        }
        let volume = VolumeSpec {
            name: name.clone(),
            driver: plan.options.volume_driver.clone(),
            options: plan.options.volume_options.clone(),
            labels,
        };
        let created = engine.despite_outages(|_| engine.client.create_volume(&volume));
        match created.await {
            // An earlier job of this slot left it for us.
            Ok(_) | Err(pipglr_podman::Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Creates the network the job's containers share, where it has one.
///
/// # Errors
/// podman refuses or is not there.
pub async fn create_network(engine: &Engine, plan: &JobPlan) -> Result<(), pipglr_podman::Error> {
    let Some(own) = plan.network.own() else {
        return Ok(());
    };
    let mut network = NetworkSpec {
        labels: plan.labels.for_kind("network"),
        ipv6_enabled: own.ipv6,
        ..NetworkSpec::bridge(&own.name)
    };
    if own.mtu > 0 {
        network.options.insert("mtu".to_owned(), own.mtu.to_string());
    }
    let network = &network;
    let create = |again| async move {
        match engine.client.create_network(network).await {
            // podman made it before it went away.
            Err(pipglr_podman::Error::Conflict { .. }) if again => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    };
    engine.despite_outages(create).await
}

/// Removes a job's containers and the volumes that are not kept. Everything is tried; failures are for the operator,
/// and what is left is tried again later and at the next start. True if nothing is left.
pub async fn remove_job_objects(engine: &Engine, plan: &JobPlan) -> bool {
    // On a full disk podman cannot even remove something.
    engine.disk().inspect(|disk| disk.make_room());
    let removal = async {
        let left = remove_all(engine, &objects_of(plan)).await;
        // podman may fail to end a container that is just ending: a second try meets one that has ended.
        remove_all(engine, &left).await
    };
    if let Ok(left) = tokio::time::timeout(REMOVAL_LIMIT, removal).await {
        let all_gone = left.is_empty();
        engine.leftovers.add(left);
        return all_gone;
    }
    tracing::error!(
        name = plan.names.unique,
        "podman does not answer: containers and volumes of a job are left for later"
    );
    engine.leftovers.add(objects_of(plan));
    false
}

/// Tries again to remove what could not be removed.
pub(crate) async fn remove_leftovers(engine: &Engine) {
    let left = engine.leftovers.take();
    if left.is_empty() {
        return;
    }
    tracing::info!(count = left.len(), "what could not be removed is tried again");
    engine.leftovers.add(remove_all(engine, &left).await);
}

/// Something a job made, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    /// With its anonymous volumes, or without.
    Container {
        name: String,
        volumes: bool,
    },
    Network(String),
    Secret(String),
    Volume(String),
}

/// What could not be removed yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers(Arc<Mutex<BTreeSet<Object>>>);

impl Leftovers {
    fn add(&self, objects: Vec<Object>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(objects);
    }

    fn take(&self) -> Vec<Object> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        taken.into_iter().collect()
    }
}

/// What goes with a job, containers first.
fn objects_of(plan: &JobPlan) -> Vec<Object> {
    let services = &plan.services.list;
    let roles = ROLES.iter().copied().chain(services.iter().map(|s| s.role.as_str()));
    let containers = roles.map(|role| Object::Container {
        name: plan.names.container(role),
        volumes: !plan.options.keep_anonymous_volumes,
    });
    let network = plan.network.own().map(|own| Object::Network(own.name.clone()));
    let secrets = services.iter().flat_map(|service| {
        let keys = service.secrets();
        keys.map(move |(key, _)| Object::Secret(spec::secret_name(plan, service, key)))
    });
    let own = |source: &&String| source.starts_with(&plan.names.unique);
    let volumes = plan.volumes.iter().map(|v| &v.source).filter(own);
    let builds = (!plan.builds.reusable).then_some(&plan.builds.name);
    let volumes = volumes.chain(builds).cloned().map(Object::Volume);
    containers.chain(network).chain(secrets).chain(volumes).collect()
}

/// Removes containers at the same time, then the rest in order. Gives what is left.
async fn remove_all(engine: &Engine, objects: &[Object]) -> Vec<Object> {
    let (containers, others): (Vec<_>, Vec<_>) = objects
        .iter()
        .partition(|object| matches!(object, Object::Container { .. }));
    let containers = containers.into_iter().map(|object| remove(engine, object));
    let containers = futures_util::future::join_all(containers).await;
    let mut left: Vec<Object> = containers.into_iter().flatten().collect();
    for object in others {
        left.extend(remove(engine, object).await);
    }
    left
}

/// Gives the object back if it cannot be removed.
async fn remove(engine: &Engine, object: &Object) -> Option<Object> {
    let client = &engine.client;
    let removed = engine.despite_outages(|_| async {
        match object {
            Object::Container { name, volumes } => {
                let options = RemoveOptions {
                    volumes: *volumes,
                    ..RemoveOptions::NOW
                };
                client.remove(name, options).await
            }
            Object::Network(name) => client.remove_network(name, true).await,
            Object::Secret(name) => client.remove_secret(name).await,
            Object::Volume(name) => client.remove_volume(name, true).await,
        }
    });
    match removed.await {
        Ok(_) => {
            if let Object::Container { name, .. } = object {
                groups::remove(engine, name);
            }
            None
        }
        Err(error) => {
            tracing::warn!(?object, %error, "it could not be removed");
            Some(object.clone())
        }
    }
}

/// Jobs that go on: what belongs to them is no leftover.
#[derive(Debug, Default)]
pub struct Keep(Vec<String>);

impl Keep {
    /// Those whose objects have these unique names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether an object of this name belongs to one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|unique| name.starts_with(unique))
    }
}

/// Removes containers, networks, secrets and temporary volumes an earlier run of this manager left, but not what is to
/// be kept. Returns how many there were.
///
/// # Errors
/// podman cannot be asked.
pub async fn reap_leftovers(engine: &Engine, system_id: &str, keep: &Keep) -> Result<usize, pipglr_podman::Error> {
    let filters = Filters::label(format!("pipglr.system_id={system_id}"));
    let mut left = engine.client.containers(&filters, true).await?;
    left.retain(|container| !container.names.iter().any(|name| keep.has(name)));
    for container in &left {
        if let Err(error) = engine.client.remove(&container.id, RemoveOptions::NOW).await {
            tracing::warn!(container = container.id, %error, "leftover container could not be removed");
        } else {
            container.names.iter().for_each(|name| groups::remove(engine, name));
        }
    }
    let mut networks = engine.client.networks(&filters).await?;
    networks.retain(|network| !keep.has(&network.name));
    for network in &networks {
        if let Err(error) = engine.client.remove_network(&network.name, true).await {
            tracing::warn!(network = network.name, %error, "leftover network could not be removed");
        }
    }
    let mut secrets = engine.client.secrets().await?;
    secrets.retain(|s| s.spec.labels.get("pipglr.system_id").is_some_and(|id| id == system_id));
    secrets.retain(|secret| !keep.has(&secret.spec.name));
    for secret in &secrets {
        if let Err(error) = engine.client.remove_secret(&secret.id).await {
            tracing::warn!(secret = secret.spec.name, %error, "leftover secret could not be removed");
        }
    }
    let mut volumes = engine
        .client
        .volumes(&filters.and("label", format!("{TEMPORARY}=true")))
        .await?;
    // podman before 4.4 takes one of several labels for enough: caches would be removed, and what others use.
    let has =
        |volume: &pipglr_podman::Volume, key: &str, value: &str| volume.labels.get(key).is_some_and(|v| v == value);
    volumes.retain(|v| has(v, TEMPORARY, "true") && has(v, "pipglr.system_id", system_id) && !keep.has(&v.name));
    for volume in &volumes {
        if let Err(error) = engine.client.remove_volume(&volume.name, true).await {
            tracing::warn!(volume = volume.name, %error, "leftover volume could not be removed");
        }
    }
    Ok(left.len() + networks.len() + secrets.len() + volumes.len())
}
