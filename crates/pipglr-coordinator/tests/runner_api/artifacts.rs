//! Artifacts up and down.

use crate::support::{Taken, World, header, job};
use pipglr_coordinator::JobState;
use pipglr_protocol::payload::JobId;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::json;
use std::time::Duration;

async fn upload(world: &World, job: &Taken, query: &str, filename: &str, bytes: &[u8]) -> Response {
    let part = Part::bytes(bytes.to_vec()).file_name(filename.to_owned());
    world
        .call(Method::POST, &format!("jobs/{}/artifacts?{query}", job.id))
        .header("JOB-TOKEN", &job.token)
        .multipart(Form::new().part("file", part))
        .send()
        .await
        .unwrap()
}

async fn download(world: &World, id: u64, token: &str) -> Response {
    world
        .call(Method::GET, &format!("jobs/{id}/artifacts?direct_download=true"))
        .header("JOB-TOKEN", token)
        .send()
        .await
        .unwrap()
}

/// Job `a` uploaded `content` and succeeded; job `b` of the next stage runs.
async fn with_archive(world: &World, query: &str) -> (Taken, Taken) {
    world.create(vec![job("build", "a"), job("test", "b")]).await;
    let producer = world.take_and_accept().await;
    let response = upload(world, &producer, query, "artifacts.zip", b"content").await;
    assert_eq!(response.status(), 201);
    world.put(&producer, "success").await;
    (producer, world.take_and_accept().await)
}

#[tokio::test]
async fn an_archive_goes_up_and_comes_down() {
    let world = World::start().await;
    let (producer, consumer) = with_archive(&world, "artifact_type=archive&artifact_format=zip").await;
    assert_eq!(
        consumer.payload["dependencies"],
        json!([{ "id": producer.id, "token": consumer.token, "name": "a",
                 "artifacts_file": { "filename": "artifacts.zip", "size": 7 } }])
    );
    let response = download(&world, producer.id, &consumer.token).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "content-length")),
        (200, "7")
    );
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"content");
    let record = world.coordinator.job(JobId(producer.id)).unwrap();
    assert_eq!(std::fs::read(record.artifacts_path().unwrap()).unwrap(), b"content");
}

#[tokio::test]
async fn downloads_need_a_running_job_of_the_same_pipeline() {
    let world = World::start().await;
    let (producer, consumer) = with_archive(&world, "").await;
    assert_eq!(download(&world, producer.id, "glcbt-wrong").await.status(), 403);
    assert_eq!(download(&world, producer.id, &producer.token).await.status(), 403);
    assert_eq!(download(&world, consumer.id, &consumer.token).await.status(), 404);
    assert_eq!(download(&world, 99, &consumer.token).await.status(), 404);
    world.create(vec![job("build", "stranger")]).await;
    let stranger = world.take_and_accept().await;
    assert_eq!(download(&world, producer.id, &stranger.token).await.status(), 403);
}

#[tokio::test]
async fn uploads_need_a_running_job() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take().await;
    assert_eq!(upload(&world, &job, "", "a.zip", b"x").await.status(), 403);
    world.put(&job, "running").await;
    let mut wrong = job.clone();
    wrong.token = "glcbt-wrong".to_owned();
    assert_eq!(upload(&world, &wrong, "", "a.zip", b"x").await.status(), 403);
    world.put(&job, "success").await;
    let late = upload(&world, &job, "", "a.zip", b"x").await;
    assert_eq!((late.status().as_u16(), header(&late, "job-status")), (403, "success"));
}

#[tokio::test]
async fn a_repeated_upload_must_be_the_same() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    for (query, bytes, status) in [
        ("", "one", 201),
        ("", "one", 201),
        ("", "two", 400),
        ("artifact_type=junit&artifact_format=gzip", "two", 201),
    ] {
        assert_eq!(
            upload(&world, &job, query, "f", bytes.as_bytes()).await.status(),
            status,
            "{query} {bytes}"
        );
    }
    let record = world.coordinator.job(JobId(job.id)).unwrap();
    let kept: Vec<_> = record
        .artifacts
        .iter()
        .map(|a| (a.artifact_type.as_str(), a.format.as_str(), a.size))
        .collect();
    assert_eq!(kept, [("archive", "zip", 3), ("junit", "gzip", 3)]);
    let leftovers = record.artifacts[0].path.parent().unwrap().with_file_name("incoming");
    assert_eq!(std::fs::read_dir(leftovers).unwrap().count(), 0);
}

#[tokio::test]
async fn uploads_above_the_limit_are_413_and_leave_nothing() {
    let world = World::start_with(|o| o.artifact_limit = 1000).await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    assert_eq!(upload(&world, &job, "", "f", &[0; 1000]).await.status(), 201);
    let big = upload(&world, &job, "artifact_type=junit", "f", &[0; 1001]).await;
    assert_eq!(big.status(), 413);
    let record = world.coordinator.job(JobId(job.id)).unwrap();
    assert_eq!(record.artifacts.len(), 1);
    let leftovers = record.artifacts[0].path.parent().unwrap().with_file_name("incoming");
    assert_eq!(std::fs::read_dir(leftovers).unwrap().count(), 0);
}

#[tokio::test]
async fn parameters_and_names_are_checked() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    for (query, filename, status) in [
        ("artifact_type=../../x", "f", 400),
        ("artifact_format=rar", "f", 400),
        ("", "..", 400),
        ("artifact_type=sast&artifact_format=raw", "../../f.json", 201),
    ] {
        assert_eq!(
            upload(&world, &job, query, filename, b"x").await.status(),
            status,
            "{query}"
        );
    }
    let record = world.coordinator.job(JobId(job.id)).unwrap();
    assert_eq!(
        record.artifacts.iter().map(|a| a.filename.as_str()).collect::<Vec<_>>(),
        ["f.json"]
    );
    let empty = world
        .call(Method::POST, &format!("jobs/{}/artifacts", job.id))
        .header("JOB-TOKEN", &job.token)
        .multipart(Form::new().text("artifact_type", "archive"))
        .send();
    assert_eq!(empty.await.unwrap().status(), 400);
}

#[tokio::test]
async fn parameters_may_be_fields_of_the_form() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take_and_accept().await;
    let form = Form::new()
        .text("artifact_type", "junit")
        .part("file", Part::bytes(b"x".to_vec()).file_name("junit.xml.gz"))
        .text("artifact_format", "gzip")
        .text("expire_in", "1 day");
    let path = format!("jobs/{}/artifacts", job.id);
    let sent = world
        .call(Method::POST, &path)
        .header("JOB-TOKEN", &job.token)
        .multipart(form)
        .send();
    assert_eq!(sent.await.unwrap().status(), 201);
    let artifact = world.coordinator.job(JobId(job.id)).unwrap().artifacts.remove(0);
    assert_eq!(
        (artifact.artifact_type.as_str(), artifact.format.as_str()),
        ("junit", "gzip")
    );
    let lifetime = artifact.expires_at.unwrap().duration_since(jiff::Timestamp::now());
    assert_eq!(lifetime.as_hours(), 23);
}

#[tokio::test]
async fn an_expired_dependency_fails_the_job_before_it_is_handed_out() {
    let world = World::start().await;
    let pipeline = world.create(vec![job("build", "a"), job("test", "b")]).await;
    let producer = world.take_and_accept().await;
    let response = upload(&world, &producer, "expire_in=0.000001+s", "artifacts.zip", b"x").await;
    assert_eq!(response.status(), 201);
    world.put(&producer, "success").await;
    assert_eq!(world.ask(None).await.status(), 204);
    let record = world.coordinator.wait(pipeline).await.unwrap();
    let failed = &record.jobs[1];
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(
        failed.failure_reason.as_ref().map(|r| r.as_str()),
        Some("missing_dependency_failure")
    );
}

#[tokio::test]
async fn a_large_file_is_streamed_both_ways() {
    let world = World::start().await;
    world.create(vec![job("build", "a"), job("test", "b")]).await;
    let producer = world.take_and_accept().await;
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|i| (i ^ (i >> 8)) as u8).collect();
    assert_eq!(
        upload(&world, &producer, "", "artifacts.zip", &bytes).await.status(),
        201
    );
    world.put(&producer, "success").await;
    let consumer = world.take_and_accept().await;
    let fetched = download(&world, producer.id, &consumer.token).await.bytes();
    let fetched = tokio::time::timeout(Duration::from_secs(30), fetched)
        .await
        .unwrap()
        .unwrap();
    assert!(fetched == bytes);
}
