//! A job that failed is held open for whoever wants to look around in its container.

use crate::support::Bench;
use pipglr_runner::job::{self, FailureHold, World};
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Act;

#[tokio::test]
async fn a_failed_jobs_container_stays_until_it_is_let_go() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::Exit(3)]);
    let (hold, mut failed) = FailureHold::new();
    let payload = bench.gitlab.assign(JobBuilder::new(800).script(&["x"]));
    let id = payload["id"].as_u64().unwrap();
    let world = World {
        hold: Some(hold.of_job(pipglr_protocol::payload::JobId(id), "held")),
        ..bench.world(id)
    };
    let look = async {
        let held = failed.recv().await.unwrap();
        assert_eq!((held.id.0, held.name.as_str()), (id, "held"));
        let left = bench.podman.containers();
        assert!(left.iter().any(|name| name.ends_with("-build")), "{left:?}");
        let state = bench.gitlab.record().jobs[&id].ending().0;
        assert_ne!(state, "failed", "it is not over yet");
    };
    let running = Box::pin(job::run_job(bench.accepted(payload), world));
    let (_record, ()) = tokio::join!(running, look);
    assert_eq!(bench.gitlab.record().jobs[&id].ending().0, "failed");
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_that_succeeded_waits_for_nobody() {
    let bench = Bench::start().await;
    let (hold, mut failed) = FailureHold::new();
    let payload = bench.gitlab.assign(JobBuilder::new(801).script(&["x"]));
    let id = payload["id"].as_u64().unwrap();
    let world = World {
        hold: Some(hold.of_job(pipglr_protocol::payload::JobId(id), "fine")),
        ..bench.world(id)
    };
    Box::pin(job::run_job(bench.accepted(payload), world)).await;
    drop(hold);
    assert!(failed.recv().await.is_none());
    bench.assert_clean();
}
