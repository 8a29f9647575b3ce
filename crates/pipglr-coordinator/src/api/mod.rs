//! The runner API: thin handlers over the state machine.

mod artifacts;
mod auth;
mod expire;
mod keys;
mod lfs;
mod parameters;
mod reply;
mod repository;
mod request;
mod runners;
mod trace;
mod update;

use crate::Coordinator;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, patch, post, put};
use std::fmt::Write as _;

/// JSON bodies are small; a runner's `info` is the largest part.
const JSON_LIMIT: usize = 1 << 20;
/// A runner sends at most 1 MiB of trace at once by default; some are configured for more.
const TRACE_CHUNK_LIMIT: usize = 64 << 20;

/// All routes.
pub(crate) fn router(coordinator: Coordinator) -> Router {
    let json = Router::new()
        .route("/runners", post(runners::register).delete(runners::unregister))
        .route("/runners/verify", post(runners::verify))
        .route("/runners/managers", axum::routing::delete(runners::unregister_manager))
        .route("/runners/reset_authentication_token", post(runners::reset_token))
        .route("/runners/router/discovery", get(runners::router_discovery))
        .route("/jobs/request", post(request::request_job))
        .route("/jobs/{id}", put(update::update_job))
        .layer(DefaultBodyLimit::max(JSON_LIMIT));
    let trace = Router::new()
        .route("/jobs/{id}/trace", patch(trace::append))
        .layer(DefaultBodyLimit::max(TRACE_CHUNK_LIMIT));
    let artifacts = Router::new()
        .route("/jobs/{id}/artifacts", post(artifacts::upload).get(artifacts::download))
        // The upload counts for itself, because the limit is about the file.
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .nest("/api/v4", json.merge(trace).merge(artifacts))
        .route("/", get(overview))
        .route("/oauth/discovery/keys", get(keys::key_set))
        .route("/.well-known/openid-configuration", get(keys::configuration))
        .fallback(repository::serve)
        .with_state(coordinator)
}

/// All jobs as plain text, for a look with a browser.
async fn overview(State(coordinator): State<Coordinator>) -> String {
    let mut text = format!("{}\n", coordinator.project_path());
    for pipeline in coordinator.pipelines() {
        let (id, state, name) = (pipeline.id, pipeline.state, &pipeline.ref_name);
        writeln!(text, "\npipeline {id} {state} {name} {}", pipeline.sha).expect("writing to a string cannot fail");
        for job in &pipeline.jobs {
            writeln!(
                text,
                "  {:<10} {:<10} {:>6} {}",
                job.stage,
                job.state.as_str(),
                job.id,
                job.name
            )
            .expect("writing to a string cannot fail");
        }
    }
    text
}
