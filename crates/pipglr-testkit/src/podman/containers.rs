//! Containers: made, attached to, started, signalled, looked at, removed.

use super::http::{HttpRequest, Reply, frame};
use super::process;
use super::routes::matches_filters;
use super::state::{Container, Piece, State, Status};
use crate::watched::Watched;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::unbounded_channel;

fn missing(name: &str) -> Reply {
    Reply::refusal(
        404,
        "no such container",
        &format!("no container with name or ID {name:?} found: no such container"),
    )
}

pub(super) fn create(state: &mut State, request: &HttpRequest) -> Reply {
    let spec: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let name = spec["name"].as_str().unwrap_or_default().to_owned();
    let image = spec["image"].as_str().unwrap_or_default();
    let has_root = spec["rootfs"].is_string();
    if name.is_empty() || has_root != image.is_empty() {
        state.record.violations.push(format!(
            "container {name:?}: wants a name, and either an image or a rootfs"
        ));
    }
    if state.find(&name).is_some() {
        let message = format!(
            "creating container storage: the container name {name:?} is already in use: that name is already in use"
        );
        return Reply::refusal(409, "that name is already in use", &message);
    }
    if !has_root
        && !state
            .images
            .iter()
            .any(|(reference, i)| reference == image || i.id == image)
    {
        return Reply::refusal(404, "image not known", &format!("{image}: image not known"));
    }
    // podman makes named volumes that are not there.
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        if let Some(volume) = volume["Name"].as_str() {
            state.volumes.entry(volume.to_owned()).or_default();
        }
    }
    let id = state.add_container(&name, spec);
    Reply::json(201, &json!({"Id": id, "Warnings": []}))
}

pub(super) fn attach(state: &mut State, name: &str) -> Reply {
    let Some(id) = state.find(name) else {
        return missing(name);
    };
    let container = state.containers.get_mut(&id).expect("found");
    let (sender, output) = unbounded_channel();
    if container.status == Status::Exited {
        let _ = sender.send(Piece::Cut);
    } else {
        // As podman does: the container is set up before anybody can be attached to it.
        if container.status == Status::Created {
            container.status = Status::Initialized;
        }
        container.attached.push(sender);
    }
    Reply::Hijack {
        output,
        input: container.input.clone(),
    }
}

pub(super) fn start(state: &Arc<Watched<State>>, name: &str) -> Reply {
    let shared = state.clone();
    state.change(|s| {
        let Some(id) = s.find(name) else {
            return missing(name);
        };
        let container = s.containers.get_mut(&id).expect("found");
        let (Some(input), Some(signals)) = (container.input_end.take(), container.signals_end.take()) else {
            return Reply::empty(304);
        };
        container.status = Status::Running;
        let job = container.labels.get("pipglr.job").cloned();
        let task = tokio::spawn(process::run(shared, id.clone(), job, input, signals));
        container.process = Some(task.abort_handle());
        Reply::empty(204)
    })
}

pub(super) fn kill(state: &mut State, name: &str, request: &HttpRequest) -> Reply {
    let Some(id) = state.find(name) else {
        return missing(name);
    };
    let signal = request.parameter("signal").unwrap_or_else(|| "SIGKILL".to_owned());
    let container = &state.containers[&id];
    if container.status != Status::Running {
        let message = format!("can only kill running containers. {id} is in state exited: container state improper");
        return Reply::refusal(409, "container state improper", &message);
    }
    state.record.created[container.index].signals.push(signal.clone());
    if signal == "SIGKILL" {
        stop_process(state, &id);
    } else if signal == "SIGHUP" {
        // Process 1 ends what came in from outside.
        state.end_terminals(&id);
    } else {
        // A process that is just ending takes no more signals.
        let _ = container.signals.send(signal);
    }
    Reply::empty(204)
}

fn stop_process(state: &mut State, id: &str) {
    let container = &state.containers[id];
    if container.status == Status::Running {
        if let Some(process) = &container.process {
            process.abort();
        }
        state.ended(id, 137);
    }
}

pub(super) fn inspect(state: &State, name: &str) -> Reply {
    let Some(id) = state.find(name) else {
        return missing(name);
    };
    let container = &state.containers[&id];
    let finished_at = match container.seen_ending {
        true => "2026-01-02T03:04:05.678901234Z",
        false => "0001-01-01T00:00:00Z",
    };
    Reply::json(
        200,
        &json!({
            "Id": id, "Name": container.name, "Image": "", "ImageName": "",
            "State": {
                "Status": word(container.status), "Running": container.status == Status::Running,
                "ExitCode": container.exit_code, "OOMKilled": container.oom_killed, "Error": "", "Pid": 0,
                "FinishedAt": finished_at,
            },
            "Config": {"Labels": container.labels, "Tty": false},
        }),
    )
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Initialized => "initialized",
        Status::Running => "running",
        Status::Exited => "exited",
    }
}

pub(super) fn list(state: &State, request: &HttpRequest) -> Reply {
    let all = request.parameter("all").is_some_and(|v| v == "true");
    let wanted = |c: &Container| (all || c.status == Status::Running) && matches_filters(request, &c.labels);
    let found = state.containers.iter().filter(|(_, c)| wanted(c)).map(|(id, c)| {
        json!({"Id": id, "Names": [c.name], "Labels": c.labels, "State": word(c.status), "ExitCode": c.exit_code})
    });
    Reply::json(200, &found.collect())
}

pub(super) fn logs(state: &Arc<Watched<State>>, name: &str, request: &HttpRequest) -> Reply {
    let Some(id) = state.read().find(name) else {
        return missing(name);
    };
    let timestamps = request.parameter("timestamps").is_some_and(|v| v == "true");
    let follow = request.parameter("follow").is_some_and(|v| v == "true");
    let (sender, receiver) = unbounded_channel();
    let state = state.clone();
    tokio::spawn(async move {
        let mut shown = 0;
        loop {
            let next = state
                .wait_forever(|s| {
                    let Some(container) = s.containers.get(&id) else {
                        return Some(None);
                    };
                    match container.log.get(shown) {
                        Some(entry) => Some(Some(entry.clone())),
                        None if follow && container.status == Status::Running => None,
                        None => Some(None),
                    }
                })
                .await;
            let Some((stream, mut bytes)) = next else { return };
            shown += 1;
            if timestamps {
                bytes.splice(..0, b"2026-01-02T03:04:05Z ".iter().copied());
            }
            if sender.send(Piece::Bytes(frame(stream, &bytes))).is_err() {
                return;
            }
        }
    });
    Reply::Stream(receiver)
}

pub(super) fn remove(state: &mut State, name: &str, request: &HttpRequest) -> Reply {
    let Some(id) = state.find(name) else {
        return missing(name);
    };
    let force = request.parameter("force").is_some_and(|v| v == "true");
    if state.containers[&id].status == Status::Running && !force {
        let message = format!("cannot remove container {id} as it is running: container state improper");
        return Reply::refusal(409, "container state improper", &message);
    }
    stop_process(state, &id);
    state.containers.remove(&id);
    Reply::json(200, &json!([{"Id": id}]))
}
