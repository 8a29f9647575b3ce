//! Everything that ends a job early: users, time, images, podman, and the runner's own end.

use crate::support::{Bench, ending};
use pipglr_protocol::update::{FailureReason, UpdateState};
use pipglr_runner::trace::sender::Delivery;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, JobBuilder};
use pipglr_testkit::podman::{ALPINE, Act, Image};
use serde_json::json;

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["sleep infinity"])
}

/// Cancels a hanging job by whatever the answer to its output says.
async fn canceled_by(bench: &Bench, payload: JobBuilder, word: &str) -> crate::support::Ran {
    let gate = Gate::closed();
    bench.podman.on_stage(
        "step_script",
        [
            Act::out("working\n"),
            Act::WaitFor(gate.clone()),
            Act::out("more\n"),
            Act::Hang,
        ],
    );
    bench.podman.on_stage("after_script", [Act::out("tidying up\n")]);
    let word = word.to_owned();
    let (ran, ()) = tokio::join!(bench.run(payload), async {
        bench
            .gitlab
            .wait_for("its output", |r| {
                r.jobs.get(&41).is_some_and(|j| j.text().contains("working"))
            })
            .await;
        let header = Answer::usual().header("Job-Status", &word);
        bench.gitlab.answer_if(
            Endpoint::Trace,
            1,
            |r| String::from_utf8_lossy(&r.body).contains("more"),
            header,
        );
        gate.open();
    });
    ran
}

#[tokio::test]
async fn canceling_stops_the_script_and_runs_after_script() {
    let bench = Bench::start().await;
    let payload = job(41).after_script(&["x"]).artifacts(&["out"], "always");
    let ran = canceled_by(&bench, payload, "canceling").await;
    ran.assert_ending("failed", "job_canceled", 0);
    let log = ran.log();
    let order = [
        "more\n",
        "WARNING: script canceled externally (UI, API)\n",
        "Running after_script\n",
        "tidying up\n",
        "ERROR: Job failed: canceled\n",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|part| log.find(part).unwrap_or_else(|| panic!("{part:?} in\n{log}")))
        .collect();
    assert!(places.is_sorted(), "{log}");
    let record = bench.podman.record();
    assert_eq!(record.container("-build").unwrap().signals, ["SIGTERM"]);
    assert!(
        record.has_begun("upload_artifacts_on_failure"),
        "artifacts of a canceled job are uploaded as for a failed one"
    );
    bench.assert_clean();
}

#[tokio::test]
async fn a_coordinator_that_does_not_know_job_canceled_hears_unknown_failure() {
    let bench = Bench::start().await;
    let ran = canceled_by(&bench, job(41).failure_reasons(&["script_failure"]), "canceling").await;
    ran.assert_ending("failed", "unknown_failure", 0);
    assert_eq!(ran.record.failure_reason, Some(FailureReason::JobCanceled));
}

#[tokio::test]
async fn a_job_that_is_over_for_gitlab_ends_at_once() {
    for word in ["canceled", "failed"] {
        let bench = Bench::start().await;
        bench.gitlab.answer_if(
            Endpoint::JobUpdate,
            9,
            |r| r.state() == "failed",
            Answer::status(403).header("Job-Status", word),
        );
        let ran = canceled_by(&bench, job(41).after_script(&["x"]).artifacts(&["out"], "always"), word).await;
        assert_eq!(
            (ran.record.state, ran.record.delivery),
            (Some(UpdateState::Failed), Some(Delivery::Refused))
        );
        let record = bench.podman.record();
        assert!(
            !record.has_begun("after_script") && !record.has_begun("upload_artifacts_on_failure"),
            "{word}"
        );
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_job_canceled_before_its_script_runs_nothing() {
    // While it is acknowledged.
    let bench = Bench::start().await;
    let payload = bench.gitlab.assign(job(42).after_script(&["x"]));
    bench.gitlab.cancel(42);
    let record = Box::pin(pipglr_runner::job::run_job(bench.accepted(payload), bench.world(42))).await;
    assert_eq!(record.failure_reason, Some(FailureReason::JobCanceled));
    assert_eq!(
        bench.gitlab.record().jobs[&42].ending(),
        ending("failed", "job_canceled", 0)
    );
    assert!(!bench.podman.record().has_begun("step_script"));
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_canceled_while_its_image_is_pulled_runs_nothing() {
    let bench = Bench::start().await;
    let gate = Gate::closed();
    bench.podman.hold_pulls(&gate);
    bench.gitlab.answer_if(
        Endpoint::Trace,
        1,
        |r| String::from_utf8_lossy(&r.body).contains("Pulling docker image"),
        Answer::usual().header("Job-Status", "canceling"),
    );
    let ran = bench.run(job(43).after_script(&["x"])).await;
    ran.assert_ending("failed", "job_canceled", 0);
    assert!(!bench.podman.record().has_begun("step_script") && !bench.podman.record().has_begun("after_script"));
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_canceled_while_its_sources_are_fetched_runs_nothing() {
    let bench = Bench::start().await;
    bench
        .podman
        .on_stage("get_sources", [Act::out("Fetching\n"), Act::Hang]);
    bench.gitlab.answer_if(
        Endpoint::Trace,
        1,
        |r| String::from_utf8_lossy(&r.body).contains("Fetching"),
        Answer::usual().header("Job-Status", "canceling"),
    );
    let ran = bench.run(JobBuilder::new(44).script(&["x"]).after_script(&["y"])).await;
    ran.assert_ending("failed", "job_canceled", 0);
    assert!(!bench.podman.record().has_begun("step_script") && !bench.podman.record().has_begun("after_script"));
    bench.assert_clean();
}

#[tokio::test]
async fn the_runners_end_interrupts_the_job() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::out("working\n"), Act::Hang]);
    let (ran, ()) = tokio::join!(bench.run(job(45).after_script(&["x"])), async {
        bench
            .podman
            .wait_for("the script", |r| r.has_begun("step_script"))
            .await;
        bench.interrupt.cancel();
    });
    ran.assert_ending("failed", "runner_interrupted", 0);
    ran.assert_log_has("ERROR: Job failed: aborted: terminated\n");
    assert!(!bench.podman.record().has_begun("after_script"));
    bench.assert_clean();
}

#[tokio::test]
async fn the_jobs_time_is_limited() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::out("working\n"), Act::Hang]);
    let ran = bench
        .run(job(46).timeout(1).after_script(&["x"]).artifacts(&["out"], "always"))
        .await;
    ran.assert_ending("failed", "job_execution_timeout", 0);
    ran.assert_log_has("working\n");
    ran.assert_log_has("ERROR: Job failed: execution took longer than 1s seconds\n");
    let record = bench.podman.record();
    assert!(!record.has_begun("after_script") && !record.has_begun("upload_artifacts_on_failure"));
    bench.assert_clean();
}

#[tokio::test]
async fn a_script_has_a_time_of_its_own() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::TimeOut]);
    let ran = bench
        .run(job(47).variable("RUNNER_SCRIPT_TIMEOUT", "5m").after_script(&["x"]))
        .await;
    ran.assert_ending("failed", "job_execution_timeout", 0);
    assert!(bench.podman.record().has_begun("after_script"));
    assert_eq!(bench.podman.plan("-build")["script_timeout"], 300);
    bench.assert_clean();
}

#[tokio::test]
async fn pull_failures_are_classified_and_reported_as_the_coordinator_knows_them() {
    let unknown = "reading manifest 3.20 in docker.io/library/alpine: manifest unknown";
    let refused = "unauthorized: authentication required";
    let full = "writing blob: no space left on device";
    let away = "pinging registry: dial tcp 1.2.3.4:443: i/o timeout";
    // (podman's words, whether the coordinator knows all reasons, the reason that is sent, pulls)
    let cases = [
        (unknown, true, "runner_configuration_error", 1),
        (unknown, false, "script_failure", 1),
        (refused, true, "runner_configuration_error", 1),
        (full, true, "image_pull_failure", 1),
        (full, false, "runner_system_failure", 1),
        (away, true, "runner_external_dependency_failure", 3),
        (away, false, "runner_system_failure", 3),
    ];
    let all_done = cases.map(async |(words, knows_all, reason, pulls)| {
        let bench = Bench::start().await;
        bench.podman.pull_fails(ALPINE, 99, words);
        let payload = if knows_all {
            job(48)
        } else {
            job(48).failure_reasons(&[])
        };
        let ran = bench.run(payload).await;
        ran.assert_ending("failed", reason, 0);
        assert_eq!(bench.podman.record().pulls.len(), pulls, "{words}");
        let last =
            format!("Job failed: failed to pull image \"alpine:3.20\" with specified policies [always]: {words}\n");
        ran.assert_log_has(&last);
        ran.assert_log_has(&format!(
            "WARNING: Failed to pull image with policy \"always\": {words}\n"
        ));
        bench.assert_clean();
    });
    futures_util::future::join_all(all_done).await;
}

#[tokio::test]
async fn an_outage_of_the_registry_that_passes_is_waited_for() {
    let words = [
        "dial tcp: lookup registry.test: no such host",
        "toomanyrequests: You have reached your pull rate limit",
    ];
    let all_done = words.map(async |words| {
        let bench = Bench::start().await;
        bench.podman.pull_fails(ALPINE, 1, words);
        let ran = bench.run(job(49)).await;
        ran.assert_ending("success", "", 0);
        assert_eq!(bench.podman.record().pulls.len(), 2, "{words}");
        bench.assert_clean();
    });
    futures_util::future::join_all(all_done).await;
}

#[tokio::test]
async fn pull_policies_are_tried_in_order() {
    // (policies of config.toml, policies of the job, there already, pull fails, pulls, runs)
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        bool,
        bool,
        usize,
        bool,
    );
    let cases: [Case; 10] = [
        (&[], &[], true, false, 1, true),
        (&["always"], &[], true, true, 1, false),
        (&["if-not-present"], &[], true, true, 0, true),
        (&["if-not-present"], &[], false, false, 1, true),
        (&["if-not-present"], &[], false, true, 1, false),
        (&["never"], &[], true, true, 0, true),
        (&["never"], &[], false, false, 0, false),
        (&["always", "if-not-present"], &[], true, true, 1, true),
        (&["always", "if-not-present"], &["if-not-present"], true, true, 0, true),
        (
            &["always", "if-not-present"],
            &["if-not-present", "always"],
            false,
            true,
            2,
            false,
        ),
    ];
    for (configured, wanted, present, fails, pulls, runs) in cases {
        let mut bench = Bench::start().await;
        bench.runner.docker.pull_policy = configured.iter().map(|p| (*p).to_owned()).collect();
        if present {
            bench.podman.add_image(ALPINE, Image::default());
        }
        if fails {
            bench
                .podman
                .pull_fails(ALPINE, 9, "writing blob: no space left on device");
        }
        let ran = bench.run(job(50).pull_policy(wanted)).await;
        let what = format!(
            "{configured:?} {wanted:?} present: {present}, fails: {fails}\n{}",
            ran.log()
        );
        assert_eq!(ran.ending().0, if runs { "success" } else { "failed" }, "{what}");
        assert_eq!(bench.podman.record().pulls.len(), pulls, "{what}");
        bench.assert_clean();
    }
}

#[tokio::test]
async fn the_second_policy_is_announced() {
    let mut bench = Bench::start().await;
    bench.runner.docker.pull_policy = vec!["always".to_owned(), "if-not-present".to_owned()];
    bench.podman.add_image(ALPINE, Image::default());
    bench
        .podman
        .pull_fails(ALPINE, 9, "writing blob: no space left on device");
    let ran = bench.run(job(51)).await;
    ran.assert_log_has(
        "Using effective pull policy of [always if-not-present] for container alpine:3.20\n\
         Pulling docker image alpine:3.20 ...\n\
         WARNING: Failed to pull image with policy \"always\": writing blob: no space left on device\n\
         Attempt #2: Trying \"if-not-present\" pull policy\n\
         Using locally found image version due to \"if-not-present\" pull policy\n",
    );
}

#[tokio::test]
async fn a_policy_the_runner_does_not_allow_ends_the_job() {
    let bench = Bench::start().await;
    let ran = bench.run(job(52).pull_policy(&["never"])).await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has(
        "ERROR: Job failed: invalid pull policy for image \"alpine:3.20\": pull_policy ([never]) defined in GitLab \
         pipeline config is not one of the allowed_pull_policies ([always])\n",
    );
    assert_eq!(bench.podman.record().created.len(), 0);
    bench.assert_clean();

    let mut bench = Bench::start().await;
    bench.runner.docker.allowed_pull_policies = vec!["never".to_owned(), "always".to_owned()];
    bench.podman.add_image(ALPINE, Image::default());
    bench
        .run(job(52).pull_policy(&["never"]))
        .await
        .assert_ending("success", "", 0);
}

#[tokio::test]
async fn a_job_without_an_image_gets_the_runners() {
    let mut bench = Bench::start().await;
    bench.runner.docker.image = "alpine:3.20".to_owned();
    let ran = bench.run(job(53).image("")).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("Using Docker executor with image alpine:3.20 ...\nUsing default image\n");

    let bench = Bench::start().await;
    let ran = bench.run(job(53).image("")).await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has(
        "Job failed: no image: the job names none, and config.toml has no `image` in [runners.docker]\n",
    );
    bench.assert_clean();
}

#[tokio::test]
async fn credentials_of_the_job_go_to_its_registry_only() {
    for (image, sent) in [
        ("registry.test/group/image:1", true),
        ("registry.test.evil/image:1", false),
        ("alpine:3.20", false),
    ] {
        let bench = Bench::start().await;
        for reference in ["registry.test/group/image:1", "registry.test.evil/image:1"] {
            bench.podman.pullable(reference, Image::default());
        }
        bench
            .run(job(54).image(image).registry("registry.test", "me", "p4ssword"))
            .await
            .assert_ending("success", "", 0);
        assert_eq!(!bench.podman.record().pulls[0].auth.is_empty(), sent, "{image}");
    }
}

#[tokio::test]
async fn a_container_that_dies_says_why() {
    let cases = [
        (Act::Die(137), "the container ended unexpectedly with exit code 137"),
        (Act::Die(0), "the container ended unexpectedly with exit code 0"),
        (Act::OutOfMemory, "the container ran out of memory and was killed"),
    ];
    for (act, reason) in cases {
        for stage in ["step_script", "get_sources"] {
            let bench = Bench::start().await;
            bench.podman.on_stage(stage, [Act::out("last words"), act.clone()]);
            let ran = bench.run(JobBuilder::new(55).script(&["x"]).after_script(&["y"])).await;
            ran.assert_ending("failed", "runner_system_failure", 0);
            ran.assert_log_has("last words");
            ran.assert_log_has(&format!("ERROR: Job failed (system failure): {reason}\n"));
            bench.assert_clean();
        }
    }
}

#[tokio::test]
async fn a_preparation_that_fails_is_tried_again() {
    let bench = Bench::start().await;
    bench.podman.refuse("POST /containers/create", 1, 500, "out of luck");
    let ran = bench.run(job(56)).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("out of luck\nWill be retried in 3s ...\n");
    bench.assert_clean();
}

#[tokio::test]
async fn a_preparation_that_keeps_failing_ends_the_job_and_leaves_nothing() {
    let refusals = ["POST /containers/create", "/start", "/attach", "POST /volumes/create"];
    let all_done = refusals.map(async |call| {
        let bench = Bench::start().await;
        bench.podman.refuse(call, 99, 500, "out of luck");
        let ran = bench.run(job(57)).await;
        ran.assert_ending("failed", "runner_system_failure", 0);
        assert_eq!(
            ran.log().matches("ERROR: Preparation failed: ").count(),
            2,
            "{}",
            ran.log()
        );
        assert!(ran.log().ends_with("out of luck\n"), "{}", ran.log());
        bench.assert_clean();
    });
    futures_util::future::join_all(all_done).await;
}

#[tokio::test]
async fn what_this_version_cannot_do_is_said_before_anything_is_done() {
    for (payload, words) in [
        (job(58).with("/steps", json!([])), "the job has no script"),
        (
            JobBuilder::new(58)
                .script(&["x"])
                .variable("GIT_SUBMODULE_STRATEGY", "every"),
            "unknown GIT_SUBMODULE_STRATEGY \"every\": use none, normal or recursive",
        ),
    ] {
        let bench = Bench::start().await;
        let ran = bench.run(payload).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        assert!(
            ran.log().ends_with(&format!("ERROR: Job failed: {words}\n")),
            "{}",
            ran.log()
        );
        assert_eq!(bench.podman.record().created.len(), 0);
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_kept_is_reported_as_our_failure() {
    let bench = Bench::start().await;
    std::fs::write(bench.directory.path().join("jobs"), "in the way").unwrap();
    let ran = bench.run(job(59)).await;
    ran.assert_ending("failed", "runner_system_failure", 0);
    // Nothing can be written down, but it is said from memory.
    ran.assert_log_has("Running with VERSION");
    ran.assert_log_has("ERROR: Job failed (system failure): write the job's journal");
    assert_eq!(bench.podman.record().created.len(), 0);
    assert_eq!(bench.gitlab.record().violations, Vec::<String>::new());
}

#[tokio::test]
async fn output_over_the_limit_is_dropped_and_the_job_goes_on() {
    let mut bench = Bench::start().await;
    bench.runner.output_limit = 2;
    bench
        .podman
        .on_stage("step_script", [Act::out("x".repeat(5000)), Act::out("never seen\n")]);
    let ran = bench.run(job(60)).await;
    ran.assert_ending("success", "", 0);
    let end =
        "Job's log exceeded limit of 2048 bytes.\nJob execution will continue but no more output will be collected.\n";
    assert!(ran.log().ends_with(end), "{}", ran.log());
    bench.assert_clean();
}
