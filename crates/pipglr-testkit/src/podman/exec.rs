//! Processes beside a container's own: the probe of services' ports, the checks of their images, web terminals.

use super::http::{HttpRequest, Reply, frame};
use super::record::Exec;
use super::script::Ports;
use super::state::{Piece, State};
use super::terminal;
use crate::watched::Watched;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub(super) fn create(state: &mut State, container: &str, request: &HttpRequest) -> Reply {
    let Some(id) = state.find(container) else {
        return Reply::refusal(404, "no such container", container);
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let command = body["Cmd"].as_array().into_iter().flatten();
    state.record.execs.push(Exec {
        container: state.containers[&id].name.clone(),
        service: service_of(state, &id),
        command: command
            .map(|part| part.as_str().unwrap_or_default().to_owned())
            .collect(),
        request: body.clone(),
        plan: None,
        exit_code: 0,
    });
    Reply::json(201, &json!({"Id": (state.record.execs.len() - 1).to_string()}))
}

/// What a service's image is called, as its label says.
fn service_of(state: &State, id: &str) -> String {
    let labels = &state.containers[id].labels;
    labels
        .get("com.gitlab.gitlab-runner.service")
        .cloned()
        .unwrap_or_default()
}

pub(super) fn start(state: &Arc<Watched<State>>, number: &str) -> Reply {
    let Some(number) = index(&state.read(), number) else {
        return Reply::refusal(404, "no such exec session", number);
    };
    let exec = state.read().record.execs[number].clone();
    if exec.command.iter().any(|part| part == "job-terminal") {
        return terminal::start(state, number);
    }
    let (sender, output) = unbounded_channel();
    let (input, _) = unbounded_channel();
    if exec.command.iter().any(|part| part == "probe-ports") {
        let targets: Vec<String> = exec
            .command
            .into_iter()
            .filter(|part| !part.starts_with("--"))
            .skip(2)
            .collect();
        tokio::spawn(probe(state.clone(), targets, sender));
    } else {
        state.change(|s| {
            let codes = s.checks.get_mut(&exec.service);
            let code = codes.and_then(std::collections::VecDeque::pop_front).unwrap_or(0);
            s.record.execs[number].exit_code = code;
        });
    }
    Reply::Hijack { output, input }
}

/// Names each service whose ports answer. Ends when all that ever will have.
async fn probe(state: Arc<Watched<State>>, targets: Vec<String>, sender: UnboundedSender<Piece>) {
    let probes = targets.iter().enumerate().map(|(number, target)| {
        let (host, _) = target.split_once(':').expect("HOST:PORTS");
        let s = state.read();
        let id = s.containers.keys().find(|id| id.starts_with(host));
        let ports = id.and_then(|id| s.ports.get(&service_of(&s, id))).cloned();
        let sender = sender.clone();
        async move {
            match ports.unwrap_or(Ports::Open) {
                Ports::Open => {}
                Ports::After(gate) => gate.passed().await,
                Ports::Never => return,
            }
            // The engine may have lost interest.
            let _ = sender.send(Piece::Bytes(frame(1, format!("{number}\n").as_bytes())));
        }
    });
    let probes: Vec<_> = probes.map(tokio::spawn).collect();
    for probe in probes {
        probe.await.expect("a probe does not panic");
    }
}

pub(super) fn inspect(state: &State, number: &str) -> Reply {
    match index(state, number) {
        Some(number) => Reply::json(
            200,
            &json!({"Running": false, "ExitCode": state.record.execs[number].exit_code, "Pid": 0}),
        ),
        None => Reply::refusal(404, "no such exec session", number),
    }
}

fn index(state: &State, number: &str) -> Option<usize> {
    number.parse().ok().filter(|n| *n < state.record.execs.len())
}
