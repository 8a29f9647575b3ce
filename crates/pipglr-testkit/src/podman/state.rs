//! Everything the fake podman remembers.

use super::record::{Created, Record};
use super::{Act, Image};
use crate::Gate;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;

#[derive(Debug, Default)]
pub(super) struct State {
    /// By reference.
    pub(super) images: BTreeMap<String, Image>,
    /// What a pull can get.
    pub(super) registry: BTreeMap<String, Image>,
    pub(super) pull_failures: HashMap<String, VecDeque<String>>,
    pub(super) pull_gate: Option<Gate>,
    /// Name to labels.
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// Name to labels.
    pub(super) networks: BTreeMap<String, BTreeMap<String, String>>,
    /// Name to labels.
    pub(super) secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// Controllers of control groups; all where a test says nothing.
    pub(super) controllers: Option<Vec<String>>,
    /// By service.
    pub(super) ports: HashMap<String, super::Ports>,
    /// Exit codes by service.
    pub(super) checks: HashMap<String, VecDeque<i32>>,
    /// By ID.
    pub(super) containers: BTreeMap<String, Container>,
    /// By job (or any) and stage.
    pub(super) scripts: HashMap<(Option<String>, String), Vec<Act>>,
    pub(super) terminals: Vec<super::terminal::Terminal>,
    pub(super) faults: Vec<Fault>,
    /// Calls that are without an answer for ever.
    pub(super) frozen: usize,
    /// How many containers somebody else removed.
    pub(super) vanished: usize,
    pub(super) record: Record,
}

/// Calls that go wrong.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) part: String,
    pub(super) left: usize,
    pub(super) outcome: Outcome,
}

/// How a call goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// With this status and message.
    Refused(u16, String),
    /// With the connection, nothing done.
    Lost,
    /// With the connection, after it was carried out.
    AnswerLost,
    /// No answer, ever.
    Frozen { applied: bool },
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) status: Status,
    pub(super) exit_code: i32,
    /// Whether podman saw it end.
    pub(super) seen_ending: bool,
    pub(super) oom_killed: bool,
    /// Stream number and bytes, a line or a part of one each.
    pub(super) log: Vec<(u8, Vec<u8>)>,
    pub(super) attached: Vec<UnboundedSender<Piece>>,
    pub(super) input: UnboundedSender<Vec<u8>>,
    pub(super) input_end: Option<UnboundedReceiver<Vec<u8>>>,
    pub(super) signals: UnboundedSender<String>,
    pub(super) signals_end: Option<UnboundedReceiver<String>>,
    pub(super) process: Option<AbortHandle>,
    /// Index in the record.
    pub(super) index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    /// Set up, its process not started.
    Initialized,
    Running,
    Exited,
}

/// What goes out over an attach connection.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// Closes the connection.
    Cut,
}

impl State {
    /// Adds a container and gives its ID.
    pub(super) fn add_container(&mut self, name: &str, spec: Value) -> String {
        let labels = spec["labels"].as_object().into_iter().flatten();
        let labels = labels
            .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
            .collect();
        let index = self.record.created.len();
        // Its first twelve digits are a name of their own.
        let id = format!("{:012x}{:052x}", 0xc0de_0000_u64 + index as u64, 0);
        let (input, input_end) = tokio::sync::mpsc::unbounded_channel();
        let (signals, signals_end) = tokio::sync::mpsc::unbounded_channel();
        let container = Container {
            name: name.to_owned(),
            labels,
            status: Status::Created,
            exit_code: 0,
            seen_ending: false,
            oom_killed: false,
            log: Vec::new(),
            attached: Vec::new(),
            input,
            input_end: Some(input_end),
            signals,
            signals_end: Some(signals_end),
            process: None,
            index,
        };
        self.containers.insert(id.clone(), container);
        self.record.created.push(Created {
            id: id.clone(),
            name: name.to_owned(),
            spec,
            plan: None,
            signals: Vec::new(),
            stages: Vec::new(),
            exit_code: None,
        });
        id
    }

    pub(super) fn leave_container(&mut self, name: &str, labels: &[(&str, &str)]) {
        let labels: serde_json::Map<String, Value> = labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        self.add_container(name, json!({"name": name, "labels": labels}));
    }

    /// The ID of the container that has this name or ID.
    pub(super) fn find(&self, name: &str) -> Option<String> {
        self.containers
            .iter()
            .find(|(id, c)| id.as_str() == name || c.name == name)
            .map(|(id, _)| id.clone())
    }

    /// Writes to a container's log and to whoever is attached.
    pub(super) fn write(&mut self, id: &str, stream: u8, bytes: &[u8]) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.log.extend(
            bytes
                .split_inclusive(|b| *b == b'\n')
                .map(|line| (stream, line.to_vec())),
        );
        container
            .attached
            .retain(|a| a.send(Piece::Bytes(super::http::frame(stream, bytes))).is_ok());
    }

    /// Ends the attach connections of a container.
    pub(super) fn cut_attached(&mut self, id: &str, mid_frame: bool) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        for attached in container.attached.drain(..) {
            if mid_frame {
                let whole = super::http::frame(1, b"never arrives whole");
                // The connection may be gone already.
                let _ = attached.send(Piece::Bytes(whole[..11].to_vec()));
            }
            let _ = attached.send(Piece::Cut);
        }
    }

    /// Somebody else removes the container, if that happened fewer than `times` times. Says whether it did.
    pub(super) fn vanish(&mut self, id: &str, times: usize) -> bool {
        if self.vanished >= times {
            return false;
        }
        self.vanished += 1;
        self.cut_attached(id, false);
        self.containers.remove(id).is_some()
    }

    /// Everything that runs is gone at once, podman with it.
    pub(super) fn lose_power(&mut self) {
        for container in self.containers.values_mut() {
            container.attached.clear();
            if let Some(process) = container.process.take() {
                process.abort();
            }
            // What podman makes of it when it starts again.
            if container.status == Status::Running {
                container.status = Status::Exited;
            }
        }
    }

    /// The container's process is gone.
    pub(super) fn ended(&mut self, id: &str, exit_code: i32) {
        self.end_terminals(id);
        self.cut_attached(id, false);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.status = Status::Exited;
        container.exit_code = exit_code;
        container.seen_ending = true;
        self.record.created[container.index].exit_code = Some(exit_code);
    }
}
