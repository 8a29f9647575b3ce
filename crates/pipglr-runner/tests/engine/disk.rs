//! Disks that are looked after: what is removed beside a job that runs, and when no jobs are asked for.

use crate::house::{House, job};
use crate::support::{Bench, PATIENCE, requests};
use pipglr_runner::config::Config;
use pipglr_runner::disk::plan::Scope;
use pipglr_runner::disk::{Disk, DiskOptions};
use pipglr_runner::job::run_job;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{JobBuilder, RUNNER_TOKEN};
use pipglr_testkit::podman::{ALPINE, Act, Image};
use std::sync::Arc;
use tokio::sync::watch;

fn image(digit: &str) -> Image {
    Image {
        id: digit.repeat(64),
        ..Image::default()
    }
}

/// Pulled or found, for its script or beside it: what a job uses stays, and goes when the job is over.
#[tokio::test]
async fn what_a_job_uses_is_not_removed() {
    let bench = Bench::start().await;
    bench.podman.add_image("docker.io/library/unused:1", image("b"));
    bench.podman.pullable("docker.io/library/postgres:16", image("c"));
    let gate = Gate::closed();
    bench.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    let payload = JobBuilder::new(41).without_sources().script(&["x"]);
    let payload = bench
        .gitlab
        .assign(payload.service("postgres:16", serde_json::json!({})));
    let world = bench.world(41);
    let engine = world.engine.clone();
    let options = DiskOptions {
        storage: bench.directory.path().to_owned(),
        state_dir: bench.directory.path().to_owned(),
    };
    let (_sender, configs) = watch::channel(Arc::new(Config::default()));
    let disk = Disk::new(options, &engine, configs);
    let running = tokio::spawn(run_job(bench.accepted(payload), world));
    bench
        .podman
        .wait_for("the script", |r| r.has_begun("step_script"))
        .await;
    let collected = disk.collect(&engine, Scope::All).await.unwrap();
    let removed = |collected: &pipglr_runner::disk::Collected| -> Vec<String> {
        collected.removed.iter().map(|r| r.name.clone()).collect()
    };
    assert_eq!(removed(&collected), ["docker.io/library/unused:1"]);
    assert_eq!(
        bench.podman.record().images_removed,
        ["docker.io/library/unused:1".to_owned(), "b".repeat(64)]
    );
    gate.open();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let mut later = removed(&disk.collect(&engine, Scope::All).await.unwrap());
    later.retain(|name| name.contains('/'));
    later.sort();
    assert_eq!(later, [ALPINE, "docker.io/library/postgres:16"]);
}

#[tokio::test]
async fn no_job_is_asked_for_while_space_is_short() {
    let mut house = House::new().await;
    house.storage = Some(house.directory.path().to_owned());
    house.gitlab.queue(job(41));
    let running = house.start("[disk]\nmin_free = \"1000t\"", &[(RUNNER_TOKEN, "")]);
    let tidied = |r: &pipglr_testkit::podman::Record| r.calls.iter().any(|call| call.path == "/images/json");
    house.podman.wait_for("something to be removed", tidied).await;
    assert_eq!(requests(&house.gitlab.record(), RUNNER_TOKEN), 0);
    let metrics = house.metrics.render();
    for line in [
        "pipglr_disk_has_room 0\n",
        "pipglr_disk_ballast_pieces 0\n",
        "pipglr_disk_removed_total{kind=\"cache\"} 0\n",
        "pipglr_disk_free_bytes{disk=\"storage\"} ",
        "pipglr_disk_size_bytes{disk=\"state\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    house.write("[disk]\nmin_free = \"0\"\nballast = \"0\"", &[(RUNNER_TOKEN, "")]);
    house.reload.notify_one();
    house.gitlab.finished(41).await;
    house.shutdown.request(pipglr_runner::manager::ShutdownLevel::Graceful);
    crate::house::ended(running).await;
}
