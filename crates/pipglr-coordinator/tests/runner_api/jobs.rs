//! `POST jobs/request` and `PUT jobs/:id`.

use crate::support::{World, header, job, job_request, taken};
use pipglr_ci::model::{AllowFailure, Job, When};
use pipglr_coordinator::{Error, Event, JobState, PipelineId};
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::FailureReason;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn no_job_is_204_with_a_value_to_echo() {
    let world = World::start().await;
    let response = world.ask(None).await;
    assert_eq!(response.status(), 204);
    assert_ne!(header(&response, "x-gitlab-last-update"), "");
}

#[tokio::test]
async fn unknown_runner_token_is_403() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    for token in ["glrt-wrong", ""] {
        let mut body = job_request(true);
        body["token"] = token.into();
        assert_eq!(world.send_json(Method::POST, "jobs/request", &body).await.status(), 403);
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_400() {
    let world = World::start().await;
    let response = world.send_json(Method::POST, "jobs/request", &json!([])).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_held_request_is_woken_by_a_new_job() {
    let world = World::start().await;
    let last_update = header(&world.ask(None).await, "x-gitlab-last-update").to_owned();
    let (response, _) = tokio::join!(world.ask(Some(&last_update)), world.create(vec![job("build", "a")]));
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_held_request_is_woken_by_the_next_stage() {
    let world = World::start().await;
    world.create(vec![job("build", "a"), job("test", "b")]).await;
    let first = world.take_and_accept().await;
    let (response, _) = tokio::join!(world.ask(Some("stale")), world.put(&first, "success"));
    assert_eq!(taken(response).await.payload["job_info"]["name"], "b");
}

#[tokio::test]
async fn a_hold_ends_with_204() {
    let world = World::start_with(|o| o.long_poll_hold = Duration::from_millis(80)).await;
    let start = Instant::now();
    let response = world.ask(Some("anything")).await;
    assert_eq!(response.status(), 204);
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn jobs_are_handed_out_once_and_oldest_first() {
    let world = World::start().await;
    world.create(vec![job("build", "a"), job("build", "b")]).await;
    let names = [world.take().await, world.take().await].map(|j| j.payload["job_info"]["name"].clone());
    assert_eq!(names, ["a", "b"]);
    assert_eq!(world.ask(None).await.status(), 204);
}

#[tokio::test]
async fn the_session_of_a_running_job_is_known() {
    let world = World::start().await;
    world.create(vec![job("build", "a"), job("test", "b")]).await;
    let session = json!({"url": "https://runner.test:8093/session/1", "certificate": "PEM", "authorization": "s3cret"});
    let mut body = job_request(true);
    body["session"] = session.clone();
    let first = taken(world.send_json(Method::POST, "jobs/request", &body).await).await;
    let of = |job: &crate::support::Taken| {
        let known = world.coordinator.session(JobId(job.id));
        known.map(|session| serde_json::to_value(session).unwrap())
    };
    assert_eq!(of(&first), None, "it does not run yet");
    world.put(&first, "running").await;
    assert_eq!(of(&first), Some(session));
    world.put(&first, "success").await;
    assert_eq!(of(&first), None, "it is over");
    let second = world.take_and_accept().await;
    assert_eq!(of(&second), None, "its runner serves no terminals");
}

#[tokio::test]
async fn a_job_stays_pending_until_it_is_accepted() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take().await;
    assert_eq!(world.state(&job), JobState::Pending);
    let refused = world.patch(&job, "0-1", b"x").await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "job-status")),
        (403, "pending")
    );
    assert_eq!(world.put(&job, "pending").await.status(), 200);
    let accepted = world.put(&job, "running").await;
    assert_eq!(header(&accepted, "x-gitlab-trace-update-interval"), "1");
    assert_eq!(
        (accepted.status().as_u16(), header(&accepted, "job-status")),
        (200, "running")
    );
    assert_eq!(accepted.text().await.unwrap(), "200");
    assert_eq!(world.put(&job, "running").await.status(), 200);
    assert_eq!(world.put(&job, "pending").await.status(), 409);
}

#[tokio::test]
async fn a_job_that_is_not_accepted_goes_to_another_runner() {
    let world = World::start_with(|o| o.acknowledgement_ttl = Duration::ZERO).await;
    world.create(vec![job("build", "a")]).await;
    let lost = world.take().await;
    // Held until the deadline put the job back.
    let again = taken(world.ask(Some("x")).await).await;
    assert_eq!(again.id, lost.id);
    assert_ne!(again.token, lost.token);
    assert_eq!(world.put(&lost, "running").await.status(), 403);
}

#[tokio::test]
async fn a_job_of_a_silent_runner_fails_and_is_not_taken_up_again() {
    let world = World::start_with(|o| o.silence_limit = Duration::ZERO).await;
    let pipeline = world.create(vec![job("build", "a")]).await;
    let silent = world.take().await;
    world.put(&silent, "running").await;
    let record = world.coordinator.wait(pipeline).await.unwrap();
    let reason = record.jobs[0].failure_reason.as_ref().map(FailureReason::as_str);
    assert_eq!(
        (record.jobs[0].state, reason),
        (JobState::Failed, Some("no_updates_running"))
    );
    assert_eq!(header(&world.put(&silent, "success").await, "job-status"), "failed");
    assert_eq!(world.ask(None).await.status(), 204);
}

#[tokio::test]
async fn a_runner_that_lost_its_job_is_told_409() {
    let world = World::start_with(|o| o.acknowledgement_ttl = Duration::ZERO).await;
    world.create(vec![job("build", "a")]).await;
    let lost = world.take().await;
    // The queue is asked by nobody, so the job stays unassigned once its time is over.
    while world.put(&lost, "pending").await.status() == 200 {}
    assert_eq!(world.put(&lost, "running").await.status(), 409);
    assert_eq!(world.put(&lost, "success").await.status(), 409);
}

#[tokio::test]
async fn a_runner_without_the_second_phase_gets_a_running_job() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = taken(world.send_json(Method::POST, "jobs/request", &job_request(false)).await).await;
    assert_eq!(world.state(&job), JobState::Running);
    assert_eq!(world.put(&job, "pending").await.status(), 400);
    assert_eq!(world.put(&job, "running").await.status(), 200);
}

#[tokio::test]
async fn a_job_can_be_given_back_before_it_is_accepted() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take().await;
    assert_eq!(world.put(&job, "success").await.status(), 409);
    let body = json!({ "state": "failed", "failure_reason": "runner_system_failure" });
    assert_eq!(world.put_with(&job, body).await.status(), 200);
    assert_eq!(world.state(&job), JobState::Failed);
}

#[tokio::test]
async fn a_finished_job_refuses_everything_with_its_state() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    let finished = world.put(&job, "success").await;
    assert_eq!(
        (finished.status().as_u16(), header(&finished, "job-status")),
        (200, "success")
    );
    for response in [
        world.put(&job, "success").await,
        world.put(&job, "running").await,
        world.patch(&job, "0-0", b"x").await,
    ] {
        assert_eq!(
            (response.status().as_u16(), header(&response, "job-status")),
            (403, "success")
        );
    }
}

#[tokio::test]
async fn wrong_job_tokens_unknown_jobs_and_unknown_states_are_refused() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    let mut wrong = job.clone();
    wrong.token = "glcbt-wrong".to_owned();
    assert_eq!(world.put(&wrong, "success").await.status(), 403);
    let mut unknown = job.clone();
    unknown.id = 99;
    assert_eq!(world.put(&unknown, "success").await.status(), 403);
    assert_eq!(world.put(&job, "paused").await.status(), 400);
    assert_eq!(world.state(&job), JobState::Running);
}

#[tokio::test]
async fn failures_are_recorded_in_gitlabs_words() {
    let world = World::start().await;
    for (reason, code, expected) in [
        (json!("script_failure"), 7, FailureReason::ScriptFailure),
        (json!("image_pull_failure"), 0, FailureReason::UnknownFailure),
        (json!(null), 1, FailureReason::UnknownFailure),
        (
            json!("job_router_failure"),
            1,
            FailureReason::Named("job_router_failure".to_owned()),
        ),
    ] {
        world.create(vec![job("build", "a")]).await;
        let job = world.take_and_accept().await;
        let body = json!({ "state": "failed", "failure_reason": reason, "exit_code": code });
        assert_eq!(world.put_with(&job, body).await.status(), 200);
        let record = world.coordinator.job(JobId(job.id)).unwrap();
        assert_eq!(record.failure_reason, Some(expected));
        assert_eq!(record.exit_code, (code != 0).then_some(code));
    }
}

#[tokio::test]
async fn allowed_exit_codes_let_the_pipeline_succeed() {
    let world = World::start().await;
    let allowed = Job {
        allow_failure: AllowFailure::ExitCodes(vec![42]),
        ..job("build", "a")
    };
    let pipeline = world.create(vec![allowed]).await;
    let job = world.take_and_accept().await;
    let body = json!({ "state": "failed", "failure_reason": "script_failure", "exit_code": 42 });
    world.put_with(&job, body).await;
    let record = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!((record.state, record.has_warnings), (JobState::Success, true));
}

#[tokio::test]
async fn cancel_is_announced_and_ends_as_canceled() {
    let world = World::start().await;
    let pipeline = world.create(vec![job("build", "a"), job("test", "b")]).await;
    let job = world.take_and_accept().await;
    world.coordinator.cancel_pipeline(pipeline).unwrap();
    let patched = world.patch(&job, "0-0", b"x").await;
    assert_eq!(
        (patched.status().as_u16(), header(&patched, "job-status")),
        (202, "canceling")
    );
    let touched = world.put(&job, "running").await;
    assert_eq!(
        (touched.status().as_u16(), header(&touched, "job-status")),
        (200, "canceling")
    );
    let finished = world.put(&job, "failed").await;
    assert_eq!(
        (finished.status().as_u16(), header(&finished, "job-status")),
        (200, "canceled")
    );
    let record = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(
        record.jobs.iter().map(|j| j.state).collect::<Vec<_>>(),
        [JobState::Canceled; 2]
    );
}

#[tokio::test]
async fn a_job_canceled_before_its_acceptance_is_thrown_away() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take().await;
    world.coordinator.cancel_job(JobId(job.id)).unwrap();
    let response = world.put(&job, "running").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "job-status")),
        (403, "canceled")
    );
}

#[tokio::test]
async fn a_runner_without_a_needed_feature_drops_the_job() {
    let world = World::start().await;
    let picky = Job {
        allow_failure: AllowFailure::ExitCodes(vec![42]),
        ..job("build", "a")
    };
    let pipeline = world.create(vec![picky]).await;
    let mut body = job_request(true);
    body["info"]["features"]["return_exit_code"] = false.into();
    assert_eq!(world.send_json(Method::POST, "jobs/request", &body).await.status(), 204);
    let record = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(
        record.jobs[0].failure_reason.as_ref().map(FailureReason::as_str),
        Some("runner_unsupported")
    );
}

#[tokio::test]
async fn a_manual_job_waits_for_play() {
    let world = World::start().await;
    let manual = Job {
        when: When::Manual,
        ..job("build", "a")
    };
    let pipeline = world.create(vec![manual]).await;
    assert_eq!(world.ask(None).await.status(), 204);
    let blocked = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(blocked.state, JobState::Manual);
    let id = blocked.jobs[0].id;
    world.coordinator.play_job(id).unwrap();
    assert!(matches!(world.coordinator.play_job(id), Err(Error::WrongState { .. })));
    assert_eq!(world.take().await.id, id.0);
}

#[tokio::test]
async fn unknown_pipelines_and_jobs_are_errors() {
    let world = World::start().await;
    let coordinator = &world.coordinator;
    assert!(matches!(
        coordinator.cancel_pipeline(PipelineId(9)),
        Err(Error::NotFound { id: 9, .. })
    ));
    assert!(matches!(
        coordinator.cancel_job(JobId(9)),
        Err(Error::NotFound { id: 9, .. })
    ));
    assert!(matches!(
        coordinator.wait(PipelineId(9)).await,
        Err(Error::NotFound { id: 9, .. })
    ));
}

#[tokio::test]
async fn events_tell_the_whole_story_in_order() {
    let world = World::start().await;
    let mut events = world.coordinator.subscribe();
    let pipeline = world.create(vec![job("build", "a")]).await;
    let taken = world.take_and_accept().await;
    world.patch(&taken, "0-4", b"hello").await;
    world.put(&taken, "success").await;
    let job = JobId(taken.id);
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    let changed = |state| Event::JobChanged { pipeline, job, state };
    let composite = |state| Event::PipelineChanged { pipeline, state };
    assert_eq!(
        seen,
        [
            changed(JobState::Pending),
            composite(JobState::Pending),
            changed(JobState::Running),
            composite(JobState::Running),
            Event::TraceChanged { job, size: 5 },
            changed(JobState::Success),
            composite(JobState::Success),
        ]
    );
}

#[tokio::test]
async fn the_overview_lists_jobs() {
    let world = World::start().await;
    world.create(vec![job("build", "compile")]).await;
    let text = world
        .client
        .get(&world.base)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.starts_with("local/sample\n\npipeline 1 pending main "), "{text}");
    assert!(text.ends_with("\n  build      pending         1 compile\n"), "{text}");
}
