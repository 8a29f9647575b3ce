//! `jobs/*`: handing out, state updates, traces.

use super::protocol::Check;
use super::record::Request;
use super::server::Reply;
use super::state::{RemoteState, State};
use crate::watched::Watched;

/// Answers with a job, or holds the request like GitLab's Workhorse while nothing changes.
pub(super) async fn request(state: &Watched<State>, request: &Request) -> Reply {
    let mut check = Check::of(request);
    let body = check.json_body(&["info", "token", "system_id"], &["last_update", "session"]);
    check.info(&body);
    check.system_id(&body);
    check.session(&body);
    check.header("accept", "application/json");
    let token = body["token"].as_str().unwrap_or_default().to_owned();
    check.header("runner-token", &token);
    if !state.change(|s| {
        s.record.violations.extend(check.violations());
        s.runners.contains_key(&token)
    }) {
        return Reply::refusal(403, "403 Forbidden");
    }
    let echoed = body["last_update"].as_str();
    let hold = echoed.is_some() && echoed == state.read().last_update.as_deref();
    let is_for_us = |s: &State| s.queue.iter().any(|h| h.runner.as_deref().is_none_or(|r| r == token));
    if hold {
        state.wait_forever(|s| is_for_us(s).then_some(())).await;
    }
    state.change(|s| {
        let reply = match s.next_job(&token) {
            Some(payload) => Reply::json(201, &payload),
            None => Reply::empty(204),
        };
        match &s.last_update {
            Some(value) => reply.header("x-gitlab-last-update", value),
            None => reply,
        }
    })
}

pub(super) fn update(state: &mut State, request: &Request) -> Reply {
    let Some((id, remote)) = admit(state, request) else {
        return Reply::refusal(403, "403 Forbidden");
    };
    let body = read_update(state, request, id);
    if !remote.is_open() {
        return about(state, id, Reply::refusal(403, "403 Forbidden - Job is not running"));
    }
    let job = state.jobs.get_mut(&id).expect("admitted");
    let reply = match body["state"].as_str() {
        Some("running") => {
            if remote == RemoteState::Pending {
                job.remote = RemoteState::Running;
            }
            Reply::text("200")
        }
        Some(last @ ("success" | "failed")) => {
            job.remote = if last == "success" {
                RemoteState::Success
            } else {
                RemoteState::Failed
            };
            job.active = false;
            let mut reply = about(state, id, Reply::text("200"));
            // The answer to the update that ends a job speaks of the job as it was.
            reply.headers.retain(|(name, _)| name != "job-status");
            state.record.jobs.entry(id).or_default().final_update = Some(body);
            return reply;
        }
        _ => Reply::refusal(400, "state does not have a valid value"),
    };
    about(state, id, reply)
}

pub(super) fn trace(state: &mut State, request: &Request) -> Reply {
    let Some((id, remote)) = admit(state, request) else {
        return Reply::refusal(403, "403 Forbidden");
    };
    let mut check = Check::of(request);
    check.expect(
        remote != RemoteState::Pending,
        "trace of a job that was not acknowledged",
    );
    let start = check.patch();
    let wrong = check.violations();
    let is_wrong = !wrong.is_empty();
    state.record.violations.extend(wrong);
    let Some(start) = start.filter(|_| !is_wrong) else {
        return Reply::refusal(400, "400 Bad Request");
    };
    if !remote.is_open() {
        return about(state, id, Reply::refusal(403, "403 Forbidden - Job is not running"));
    }
    let trace = &mut state.record.jobs.entry(id).or_default().trace;
    let accepted = start == trace.len() as u64;
    if accepted {
        trace.extend_from_slice(&request.body);
    }
    let range = format!("0-{}", trace.len());
    let reply = if accepted {
        Reply::text("0-").with_status(202)
    } else {
        Reply::refusal(416, "416 Range Not Satisfiable")
    };
    about(state, id, reply.header("range", range))
}

impl State {
    /// Keeps what a call that gets a scripted status said; a 403 ends the job for its runner.
    pub(super) fn note_canned(&mut self, request: &Request, reply: Reply) -> Reply {
        let Some((id, _)) = admit(self, request) else {
            return reply;
        };
        if request.endpoint == super::Endpoint::JobUpdate {
            read_update(self, request, id);
        }
        if reply.status == 403 {
            self.jobs.get_mut(&id).expect("admitted").active = false;
        }
        reply
    }
}

/// Checks an update and keeps it.
fn read_update(state: &mut State, request: &Request, id: u64) -> serde_json::Value {
    let mut check = Check::of(request);
    let body = check.json_body(
        &["info", "token", "state", "output"],
        &["failure_reason", "checksum", "exit_code"],
    );
    check.info(&body);
    check.update(&body);
    let token = state.jobs[&id].token.clone();
    check.expect(
        body["token"].as_str() == Some(&token),
        "the body's token is not the job's",
    );
    state.record.violations.extend(check.violations());
    state.record.jobs.entry(id).or_default().updates.push(body.clone());
    body
}

/// The job a request is about, if its token is right.
fn admit(state: &mut State, request: &Request) -> Option<(u64, RemoteState)> {
    let id = request.job?;
    let job = state.jobs.get(&id);
    if job.is_none_or(|j| j.token != request.header("job-token")) {
        state.violation(format!("{}: no such job, or not its token", request.line()));
        return None;
    }
    job.map(|j| (id, j.remote))
}

/// Adds what every answer about a job says.
fn about(state: &State, id: u64, reply: Reply) -> Reply {
    let reply = reply.header("job-status", state.jobs[&id].remote.word());
    match state.trace_interval {
        Some(seconds) => reply.header("x-gitlab-trace-update-interval", seconds),
        None => reply,
    }
}

impl Reply {
    /// GitLab answers state updates and patches with a short text.
    fn text(text: &str) -> Self {
        Self {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: text.as_bytes().to_vec(),
            ..Self::default()
        }
    }

    fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
