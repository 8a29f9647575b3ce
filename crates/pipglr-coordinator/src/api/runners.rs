//! Registering, verifying and unregistering runners.

use super::parameters::Parameters;
use super::reply::Refusal;
use crate::Coordinator;
use crate::state::{Runner, State as Coordination, new_token, same_token};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pipglr_protocol::registration::{RegisterRequest, RegisterResponse, TokenRequest, VerifyRequest};
use std::collections::BTreeSet;

/// Compat: tokens made by registration have no `glrt-`; the runner unregisters itself, not only its manager.
const REGISTERED_TOKEN_PREFIX: &str = "t3_";
/// Authentication tokens made any other way.
const CREATED_TOKEN_PREFIX: &str = "glrt-";

/// `POST runners`.
pub(super) async fn register(
    State(coordinator): State<Coordinator>,
    Parameters(request): Parameters<RegisterRequest>,
) -> Result<(StatusCode, Json<RegisterResponse>), Refusal> {
    if !same_token(&request.token, coordinator.registration_token()) {
        return Err(Refusal::Forbidden);
    }
    let tags: Vec<String> = request
        .tag_list
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    let answer = save_after(&coordinator, |state| {
        let runner = Runner {
            id: state.next_runner_id(),
            token: new_token(REGISTERED_TOKEN_PREFIX),
            description: request.description,
            run_untagged: request.run_untagged || tags.is_empty(),
            tags,
            paused: request.paused,
            maximum_timeout: request.maximum_timeout.filter(|&seconds| seconds > 0),
            managers: BTreeSet::new(),
        };
        let answer = response(&runner);
        state.saved.runners.push(runner);
        Ok(answer)
    })?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST runners/verify`.
pub(super) async fn verify(
    State(coordinator): State<Coordinator>,
    Parameters(request): Parameters<VerifyRequest>,
) -> Result<Json<RegisterResponse>, Refusal> {
    let answer = save_after(&coordinator, |state| {
        let runner = state.runner_by_token(&request.token).ok_or(Refusal::Forbidden)?;
        runner.managers.extend(request.system_id);
        Ok(response(runner))
    })?;
    Ok(Json(answer))
}

/// `DELETE runners`.
pub(super) async fn unregister(
    State(coordinator): State<Coordinator>,
    Parameters(request): Parameters<TokenRequest>,
) -> Result<StatusCode, Refusal> {
    save_after(&coordinator, |state| {
        let id = state.runner_by_token(&request.token).ok_or(Refusal::Forbidden)?.id;
        state.saved.runners.retain(|r| r.id != id);
        Ok(StatusCode::NO_CONTENT)
    })
}

/// `DELETE runners/managers`.
pub(super) async fn unregister_manager(
    State(coordinator): State<Coordinator>,
    Parameters(request): Parameters<TokenRequest>,
) -> Result<StatusCode, Refusal> {
    save_after(&coordinator, |state| {
        let runner = state.runner_by_token(&request.token).ok_or(Refusal::Forbidden)?;
        let system_id = request.system_id.ok_or(Refusal::BadRequest("system_id is missing"))?;
        if runner.managers.remove(&system_id) {
            Ok(StatusCode::NO_CONTENT)
        } else {
            Err(Refusal::NotFound)
        }
    })
}

/// `POST runners/reset_authentication_token`.
pub(super) async fn reset_token(
    State(coordinator): State<Coordinator>,
    Parameters(request): Parameters<TokenRequest>,
) -> Result<(StatusCode, Json<RegisterResponse>), Refusal> {
    let answer = save_after(&coordinator, |state| {
        let runner = state.runner_by_token(&request.token).ok_or(Refusal::Forbidden)?;
        let created = runner.token.expose().starts_with(CREATED_TOKEN_PREFIX);
        runner.token = new_token(if created {
            CREATED_TOKEN_PREFIX
        } else {
            REGISTERED_TOKEN_PREFIX
        });
        Ok(response(runner))
    })?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `GET runners/router/discovery`: there is no job router.
pub(super) async fn router_discovery() -> Refusal {
    Refusal::NotImplemented
}

fn response(runner: &Runner) -> RegisterResponse {
    RegisterResponse {
        id: runner.id.0,
        token: runner.token.clone(),
        token_expires_at: None,
    }
}

/// Changes the runners and writes them down before the answer is given: a token that was handed out must survive.
fn save_after<R>(
    coordinator: &Coordinator,
    change: impl FnOnce(&mut Coordination) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    coordinator.change(|state| {
        let result = change(state)?;
        coordinator
            .store()
            .save(&state.saved)
            .map_err(|e| Refusal::internal(&e))?;
        Ok(result)
    })
}
