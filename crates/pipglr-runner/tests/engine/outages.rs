//! podman's service goes away during a call and comes back: no job fails for that, and nothing is left.

use crate::support::Bench;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Image;
use serde_json::json;

/// Calls of one job with a service, each lost twice: once before podman did anything, once after it did it.
const CALLS: [&str; 12] = [
    "GET /images/",
    "POST /images/pull",
    "POST /volumes/create",
    "POST /networks/create",
    "POST /secrets/create",
    "POST /containers/create",
    "/attach",
    "/start",
    "DELETE /containers/",
    "DELETE /networks/",
    "DELETE /secrets/",
    "DELETE /volumes/",
];

#[tokio::test]
async fn calls_that_were_lost_are_made_again() {
    for applied in [false, true] {
        for call in CALLS {
            let bench = Bench::start().await;
            bench.podman.pullable("docker.io/library/redis:7", Image::default());
            match applied {
                false => bench.podman.lose_connection(call, 1),
                true => bench.podman.lose_answer(call, 1),
            }
            let payload = JobBuilder::new(700)
                .script(&["x"])
                .artifacts(&["a"], "always")
                .masked_variable("SECRET", "s3cret-value")
                .service("redis:7", json!({"alias": "cache"}));
            let ran = bench.run(payload).await;
            let text = ran.at_gitlab.text();
            assert_eq!(
                ran.at_gitlab.ending().0,
                "success",
                "{call}, applied: {applied}\n{text}"
            );
            assert!(
                !text.contains("Preparation failed"),
                "{call}, applied: {applied}\n{text}"
            );
            bench.assert_clean();
        }
    }
}

#[tokio::test]
async fn a_podman_that_stays_away_fails_the_job_once() {
    let bench = Bench::start().await;
    bench.podman.lose_connection("POST /images/pull", 99);
    let ran = bench.run(JobBuilder::new(701).script(&["x"])).await;
    ran.assert_ending("failed", "runner_system_failure", 0);
    let pulls = bench
        .podman
        .record()
        .calls
        .iter()
        .filter(|c| c.line().contains("/images/pull"))
        .count();
    assert_eq!(pulls, 3);
    assert!(!ran.at_gitlab.text().contains("Preparation failed"));
}

/// podman may fail to end what is just ending.
#[tokio::test]
async fn what_could_not_be_removed_at_first_is_gone_in_the_end() {
    for call in [
        "DELETE /containers/",
        "DELETE /networks/",
        "DELETE /secrets/",
        "DELETE /volumes/",
    ] {
        let bench = Bench::start().await;
        bench.podman.pullable("docker.io/library/redis:7", Image::default());
        let message = "container could not be stopped: given PID did not die within timeout";
        bench.podman.refuse(call, 1, 500, message);
        let payload = JobBuilder::new(702)
            .script(&["x"])
            .masked_variable("SECRET", "s3cret-value")
            .service("redis:7", json!({"alias": "cache"}));
        let ran = bench.run(payload).await;
        assert_eq!(ran.at_gitlab.ending().0, "success", "{call}\n{}", ran.at_gitlab.text());
        bench.assert_clean();
    }
}
