//! Which call is which.

use super::http::{HttpRequest, Reply, decode};
use super::record::Call;
use super::state::{Outcome, State};
use super::{containers, exec, images, networks, volumes};
use crate::watched::Watched;
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn answer(state: &Arc<Watched<State>>, request: HttpRequest) -> Reply {
    let line = format!("{} {}", request.method, decode(&request.path));
    let fault = state.change(|s| {
        s.record.calls.push(Call {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            body: request.body.clone(),
            received: Instant::now(),
        });
        let fault = s.faults.iter_mut().find(|f| f.left > 0 && line.contains(&f.part))?;
        fault.left -= 1;
        Some(fault.outcome.clone())
    });
    match fault {
        Some(Outcome::Refused(status, message)) => Reply::refusal(status, &message, &message),
        Some(Outcome::Lost) => Reply::Lost,
        Some(Outcome::AnswerLost) => {
            drop(carry_out(state, &request, &line).await);
            Reply::Lost
        }
        Some(Outcome::Frozen { applied }) => {
            if applied {
                drop(carry_out(state, &request, &line).await);
            }
            state.change(|s| s.frozen += 1);
            std::future::pending().await
        }
        None => carry_out(state, &request, &line).await,
    }
}

async fn carry_out(state: &Arc<Watched<State>>, request: &HttpRequest, line: &str) -> Reply {
    if let Some(reference) = line.strip_prefix("GET /images/").and_then(|r| r.strip_suffix("/json")) {
        return images::inspect(&state.read(), reference);
    }
    let segments: Vec<String> = request.path.trim_start_matches('/').split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["_ping"]) => Reply::Whole {
            status: 200,
            body: b"OK".to_vec(),
        },
        ("GET", ["info"]) => info(&state.read()),
        ("GET", ["images", "json"]) => images::list(&state.read()),
        ("DELETE", ["images", name @ ..]) => state.change(|s| images::remove(s, &name.join("/"))),
        ("POST", ["images", "pull"]) => images::pull(state, request).await,
        ("POST", ["volumes", "create"]) => state.change(|s| volumes::create(s, request)),
        ("GET", ["volumes", "json"]) => volumes::list(&state.read(), request),
        ("DELETE", ["volumes", name]) => state.change(|s| volumes::remove(s, name)),
        ("POST", ["networks", "create"]) => state.change(|s| networks::create(s, request)),
        ("GET", ["networks", "json"]) => networks::list(&state.read(), request),
        ("DELETE", ["networks", name]) => state.change(|s| networks::remove(s, name)),
        ("POST", ["secrets", "create"]) => state.change(|s| networks::create_secret(s, request)),
        ("GET", ["secrets", "json"]) => networks::list_secrets(&state.read()),
        ("DELETE", ["secrets", name]) => state.change(|s| networks::remove_secret(s, name)),
        ("POST", ["containers", name, "exec"]) => state.change(|s| exec::create(s, name, request)),
        ("POST", ["exec", number, "start"]) => exec::start(state, number),
        ("GET", ["exec", number, "json"]) => exec::inspect(&state.read(), number),
        ("POST", ["containers", "create"]) => state.change(|s| containers::create(s, request)),
        ("GET", ["containers", "json"]) => containers::list(&state.read(), request),
        ("POST", ["containers", name, "attach"]) => state.change(|s| containers::attach(s, name)),
        ("POST", ["containers", name, "start"]) => containers::start(state, name),
        ("POST", ["containers", name, "kill"]) => state.change(|s| containers::kill(s, name, request)),
        ("GET", ["containers", name, "json"]) => containers::inspect(&state.read(), name),
        ("GET", ["containers", name, "logs"]) => containers::logs(state, name, request),
        ("DELETE", ["containers", name]) => state.change(|s| containers::remove(s, name, request)),
        _ => {
            state.change(|s| s.record.violations.push(format!("{line}: no such call")));
            Reply::refusal(404, "not found", line)
        }
    }
}

/// What the engine wants to know of podman itself.
fn info(state: &State) -> Reply {
    let all = || ["cpuset", "cpu", "memory", "pids"].map(str::to_owned).into();
    Reply::json(
        200,
        &serde_json::json!({
            "host": {"arch": "amd64", "cgroupVersion": "v2", "cgroupManager": "cgroupfs",
                "cgroupControllers": state.controllers.clone().unwrap_or_else(all), "security": {"rootless": true}},
            "store": {"graphDriverName": "overlay", "graphRoot": "/storage"},
            "version": {"Version": "5.4.2"},
        }),
    )
}

/// Whether labels satisfy the `label` filters of a list call.
pub(super) fn matches_filters(request: &HttpRequest, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let filters = request.parameter("filters").unwrap_or_default();
    let filters: serde_json::Value = serde_json::from_str(&filters).unwrap_or_default();
    filters["label"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        })
}
