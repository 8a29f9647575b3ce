//! `/<namespace>/<project>.git`: the repository, for jobs that run.

use super::lfs;
use super::reply::Refusal;
use crate::Coordinator;
use crate::git::{Service, respond};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pipglr_protocol::Secret;

/// Serves git's smart protocol and Git LFS for reading; everything else is not found.
pub(super) async fn serve(State(coordinator): State<Coordinator>, request: Request<Body>) -> Response {
    let prefix = format!("/{}.git/", coordinator.project_path());
    let (parts, body) = request.into_parts();
    let Some(rest) = parts.uri.path().strip_prefix(&prefix) else {
        return Refusal::NotFound.into_response();
    };
    if !may_read(&coordinator, &parts.headers) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitLab\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "HTTP Basic: Access denied\n").into_response();
    }
    let query = parts.uri.query().unwrap_or_default();
    let service = match (&parts.method, rest, query) {
        (&Method::GET, "info/refs", "service=git-upload-pack") => Service::Advertise,
        (&Method::POST, "git-upload-pack", _) => Service::UploadPack,
        (&Method::POST, lfs::BATCH, _) => return lfs::batch(&coordinator, &parts.headers, body).await,
        (&Method::GET, object, _) if object.starts_with(lfs::OBJECTS) => {
            return lfs::object(&coordinator, &object[lfs::OBJECTS.len()..]).await;
        }
        (_, "info/refs", "service=git-receive-pack") | (_, "git-receive-pack", _) => {
            return (StatusCode::FORBIDDEN, "Pushing is not possible here\n").into_response();
        }
        _ => return Refusal::NotFound.into_response(),
    };
    match respond(coordinator.mirror().path(), service, &parts.headers, body).await {
        Ok(response) => response,
        Err(error) => Refusal::internal(&error).into_response(),
    }
}

/// Whether the password of the basic authentication is the token of a job that runs.
fn may_read(coordinator: &Coordinator, headers: &HeaderMap) -> bool {
    let Some(token) = basic_password(headers, "gitlab-ci-token") else {
        return false;
    };
    let state = coordinator.lock();
    state
        .job_by_token(&token)
        .is_some_and(|place| state.job(place).state.is_processing())
}

fn basic_password(headers: &HeaderMap, user: &str) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    (name == user).then(|| Secret::new(password))
}
