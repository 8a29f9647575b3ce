//! Networks and secrets: names with labels.

use super::http::{HttpRequest, Reply};
use super::routes::matches_filters;
use super::state::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn labels_of(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().into_iter().flatten();
    labels
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn as_json(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({"name": name, "id": format!("id-of-{name}"), "driver": "bridge", "labels": labels, "dns_enabled": true})
}

pub(super) fn create(state: &mut State, request: &HttpRequest) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(name) = body["name"].as_str().filter(|n| !n.is_empty()) else {
        state.record.violations.push("a network without a name".to_owned());
        return Reply::refusal(500, "no name", "a network needs a name");
    };
    if state.networks.contains_key(name) {
        let message = format!("network name {name} already used: network already exists");
        return Reply::refusal(409, "network already exists", &message);
    }
    let labels = labels_of(&body["labels"]);
    let reply = Reply::json(200, &as_json(name, &labels));
    state.networks.insert(name.to_owned(), labels);
    state.record.networks_created.push(body.clone());
    reply
}

pub(super) fn list(state: &State, request: &HttpRequest) -> Reply {
    let found = state
        .networks
        .iter()
        .filter(|(_, labels)| matches_filters(request, labels));
    Reply::json(200, &found.map(|(name, labels)| as_json(name, labels)).collect())
}

pub(super) fn remove(state: &mut State, name: &str) -> Reply {
    match state.networks.remove(name) {
        Some(_) => Reply::json(200, &json!([{"Name": name, "Err": null}])),
        None => Reply::refusal(
            404,
            "network not found",
            &format!("unable to find network with name or ID {name}: network not found"),
        ),
    }
}

pub(super) fn create_secret(state: &mut State, request: &HttpRequest) -> Reply {
    let name = request.parameter("name").unwrap_or_default();
    if name.is_empty() || request.body.is_empty() || state.secrets.contains_key(&name) {
        let message = format!("secret {name:?}: no name, no value, or there is one");
        return Reply::refusal(500, "secret name in use", &message);
    }
    let labels: Value = serde_json::from_str(&request.parameter("labels").unwrap_or_default()).unwrap_or_default();
    let value = String::from_utf8_lossy(&request.body).into_owned();
    state.record.secrets_created.push((name.clone(), value));
    state.secrets.insert(name.clone(), labels_of(&labels));
    Reply::json(200, &json!({"ID": name}))
}

pub(super) fn list_secrets(state: &State) -> Reply {
    let all = state
        .secrets
        .iter()
        .map(|(name, labels)| json!({"ID": name, "Spec": {"Name": name, "Labels": labels}}));
    Reply::json(200, &all.collect())
}

pub(super) fn remove_secret(state: &mut State, name: &str) -> Reply {
    match state.secrets.remove(name) {
        Some(_) => Reply::empty(204),
        None => Reply::refusal(404, "no such secret", &format!("{name}: no such secret")),
    }
}
