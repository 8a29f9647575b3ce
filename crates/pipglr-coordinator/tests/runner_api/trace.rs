//! `PATCH jobs/:id/trace`, and the final comparison of checksums.

use crate::support::{World, header, job};
use pipglr_coordinator::JobState;
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::{FailureReason, Output};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

fn described(bytes: &[u8]) -> serde_json::Value {
    let output = Output::of(crc32(bytes), bytes.len() as u64);
    json!({ "state": "success", "output": output })
}

/// CRC-32/IEEE, bit by bit: a second witness to the coordinator's own.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            (c >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(c & 1))
        })
    })
}

#[tokio::test]
async fn chunks_are_appended_in_order() {
    let world = World::start_with(|o| o.trace_update_interval = Duration::from_millis(2500)).await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    // The announced end is ignored.
    for (range, bytes, expected) in [("0-4", "hello", "0-5"), ("5-99", " world", "0-11")] {
        let response = world.patch(&job, range, bytes.as_bytes()).await;
        assert_eq!(response.status(), 202);
        assert_eq!(header(&response, "range"), expected);
        assert_eq!(header(&response, "job-status"), "running");
        assert_eq!(header(&response, "x-gitlab-trace-update-interval"), "3");
        assert_eq!(response.text().await.unwrap(), expected);
    }
    assert_eq!(world.stored_trace(&job), b"hello world");
    assert_eq!(world.coordinator.job(JobId(job.id)).unwrap().trace_size, 11);
}

#[tokio::test]
async fn gaps_and_repetitions_are_416_with_the_size() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    world.patch(&job, "0-4", b"hello").await;
    for range in ["0-4", "4-5", "6-7"] {
        let response = world.patch(&job, range, b"again").await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "range")),
            (416, "0-5"),
            "{range}"
        );
    }
    assert_eq!(world.stored_trace(&job), b"hello");
}

#[tokio::test]
async fn a_range_is_required() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    let path = format!("jobs/{}/trace", job.id);
    let bare = || {
        world
            .call(Method::PATCH, &path)
            .header("JOB-TOKEN", &job.token)
            .body("x")
    };
    let missing = bare().send().await.unwrap();
    assert_eq!(missing.status(), 400);
    assert_eq!(
        missing.text().await.unwrap(),
        r#"{"message":"400 Missing header Content-Range"}"#
    );
    assert_eq!(bare().header("Content-Range", "x").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_token_may_be_a_parameter_and_must_be_right() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    for (token, status) in [(job.token.as_str(), 202), ("glcbt-wrong", 403), ("", 403)] {
        let path = format!("jobs/{}/trace?token={token}&debug_trace=false", job.id);
        let call = world
            .call(Method::PATCH, &path)
            .header("Content-Range", "0-0")
            .body("x");
        assert_eq!(call.send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_trace_above_the_limit_drops_the_job() {
    let world = World::start_with(|o| o.trace_limit = 8).await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    assert_eq!(world.patch(&job, "0-7", b"12345678").await.status(), 202);
    let response = world.patch(&job, "8-8", b"9").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "job-status")),
        (403, "failed")
    );
    let record = world.coordinator.job(JobId(job.id)).unwrap();
    assert_eq!(
        record.failure_reason,
        Some(FailureReason::Named("trace_size_exceeded".to_owned()))
    );
}

#[tokio::test]
async fn a_matching_checksum_is_accepted() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    world.patch(&job, "0-4", b"hello").await;
    assert_eq!(world.put_with(&job, described(b"hello")).await.status(), 200);
}

#[tokio::test]
async fn a_job_without_a_trace_can_finish() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    assert_eq!(world.put_with(&job, described(b"")).await.status(), 200);
}

#[tokio::test]
async fn a_mismatch_is_412_once_and_the_trace_starts_over() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    world.patch(&job, "0-4", b"hellX").await;
    let response = world.put_with(&job, described(b"hello")).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "job-status")),
        (412, "running")
    );
    assert_eq!(world.state(&job), JobState::Running);
    assert_eq!(world.patch(&job, "0-4", b"hello").await.status(), 202);
    assert_eq!(world.put_with(&job, described(b"hello")).await.status(), 200);
    assert_eq!(world.stored_trace(&job), b"hello");
}

#[tokio::test]
async fn a_second_mismatch_does_not_lose_the_job() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    world.patch(&job, "0-4", b"hello").await;
    let body = json!({ "state": "success", "checksum": "crc32:00000000" });
    assert_eq!(world.put_with(&job, body.clone()).await.status(), 412);
    world.patch(&job, "0-4", b"hello").await;
    assert_eq!(world.put_with(&job, body).await.status(), 200);
    assert_eq!(
        (world.state(&job), world.stored_trace(&job)),
        (JobState::Success, b"hello".to_vec())
    );
}

#[tokio::test]
async fn keep_alives_are_not_compared() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    let mut body = described(b"not sent yet");
    body["state"] = "running".into();
    assert_eq!(world.put_with(&job, body).await.status(), 200);
}
