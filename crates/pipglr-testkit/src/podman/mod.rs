//! podman's service as the engine sees it: libpod's API on a Unix socket, with containers that run a scripted behaviour.
//!
//! Images exist, can be pulled, or fail to be. A container's process reads one line of JSON (its plan) and plays the
//! [`Act`]s a test wrote down for each stage the plan names, announcing stages as process 1 of a job container does. All
//! output is kept in the container's log, whatever becomes of the attach connection. What is left over at the end can be
//! asked for.

mod containers;
mod exec;
mod http;
mod images;
mod networks;
mod process;
mod record;
mod routes;
mod script;
mod state;
mod terminal;
mod volumes;

pub(crate) use http::decode;
pub use images::Image;
pub use record::{Call, Created, Exec, Pull, Record};
pub use script::{Act, Ports};

use crate::watched::Watched;
use serde_json::Value;
use state::{Fault, Outcome, State};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The image jobs of [`crate::gitlab::JobBuilder`] ask for; every fake can pull it.
pub const ALPINE: &str = "docker.io/library/alpine:3.20";

/// The fake. Stops when dropped.
#[derive(Debug)]
pub struct FakePodman {
    directory: TempDir,
    state: Arc<Watched<State>>,
    server: JoinHandle<()>,
}

impl Drop for FakePodman {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakePodman {
    /// Listens on a socket in a directory of its own.
    ///
    /// # Panics
    /// There is no place for temporary files.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = Arc::new(Watched::new(State::default()));
        let server = http::serve(&directory.path().join("podman.sock"), state.clone());
        let fake = Self {
            directory,
            state,
            server,
        };
        fake.pullable(ALPINE, Image::default());
        fake
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("podman.sock")
    }

    /// An image that is there already.
    pub fn add_image(&self, reference: &str, image: Image) {
        self.state.change(|s| s.images.insert(reference.to_owned(), image));
    }

    /// An image a registry has.
    pub fn pullable(&self, reference: &str, image: Image) {
        self.state.change(|s| s.registry.insert(reference.to_owned(), image));
    }

    /// The next `times` pulls of `reference` fail with podman's `message`.
    pub fn pull_fails(&self, reference: &str, times: usize, message: &str) {
        self.state.change(|s| {
            s.pull_failures
                .entry(reference.to_owned())
                .or_default()
                .extend(std::iter::repeat_n(message.to_owned(), times));
        });
    }

    /// Pulls wait at `gate`.
    pub fn hold_pulls(&self, gate: &crate::Gate) {
        self.state.change(|s| s.pull_gate = Some(gate.clone()));
    }

    /// What a stage (`step_script`, `get_sources`, …) does in every job that has nothing written down for itself.
    pub fn on_stage(&self, stage: &str, acts: impl IntoIterator<Item = Act>) {
        let acts = acts.into_iter().collect();
        self.state.change(|s| s.scripts.insert((None, stage.to_owned()), acts));
    }

    /// What a stage does in one job, known by the label `pipglr.job`.
    pub fn on_stage_of(&self, job: u64, stage: &str, acts: impl IntoIterator<Item = Act>) {
        let acts = acts.into_iter().collect();
        self.state
            .change(|s| s.scripts.insert((Some(job.to_string()), stage.to_owned()), acts));
    }

    /// What the main process of a service does, known by its image without registry's port and tag. It then goes on
    /// for ever, unless an act ends it.
    pub fn on_service(&self, service: &str, acts: impl IntoIterator<Item = Act>) {
        self.on_stage(&format!("service:{service}"), acts);
    }

    /// Controllers of control groups podman may use.
    pub fn has_controllers(&self, controllers: &[&str]) {
        let controllers = controllers.iter().map(|c| (*c).to_owned()).collect();
        self.state.change(|s| s.controllers = Some(controllers));
    }

    /// Whether and when the ports of a service answer; by default at once.
    pub fn on_ports(&self, service: &str, ports: Ports) {
        self.state.change(|s| s.ports.insert(service.to_owned(), ports));
    }

    /// Exit codes of the first runs of a service's own check; later ones are 0.
    pub fn on_checks(&self, service: &str, codes: impl IntoIterator<Item = i32>) {
        let codes = codes.into_iter().collect();
        self.state.change(|s| s.checks.insert(service.to_owned(), codes));
    }

    /// The next `times` calls whose `METHOD path` contains `part` are refused with this status and podman's message.
    pub fn refuse(&self, part: &str, times: usize, status: u16, message: &str) {
        let fault = Fault {
            part: part.to_owned(),
            left: times,
            outcome: Outcome::Refused(status, message.to_owned()),
        };
        self.state.change(|s| s.faults.push(fault));
    }

    /// The next `times` calls whose `METHOD path` contains `part` lose their connection and do nothing.
    pub fn lose_connection(&self, part: &str, times: usize) {
        self.state.change(|s| {
            s.faults.push(Fault {
                part: part.to_owned(),
                left: times,
                outcome: Outcome::Lost,
            });
        });
    }

    /// As [`Self::lose_connection`], but the calls are carried out.
    pub fn lose_answer(&self, part: &str, times: usize) {
        self.state.change(|s| {
            s.faults.push(Fault {
                part: part.to_owned(),
                left: times,
                outcome: Outcome::AnswerLost,
            });
        });
    }

    /// The next call whose `METHOD path` contains `part` gets no answer, ever: a moment to kill the caller. It is carried
    /// out or not.
    pub fn freeze(&self, part: &str, applied: bool) {
        self.state.change(|s| {
            s.faults.push(Fault {
                part: part.to_owned(),
                left: 1,
                outcome: Outcome::Frozen { applied },
            });
        });
    }

    /// Waits until a call is frozen.
    ///
    /// # Panics
    /// None is.
    pub async fn frozen(&self) {
        let is_frozen = |s: &State| (s.frozen > 0).then_some(());
        self.state
            .wait("a call to freeze", |s| s.record.summary(), is_frozen)
            .await;
    }

    /// podman's service dies and is started again: attach connections end, in both directions.
    pub fn lose_attached(&self) {
        self.state.change(|s| {
            let ids: Vec<String> = s.containers.keys().cloned().collect();
            for id in ids {
                s.cut_attached(&id, false);
                // A process that has its plan does not read its input any more.
                let _ = s.containers[&id].input.send(Vec::new());
            }
        });
    }

    /// The storage is made anew: no container and no volume is left.
    pub fn forget_everything(&self) {
        self.state.change(|s| {
            for container in std::mem::take(&mut s.containers).into_values() {
                if let Some(process) = container.process {
                    process.abort();
                }
            }
            s.volumes.clear();
        });
    }

    /// Everything that runs is killed at once, podman with it, which starts again.
    pub fn lose_power(&self) {
        self.state.change(State::lose_power);
    }

    /// A container another process left here.
    pub fn leave_container(&self, name: &str, labels: &[(&str, &str)]) {
        self.state.change(|s| s.leave_container(name, labels));
    }

    /// A volume another process left here.
    pub fn leave_volume(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.state.change(|s| s.volumes.insert(name.to_owned(), labels));
    }

    /// A network another process left here.
    pub fn leave_network(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.state.change(|s| s.networks.insert(name.to_owned(), labels));
    }

    /// A secret another process left here.
    pub fn leave_secret(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.state.change(|s| s.secrets.insert(name.to_owned(), labels));
    }

    /// Names of the networks and secrets there are.
    #[must_use]
    pub fn networks_and_secrets(&self) -> Vec<String> {
        let state = self.state.read();
        state.networks.keys().chain(state.secrets.keys()).cloned().collect()
    }

    /// Everything so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.state.read().record.clone()
    }

    /// Names of the containers there are.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        self.state.read().containers.values().map(|c| c.name.clone()).collect()
    }

    /// Volumes there are, with their labels.
    #[must_use]
    pub fn volumes(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.state.read().volumes.clone()
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// It does not come true.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Record) -> bool) {
        self.wait_some(what, |record| condition(record).then_some(())).await;
    }

    /// Waits until `find` gives something.
    ///
    /// # Panics
    /// It does not.
    pub async fn wait_some<T>(&self, what: &str, find: impl Fn(&Record) -> Option<T>) -> T {
        self.state.wait(what, |s| s.record.summary(), |s| find(&s.record)).await
    }

    /// Waits until no container is left.
    ///
    /// # Panics
    /// Some stay.
    pub async fn emptied(&self) {
        let left = |s: &State| s.containers.is_empty().then_some(());
        self.state
            .wait("all containers to be removed", |s| s.record.summary(), left)
            .await;
    }

    /// The plan the container with this role (end of its name) was given.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn plan(&self, role: &str) -> Value {
        let record = self.record();
        let created = record
            .created
            .iter()
            .rev()
            .find(|c| c.name.ends_with(role))
            .expect("a container of this role");
        created.plan.clone().expect("a container that got its plan")
    }
}
