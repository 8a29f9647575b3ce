//! Named volumes.

use super::http::{HttpRequest, Reply};
use super::routes::matches_filters;
use super::state::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn as_json(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({"Name": name, "Driver": "local", "Mountpoint": format!("/volumes/{name}/_data"), "Labels": labels, "Options": {}})
}

pub(super) fn create(state: &mut State, request: &HttpRequest) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(name) = body["Name"].as_str().filter(|n| !n.is_empty()) else {
        state.record.violations.push("a volume without a name".to_owned());
        return Reply::refusal(500, "no name", "a volume needs a name");
    };
    if let Some(labels) = state.volumes.get(name) {
        // Only podman 4.6 and later know the switch, spelled like this.
        if body["IgnoreIfExists"] == json!(true) {
            return Reply::json(201, &as_json(name, labels));
        }
        let message = format!("volume with name {name} already exists: volume already exists");
        return Reply::refusal(500, "volume already exists", &message);
    }
    let labels = body["Labels"].as_object().into_iter().flatten();
    let labels: BTreeMap<String, String> = labels
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect();
    let reply = Reply::json(201, &as_json(name, &labels));
    state.volumes.insert(name.to_owned(), labels);
    state.record.volumes_created.push(name.to_owned());
    reply
}

pub(super) fn list(state: &State, request: &HttpRequest) -> Reply {
    let found = state
        .volumes
        .iter()
        .filter(|(_, labels)| matches_filters(request, labels));
    Reply::json(200, &found.map(|(name, labels)| as_json(name, labels)).collect())
}

pub(super) fn remove(state: &mut State, name: &str) -> Reply {
    match state.volumes.remove(name) {
        Some(_) => Reply::empty(204),
        None => Reply::refusal(
            404,
            "no such volume",
            &format!("no volume with name {name:?} found: no such volume"),
        ),
    }
}
