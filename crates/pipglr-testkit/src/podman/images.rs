//! Images: there, or to be pulled.

use super::http::{HttpRequest, Reply};
use super::record::Pull;
use super::state::{Piece, State};
use crate::watched::Watched;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::mpsc::unbounded_channel;

/// One image.
#[derive(Debug, Clone)]
pub struct Image {
    /// 64 hexadecimal digits.
    pub id: String,
    pub architecture: String,
    /// `name@sha256:…` entries.
    pub repo_digests: Vec<String>,
    /// `Config` of the inspected image.
    pub config: Value,
    /// Its own health check, or null.
    pub healthcheck: Value,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            id: "a1".repeat(32),
            architecture: if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "amd64"
            }
            .to_owned(),
            repo_digests: Vec::new(),
            config: json!({"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"]}),
            healthcheck: Value::Null,
        }
    }
}

pub(super) fn inspect(state: &State, reference: &str) -> Reply {
    let found = state
        .images
        .get(reference)
        .or_else(|| state.images.values().find(|i| i.id == reference));
    match found {
        Some(image) => Reply::json(
            200,
            &json!({
                "Id": image.id, "Digest": "", "RepoTags": [reference], "RepoDigests": image.repo_digests,
                "Os": "linux", "Architecture": image.architecture, "Config": image.config,
                "Healthcheck": image.healthcheck,
            }),
        ),
        None => Reply::refusal(
            404,
            "image not known",
            &format!("failed to find image {reference}: {reference}: image not known"),
        ),
    }
}

/// One line for each image, with all its names.
pub(super) fn list(state: &State) -> Reply {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, image) in &state.images {
        names.entry(&image.id).or_default().push(name);
    }
    let lines = names
        .iter()
        .map(|(id, names)| json!({"Id": id, "RepoTags": names, "RepoDigests": [], "Size": 1000}));
    Reply::json(200, &lines.collect())
}

/// Removes one name; an ID is gone when its last name is.
pub(super) fn remove(state: &mut State, name: &str) -> Reply {
    state.images.remove(name);
    state.record.images_removed.push(name.to_owned());
    Reply::json(200, &json!({"Untagged": [name]}))
}

/// Answers with a stream whose last object names the image or the error, as podman does.
pub(super) async fn pull(state: &Watched<State>, request: &HttpRequest) -> Reply {
    let mut query = request.parameters();
    query.retain(|(key, _)| key != "reference");
    let reference = request.parameter("reference").unwrap_or_default();
    let auth = request.headers.get("x-registry-auth").cloned().unwrap_or_default();
    let gate = state.change(|s| {
        s.record.pulls.push(Pull {
            reference: reference.clone(),
            query,
            auth,
        });
        s.pull_gate.clone()
    });
    if let Some(gate) = gate {
        gate.passed().await;
    }
    let result = state.change(|s| take(s, &reference));
    let (sender, receiver) = unbounded_channel();
    let last = match result {
        Ok(id) => json!({"images": [id], "id": id}),
        Err(message) => json!({"error": message}),
    };
    for line in [json!({"stream": format!("Trying to pull {reference}...\n")}), last] {
        sender
            .send(Piece::Bytes(format!("{line}\n").into_bytes()))
            .expect("the receiver is right here");
    }
    Reply::Stream(receiver)
}

fn take(state: &mut State, reference: &str) -> Result<String, String> {
    if let Some(message) = state
        .pull_failures
        .get_mut(reference)
        .and_then(std::collections::VecDeque::pop_front)
    {
        return Err(message);
    }
    let Some(image) = state.registry.get(reference).cloned() else {
        return Err(format!(
            "initializing source docker://{reference}: reading manifest in {reference}: manifest unknown"
        ));
    };
    let id = image.id.clone();
    state.images.insert(reference.to_owned(), image);
    Ok(id)
}
