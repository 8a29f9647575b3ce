//! `jobs/:id/artifacts`: keeps uploads, serves archives.

use super::protocol::Check;
use super::record::{Request, Upload};
use super::server::Reply;
use super::state::State;
use crate::watched::Watched;
use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart};
use std::collections::BTreeMap;

const QUERY: [&str; 3] = ["artifact_type", "artifact_format", "expire_in"];

pub(super) async fn upload(state: &Watched<State>, request: &Request) -> Reply {
    let part = read_part(request).await;
    state.change(|s| {
        let id = request.job.unwrap_or_default();
        if s.jobs.get(&id).is_none_or(|j| j.token != request.header("job-token")) {
            s.violation(format!("{}: no such job, or not its token", request.line()));
            return Reply::refusal(403, "403 Forbidden");
        }
        let mut check = Check::of(request);
        let query = query_of(request);
        check.expect(
            query.iter().all(|(k, v)| QUERY.contains(&k.as_str()) && !v.is_empty()),
            "unknown or empty query parameter",
        );
        let (file_name, content) = part.unwrap_or_else(|wrong| {
            check.expect(false, &wrong);
            (String::new(), Vec::new())
        });
        let wrong = check.violations();
        if !wrong.is_empty() {
            s.record.violations.extend(wrong);
            return Reply::refusal(400, "400 Bad Request");
        }
        s.record.jobs.entry(id).or_default().uploads.push(Upload {
            file_name,
            query,
            content,
        });
        Reply::json(201, &serde_json::json!({}))
    })
}

/// Name and content of the one part.
async fn read_part(request: &Request) -> Result<(String, Vec<u8>), String> {
    let http = axum::http::Request::builder()
        .header("content-type", request.header("content-type"))
        .body(Body::from(request.body.clone()))
        .map_err(|e| e.to_string())?;
    let mut parts = Multipart::from_request(http, &()).await.map_err(|e| e.to_string())?;
    let part = parts.next_field().await.map_err(|e| e.to_string())?.ok_or("no part")?;
    if (part.name(), part.content_type()) != (Some("file"), Some("application/octet-stream")) {
        return Err(format!("part {:?} of type {:?}", part.name(), part.content_type()));
    }
    let name = part.file_name().ok_or("no file name")?.to_owned();
    let content = part.bytes().await.map_err(|e| e.to_string())?.to_vec();
    match parts.next_field().await {
        Ok(None) => Ok((name, content)),
        Ok(Some(_)) => Err("more than one part".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

pub(super) fn download(state: &mut State, request: &Request) -> Reply {
    let id = request.job.unwrap_or_default();
    let Some((token, archive)) = state.archives.get(&id) else {
        return Reply::refusal(404, "404 Not Found");
    };
    if request.header("job-token") != token {
        return Reply::refusal(403, "403 Forbidden");
    }
    let direct = query_of(request).get("direct_download").is_some_and(|v| v == "true");
    if direct && state.redirect_downloads {
        return Reply::empty(302).header("location", format!("{}/storage/{id}", state.url));
    }
    octets(archive)
}

/// The object store: whoever knows the address may read, and has no business showing it a token.
pub(super) fn storage(state: &mut State, request: &Request) -> Reply {
    if !request.header("job-token").is_empty() {
        state.violation(format!(
            "{}: the job's token was shown to the object store",
            request.line()
        ));
    }
    match state.archives.get(&request.job.unwrap_or_default()) {
        Some((_, archive)) => octets(archive),
        None => Reply::empty(404),
    }
}

fn octets(bytes: &[u8]) -> Reply {
    Reply {
        status: 200,
        content_type: "application/octet-stream".to_owned(),
        body: bytes.to_vec(),
        ..Reply::default()
    }
}

/// The query, decoded as forms are.
fn query_of(request: &Request) -> BTreeMap<String, String> {
    let query = request.path.split_once('?').map_or("", |(_, q)| q);
    let pairs = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")));
    let decode = |text: &str| crate::podman::decode(&text.replace('+', " "));
    pairs.map(|(k, v)| (decode(k), decode(v))).collect()
}
