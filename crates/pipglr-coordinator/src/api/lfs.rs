//! Git LFS for reading: the batch API and the objects the user's repository has.
//!
//! Compat: GitLab app/controllers/repositories/lfs_api_controller.rb and lfs_storage_controller.rb (paths, words);
//! git-lfs docs/api/batch.md (shapes).

use super::reply::Refusal;
use crate::Coordinator;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

/// Below the repository's address.
pub(super) const BATCH: &str = "info/lfs/objects/batch";
pub(super) const OBJECTS: &str = "gitlab-lfs/objects/";

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
/// A client asks for a hundred objects at a time.
const LONGEST_REQUEST: usize = 1 << 20;

#[derive(Deserialize)]
struct Batch {
    operation: String,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: u64,
}

/// Tells where objects are to be had: here, with the credentials of this very request.
pub(super) async fn batch(coordinator: &Coordinator, headers: &HeaderMap, body: Body) -> Response {
    let Ok(body) = axum::body::to_bytes(body, LONGEST_REQUEST).await else {
        return Refusal::TooLarge.into_response();
    };
    let Ok(batch) = serde_json::from_slice::<Batch>(&body) else {
        return told(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({"message": "This is no request of the batch API"}),
        );
    };
    if batch.operation != "download" {
        return told(
            StatusCode::FORBIDDEN,
            &json!({"message": "LFS objects cannot be pushed here"}),
        );
    }
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut objects = Vec::new();
    for object in batch.objects {
        let stored = open(coordinator, &object.oid).await;
        objects.push(match stored {
            Ok(_) => {
                let href = format!(
                    "{}/{}.git/{OBJECTS}{}",
                    coordinator.url().base,
                    coordinator.project_path(),
                    object.oid
                );
                json!({"oid": object.oid, "size": object.size, "authenticated": true,
                    "actions": {"download": {"href": href, "header": {"Authorization": authorization}}}})
            }
            Err(_) => json!({"oid": object.oid, "size": object.size,
                "error": {"code": 404, "message": "Object does not exist on the server or you don't have permissions to access it"}}),
        });
    }
    told(StatusCode::OK, &json!({"transfer": "basic", "objects": objects}))
}

/// The content of one object.
pub(super) async fn object(coordinator: &Coordinator, oid: &str) -> Response {
    match open(coordinator, oid).await {
        Ok((file, size)) => (
            [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, size.to_string()),
            ],
            Body::from_stream(ReaderStream::with_capacity(file, 256 << 10)),
        )
            .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Where git-lfs keeps it: the first four digits are two directories.
async fn open(coordinator: &Coordinator, oid: &str) -> Result<(File, u64), Refusal> {
    let is_digest = oid.len() == 64 && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return Err(Refusal::NotFound);
    }
    let directories = coordinator.mirror().lfs_objects().await;
    for directory in directories.map_err(|error| Refusal::internal(&error))? {
        let path = directory.join(&oid[..2]).join(&oid[2..4]).join(oid);
        let Ok(file) = File::open(path).await else { continue };
        let size = file.metadata().await.map_err(|error| Refusal::internal(&error))?.len();
        return Ok((file, size));
    }
    Err(Refusal::NotFound)
}

fn told(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response()
}
