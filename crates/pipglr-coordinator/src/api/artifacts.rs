//! `POST` and `GET jobs/:id/artifacts`: files go to disk as they come, and from there as they are.

use super::auth::{authenticate_running_job, job_token};
use super::expire::parse_expire_in;
use super::reply::Refusal;
use crate::Coordinator;
use crate::dotenv;
use crate::pipeline::after;
use crate::record::ArtifactRecord;
use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use pipglr_protocol::{Secret, payload::JobId};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::time::Duration;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// Bytes of a form field that is no file.
const FIELD_LIMIT: usize = 4 << 10;
/// Bytes a multipart body may have besides the file.
const FORM_ALLOWANCE: u64 = 1 << 20;
/// How long the rest of a refused upload is read.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Parameters, in the query or as fields of the form.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    token: Option<Secret>,
    job_token: Option<Secret>,
    artifact_type: Option<String>,
    artifact_format: Option<String>,
    expire_in: Option<String>,
}

/// A file that is deleted unless it is kept; also when the runner hangs up in the middle.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    filename: String,
    size: u64,
    sha256: [u8; 32],
    kept: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "an unfinished upload was not removed");
        }
    }
}

/// Stores one artifact of a running job.
pub(super) async fn upload(
    State(coordinator): State<Coordinator>,
    Path(id): Path<u64>,
    Query(mut parameters): Query<Parameters>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let stored = store(&coordinator, JobId(id), &mut parameters, &headers, &mut form).await;
    if stored.is_err() {
        discard(&mut form).await;
    }
    stored
}

/// Reads on for a while: a runner that is cut off in the middle of its upload would not see why, and try again.
async fn discard(form: &mut Multipart) {
    let rest = async { while let Ok(Some(_)) = form.next_field().await {} };
    if tokio::time::timeout(DISCARD_TIME, rest).await.is_err() {
        tracing::debug!("a refused upload was cut off");
    }
}

async fn store(
    coordinator: &Coordinator,
    id: JobId,
    parameters: &mut Parameters,
    headers: &HeaderMap,
    form: &mut Multipart,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let token = job_token(headers, parameters.token.as_ref());
    coordinator.change(|state| {
        let place = authenticate_running_job(state, id, token.as_ref())?;
        state.touch(place, Timestamp::now());
        Ok(())
    })?;
    let limit = coordinator.options().artifact_limit;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit.saturating_add(FORM_ALLOWANCE)) {
        return Err(Refusal::TooLarge);
    }
    let directory = coordinator.store().artifact_dir(id, "incoming");
    let draft = receive(form, parameters, directory, limit).await?;
    let draft = draft.ok_or(Refusal::BadRequest("400 Bad Request: file is missing"))?;
    keep(coordinator, id, token.as_ref(), parameters, draft)?;
    Ok((StatusCode::CREATED, Json(json!({ "message": "201 Created" }))))
}

async fn receive(
    form: &mut Multipart,
    parameters: &mut Parameters,
    directory: PathBuf,
    limit: u64,
) -> Result<Option<Draft>, Refusal> {
    let mut draft = None;
    while let Some(mut field) = form.next_field().await.map_err(|e| broken(&e))? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if draft.is_some() {
                return Err(Refusal::BadRequest("400 Bad Request: more than one file"));
            }
            draft = Some(receive_file(field, &directory, limit).await?);
            continue;
        }
        let mut text = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|e| broken(&e))? {
            text.extend_from_slice(&chunk);
            if text.len() > FIELD_LIMIT {
                return Err(Refusal::TooLarge);
            }
        }
        let text = Some(String::from_utf8_lossy(&text).into_owned()).filter(|t| !t.is_empty());
        match name.as_str() {
            "artifact_type" => parameters.artifact_type = text,
            "artifact_format" => parameters.artifact_format = text,
            "expire_in" => parameters.expire_in = text,
            _ => {}
        }
    }
    Ok(draft)
}

fn broken(error: &MultipartError) -> Refusal {
    tracing::debug!(%error, "an upload could not be read");
    Refusal::BadRequest("400 Bad Request")
}

async fn receive_file(mut field: Field<'_>, directory: &std::path::Path, limit: u64) -> Result<Draft, Refusal> {
    let filename = safe_filename(field.file_name().unwrap_or_default())
        .ok_or(Refusal::BadRequest("400 Bad Request: file name is not usable"))?;
    fs::create_dir_all(directory).await.map_err(|e| Refusal::internal(&e))?;
    let path = directory.join(Uuid::new_v4().simple().to_string());
    let mut file = File::create(&path).await.map_err(|e| Refusal::internal(&e))?;
    let mut draft = Draft {
        path,
        filename,
        size: 0,
        sha256: [0; 32],
        kept: false,
    };
    let mut hasher = Sha256::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| broken(&e))? {
        draft.size += chunk.len() as u64;
        if draft.size > limit {
            return Err(Refusal::TooLarge);
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(|e| Refusal::internal(&e))?;
    }
    file.flush().await.map_err(|e| Refusal::internal(&e))?;
    draft.sha256 = hasher.finalize().into();
    Ok(draft)
}

/// The last part of the name, if it can be a file's name.
fn safe_filename(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let usable =
        !last.is_empty() && last != "." && last != ".." && last.len() <= 255 && !last.contains(char::is_control);
    usable.then(|| last.to_owned())
}

/// Moves the file to its place and records it, unless the job has another of this type.
fn keep(
    coordinator: &Coordinator,
    id: JobId,
    token: Option<&Secret>,
    parameters: &Parameters,
    mut draft: Draft,
) -> Result<(), Refusal> {
    let artifact_type = parameters.artifact_type.as_deref().unwrap_or(ArtifactRecord::ARCHIVE);
    let format = parameters.artifact_format.as_deref().unwrap_or("zip");
    let word = |w: &str| !w.is_empty() && w.len() <= 64 && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !word(artifact_type) || artifact_type == "incoming" {
        return Err(Refusal::BadRequest(
            "400 Bad Request: artifact_type does not have a valid value",
        ));
    }
    if !["zip", "gzip", "raw", "zipzstd", "tarzstd"].contains(&format) {
        return Err(Refusal::BadRequest(
            "400 Bad Request: artifact_format does not have a valid value",
        ));
    }
    let reported = match artifact_type {
        "dotenv" => {
            let file = std::fs::File::open(&draft.path).map_err(|e| Refusal::internal(&e))?;
            dotenv::read(file, format == "gzip").map_err(Refusal::BadRequest)?
        }
        _ => Vec::new(),
    };
    let directory = coordinator.store().artifact_dir(id, artifact_type);
    std::fs::create_dir_all(&directory).map_err(|e| Refusal::internal(&e))?;
    coordinator.change(|state| {
        // The upload may have taken longer than the job lived.
        let place = authenticate_running_job(state, id, token)?;
        let existing = state
            .job(place)
            .artifacts
            .iter()
            .find(|a| a.artifact_type == artifact_type);
        if let Some(existing) = existing {
            let same = existing.sha256 == draft.sha256;
            let refusal = Refusal::BadRequest("400 Bad Request: another artifact of the same type already exists");
            return if same { Ok(()) } else { Err(refusal) };
        }
        let now = Timestamp::now();
        let path = directory.join(&draft.filename);
        // A rename is quick enough to be done under the lock, and must not happen twice.
        std::fs::rename(&draft.path, &path).map_err(|e| Refusal::internal(&e))?;
        draft.kept = true;
        let record = ArtifactRecord {
            artifact_type: artifact_type.to_owned(),
            format: format.to_owned(),
            filename: draft.filename.clone(),
            size: draft.size,
            sha256: draft.sha256,
            path,
            expires_at: parameters
                .expire_in
                .as_deref()
                .and_then(parse_expire_in)
                .map(|d| after(now, d)),
        };
        state.update_job(place, |job| {
            job.artifacts.push(record);
            job.dotenv.extend(reported);
        });
        Ok(())
    })
}

/// Sends the archive of a job to a running job of the same pipeline.
pub(super) async fn download(
    State(coordinator): State<Coordinator>,
    Path(id): Path<u64>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let token = job_token(&headers, parameters.job_token.as_ref().or(parameters.token.as_ref()));
    let archive = find_archive(&coordinator, JobId(id), token.as_ref())?;
    let file = match File::open(&archive.path).await {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Refusal::NotFound),
        Err(e) => return Err(Refusal::internal(&e)),
    };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, archive.size)
        .body(Body::from_stream(ReaderStream::with_capacity(file, 256 << 10)));
    response.map(|r| r.into_response()).map_err(|e| Refusal::internal(&e))
}

fn find_archive(coordinator: &Coordinator, id: JobId, token: Option<&Secret>) -> Result<ArtifactRecord, Refusal> {
    let state = coordinator.lock();
    let downloader = token.and_then(|t| state.job_by_token(t)).ok_or(Refusal::Forbidden)?;
    let downloader_state = state.job(downloader).state;
    if !downloader_state.is_processing() {
        return Err(Refusal::NotProcessing(downloader_state));
    }
    let place = state.place(id).ok_or(Refusal::NotFound)?;
    if state.root(place.pipeline) != state.root(downloader.pipeline) {
        return Err(Refusal::Forbidden);
    }
    let archive = state.job(place).archive();
    archive
        .filter(|archive| archive.is_available(Timestamp::now()))
        .cloned()
        .ok_or(Refusal::NotFound)
}

#[cfg(test)]
mod tests {
    use super::safe_filename;

    #[test]
    fn file_names_cannot_leave_their_directory() {
        for (name, expected) in [
            ("artifacts.zip", Some("artifacts.zip")),
            ("../../etc/passwd", Some("passwd")),
            ("a\\b.zip", Some("b.zip")),
            ("..", None),
            ("a/..", None),
            ("", None),
            ("a\0b", None),
        ] {
            assert_eq!(safe_filename(name).as_deref(), expected, "{name:?}");
        }
    }
}
