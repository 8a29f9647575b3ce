//! What verifiers of id tokens fetch. Compat: `OpenID` Connect discovery, at GitLab's paths.

use crate::Coordinator;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /oauth/discovery/keys`
pub(super) async fn key_set(State(coordinator): State<Coordinator>) -> Json<Value> {
    Json(coordinator.signer().key_set())
}

/// `GET /.well-known/openid-configuration`
pub(super) async fn configuration(State(coordinator): State<Coordinator>) -> Json<Value> {
    let base = &coordinator.url().base;
    Json(json!({
        "issuer": base,
        "jwks_uri": format!("{base}/oauth/discovery/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}
