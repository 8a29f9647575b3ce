//! `runners/*`: registering, verifying, removing.

use super::protocol::Check;
use super::record::Request;
use super::server::Reply;
use super::state::State;
use serde_json::{Value, json};

const REGISTER_OPTIONAL: [&str; 5] = [
    "description",
    "maintenance_note",
    "tag_list",
    "access_level",
    "maximum_timeout",
];

pub(super) fn register(state: &mut State, request: &Request) -> Reply {
    let mut check = Check::of(request);
    let body = check.json_body(
        &["run_untagged", "locked", "paused", "info", "token"],
        &REGISTER_OPTIONAL,
    );
    check.info(&body);
    let token = token_of(&mut check, request, &body);
    state.record.violations.extend(check.violations());
    if !state.registration_tokens.contains(&token) {
        return Reply::refusal(403, "403 Forbidden - invalid token supplied");
    }
    let created = format!("fakeruntok{}", state.runners.len());
    let id = state.add_runner(&created);
    Reply::json(201, &json!({"id": id, "token": created, "token_expires_at": null}))
}

pub(super) fn verify(state: &mut State, request: &Request) -> Reply {
    let mut check = Check::of(request);
    let body = check.json_body(&["info", "token", "system_id"], &[]);
    check.info(&body);
    check.system_id(&body);
    let token = token_of(&mut check, request, &body);
    state.record.violations.extend(check.violations());
    match state.runners.get(&token) {
        Some(id) => Reply::json(200, &json!({"id": id, "token": token, "token_expires_at": null})),
        None => Reply::refusal(403, "403 Forbidden"),
    }
}

pub(super) fn unregister(state: &mut State, request: &Request) -> Reply {
    let mut check = Check::of(request);
    let managers = request.path.starts_with("runners/managers");
    let body = check.json_body(if managers { &["token", "system_id"] } else { &["token"] }, &[]);
    if managers {
        check.system_id(&body);
    }
    let token = token_of(&mut check, request, &body);
    state.record.violations.extend(check.violations());
    if !state.runners.contains_key(&token) {
        return Reply::refusal(403, "403 Forbidden");
    }
    if !managers {
        state.runners.remove(&token);
        state.record.removed_runners.push(token);
    }
    Reply::empty(204)
}

pub(super) fn reset_token(state: &mut State, request: &Request) -> Reply {
    let number = request.path.split('/').nth(1).and_then(|part| part.parse::<u64>().ok());
    let token = match number {
        // By the right of a person, for a runner named by its number.
        Some(number) => {
            let mut check = Check::of(request);
            check.expect(!request.header("private-token").is_empty(), "no PRIVATE-TOKEN");
            check.expect(
                request.header("runner-token").is_empty(),
                "a RUNNER-TOKEN nobody asked for",
            );
            state.record.violations.extend(check.violations());
            let found = state.runners.iter().find(|(_, id)| **id == number);
            found.map(|(token, _)| token.clone()).unwrap_or_default()
        }
        None => {
            let mut check = Check::of(request);
            let body = check.json_body(&["token"], &[]);
            state.record.violations.extend(check.violations());
            body["token"].as_str().unwrap_or_default().to_owned()
        }
    };
    match state.runners.remove(&token) {
        Some(id) => {
            let next = format!("{token}-next");
            state.runners.insert(next.clone(), id);
            Reply::json(201, &json!({"token": next, "token_expires_at": null}))
        }
        None => Reply::refusal(403, "403 Forbidden"),
    }
}

/// The body's token, which the header must repeat.
fn token_of(check: &mut Check<'_>, request: &Request, body: &Value) -> String {
    let token = body["token"].as_str().unwrap_or_default();
    check.expect(
        request.header("runner-token") == token,
        "Runner-Token and the body's token differ",
    );
    token.to_owned()
}
