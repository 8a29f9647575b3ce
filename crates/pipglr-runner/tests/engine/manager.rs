//! The manager: how it asks for jobs, how many it runs, and how it stops.

use crate::house::{House, SECOND_RUNNER, ended, job};
use crate::support::{SYSTEM_ID, requests};
use pipglr_runner::config::parse_config;
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::manager::{self, Ended, ManagerOptions, ShutdownLevel};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, RUNNER_TOKEN};
use pipglr_testkit::podman::Act;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_job_is_asked_for_acknowledged_run_and_reported_in_this_order() {
    let house = House::new().await;
    house.podman.on_stage("step_script", [Act::out("hello\n")]);
    house.gitlab.queue(job(101));
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    let ended = house.gitlab.finished(101).await;
    house.stop(running).await;
    assert!(ended.text().contains("hello\n") && ended.is_complete());
    let record = house.gitlab.record();
    let (asked, acknowledged) = (&record.requests[0], &record.requests[1]);
    assert_eq!((asked.endpoint, asked.status), (Endpoint::JobRequest, Some(201)));
    assert_eq!(record.calls_of(101)[0], "PUT running 200");
    assert_eq!(asked.json()["system_id"], SYSTEM_ID);
    // The rest is the look for leftovers.
    let lists = ["/containers/json", "/volumes/json", "/networks/json", "/secrets/json"];
    let of_job = |c: &&pipglr_testkit::podman::Call| !lists.contains(&c.path.as_str());
    let calls = house.podman.record().calls;
    assert!(
        calls
            .iter()
            .filter(of_job)
            .all(|c| c.received > acknowledged.answered.unwrap())
    );
    assert!(calls.iter().filter(of_job).count() > 3);
}

#[tokio::test]
async fn only_what_is_implemented_is_reported_as_a_feature() {
    let house = House::new().await;
    house.gitlab.queue(job(102));
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    house.gitlab.finished(102).await;
    house.stop(running).await;
    let info = house.gitlab.record().requests[0].json()["info"].clone();
    let on: Vec<&str> = info["features"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, v)| **v == json!(true))
        .map(|(k, _)| k.as_str())
        .collect();
    let expected = [
        "artifacts",
        "artifacts_exclude",
        "cache",
        "cancel_gracefully",
        "cancelable",
        "fallback_cache_keys",
        "image",
        "image_executor_opts",
        "masking",
        "multi_build_steps",
        "raw_variables",
        "refspecs",
        "return_exit_code",
        "service_executor_opts",
        "service_multiple_aliases",
        "service_variables",
        "services",
        "trace_checksum",
        "trace_reset",
        "trace_size",
        "two_phase_job_commit",
        "upload_multiple_artifacts",
        "upload_raw_artifacts",
        "variables",
        "vault_secrets",
    ];
    let mut sorted = on.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!((&info["executor"], &info["shell"]), (&json!("docker"), &json!("bash")));
}

#[tokio::test]
async fn a_job_taken_back_at_the_acknowledgement_frees_its_slot() {
    let house = House::new().await;
    house.gitlab.queue(job(103));
    house.gitlab.queue(job(104));
    house.gitlab.answer(Endpoint::JobUpdate, Answer::status(403));
    let running = house.start("concurrent = 1", &[(RUNNER_TOKEN, "limit = 1")]);
    house.gitlab.finished(104).await;
    house.stop(running).await;
    assert_eq!(house.gitlab.record().calls_of(103), ["PUT running 403"]);
    assert!(
        house
            .podman
            .record()
            .created
            .iter()
            .all(|c| c.spec["labels"]["pipglr.job"] == "104")
    );
}

#[tokio::test]
async fn never_more_jobs_than_concurrent_allows() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    for id in 110..116 {
        house.gitlab.queue(job(id));
    }
    let running = house.start("concurrent = 2", &[(RUNNER_TOKEN, ""), (SECOND_RUNNER, "")]);
    house.scripts_begun(2).await;
    gate.open();
    for id in 110..116 {
        assert_eq!(house.gitlab.finished(id).await.ending().0, "success");
    }
    house.stop(running).await;
    assert_eq!(house.gitlab.record().most_jobs, 2);
}

#[tokio::test]
async fn a_runner_has_a_limit_of_its_own() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    for id in 120..123 {
        house.gitlab.queue_for(RUNNER_TOKEN, job(id));
        house.gitlab.queue_for(SECOND_RUNNER, job(id + 10));
    }
    let running = house.start(
        "concurrent = 9",
        &[(RUNNER_TOKEN, "limit = 1"), (SECOND_RUNNER, "limit = 2")],
    );
    house.scripts_begun(3).await;
    gate.open();
    for id in [120, 121, 122, 130, 131, 132] {
        house.gitlab.finished(id).await;
    }
    house.stop(running).await;
    let record = house.gitlab.record();
    assert_eq!(
        (
            record.most_jobs_of[RUNNER_TOKEN],
            record.most_jobs_of[SECOND_RUNNER],
            record.most_jobs
        ),
        (1, 2, 3)
    );
}

#[tokio::test]
async fn jobs_at_the_same_time_have_numbers_of_their_own() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    house.gitlab.queue(job(141).project(1));
    house.gitlab.queue(job(142).project(1));
    house.gitlab.queue(job(143).project(2));
    let running = house.start("concurrent = 3", &[(RUNNER_TOKEN, "")]);
    house.scripts_begun(3).await;
    gate.open();
    for id in 141..144 {
        house.gitlab.finished(id).await;
    }
    house.stop(running).await;
    let record = house.podman.record();
    let mut numbers: Vec<(String, String, String)> = record
        .created
        .iter()
        .map(|c| {
            let plan = c.plan.clone().unwrap();
            let value = |key: &str| {
                let all = plan["environment"].as_array().unwrap().clone();
                all.iter().rev().find(|p| p[0] == key).unwrap()[1]
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            (
                c.spec["labels"]["pipglr.job"].as_str().unwrap().to_owned(),
                value("CI_CONCURRENT_ID"),
                value("CI_CONCURRENT_PROJECT_ID"),
            )
        })
        .collect();
    numbers.sort();
    let wanted = [("141", "0", "0"), ("142", "1", "1"), ("143", "2", "0")];
    assert_eq!(
        numbers,
        wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
}

#[tokio::test]
async fn the_last_update_is_echoed_and_holds_the_next_request() {
    let house = House::new().await;
    house.gitlab.set_last_update("2f3a");
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    house
        .gitlab
        .wait_for("the held request", |r| r.count(Endpoint::JobRequest) == 2)
        .await;
    let record = house.gitlab.record();
    let sent: Vec<_> = record
        .calls(Endpoint::JobRequest)
        .map(|c| (c.json().get("last_update").cloned(), c.status))
        .collect();
    assert_eq!(sent, [(None, Some(204)), (Some(json!("2f3a")), None)]);
    house.gitlab.queue(job(150));
    house.gitlab.finished(150).await;
    house.stop(running).await;
}

#[tokio::test]
async fn a_held_request_does_not_starve_another_runner() {
    let house = House::new().await;
    house.gitlab.set_last_update("2f3a");
    let running = house.start("concurrent = 1", &[(RUNNER_TOKEN, ""), (SECOND_RUNNER, "")]);
    house
        .gitlab
        .wait_for("both to have asked", |r| {
            requests(r, RUNNER_TOKEN) > 0 && requests(r, SECOND_RUNNER) > 0
        })
        .await;
    for (id, runner) in [(151, SECOND_RUNNER), (152, RUNNER_TOKEN), (153, SECOND_RUNNER)] {
        house.gitlab.queue_for(runner, job(id));
        house.gitlab.finished(id).await;
    }
    house.stop(running).await;
    assert_eq!(house.gitlab.record().most_jobs, 1);
}

#[tokio::test]
async fn no_answer_keeps_the_manager_from_asking_again() {
    let answers = [
        Answer::status(204),
        Answer::status(409),
        Answer::status(401),
        Answer::status(404),
        Answer::status(200).body("text/html", b"<html>maintenance</html>"),
        Answer::status(201).body("application/json", b"{\"id\": \"what\"}"),
        Answer::status(201).body("text/html", b"<html>"),
        Answer::drop_unread(),
        Answer::drop_read(),
    ];
    let all_done = answers.map(async |answer| {
        let house = House::new().await;
        house.gitlab.answer(Endpoint::JobRequest, answer);
        house.gitlab.queue(job(160));
        let running = house.start("", &[(RUNNER_TOKEN, "unhealthy_requests_limit = 1")]);
        assert_eq!(house.gitlab.finished(160).await.ending().0, "success");
        house.stop(running).await;
        let record = house.gitlab.record();
        let asked: Vec<_> = record.calls(Endpoint::JobRequest).map(|c| c.received).collect();
        // A second passes; on a busy machine the first request may be noted late.
        assert!(
            asked[1] - asked[0] >= Duration::from_millis(500),
            "check_interval passes between two requests"
        );
    });
    futures_util::future::join_all(all_done).await;
}

#[tokio::test]
async fn an_outage_is_no_reason_to_rest() {
    let house = House::new().await;
    house
        .gitlab
        .answer_times(Endpoint::JobRequest, 10, Answer::status(503).header("Retry-After", "0"));
    house.gitlab.queue(job(161));
    let running = house.start("", &[(RUNNER_TOKEN, "unhealthy_requests_limit = 1")]);
    house.gitlab.finished(161).await;
    house.stop(running).await;
    assert_eq!(
        house
            .gitlab
            .record()
            .requests
            .iter()
            .filter(|r| r.status == Some(503))
            .count(),
        10
    );
}

#[tokio::test]
async fn a_refused_runner_rests_and_comes_back() {
    let house = House::new().await;
    house.gitlab.answer_times(Endpoint::JobRequest, 2, Answer::status(403));
    house.gitlab.queue(job(162));
    let running = house.start(
        "",
        &[(
            RUNNER_TOKEN,
            "unhealthy_requests_limit = 2\nunhealthy_interval = \"3s\"",
        )],
    );
    house.gitlab.finished(162).await;
    house.stop(running).await;
    let record = house.gitlab.record();
    let asked: Vec<_> = record.calls(Endpoint::JobRequest).map(|c| c.received).collect();
    let pauses = [asked[1] - asked[0], asked[2] - asked[0]];
    // Two refusals a check_interval apart; then nothing until the rest is over, where the third would have been after 2 s.
    assert!(
        pauses[0] < Duration::from_millis(1900) && pauses[1] > Duration::from_millis(2700),
        "{pauses:?}"
    );
}

#[tokio::test]
async fn a_graceful_stop_waits_for_the_job_and_takes_no_more() {
    let house = House::new().await;
    let gate = Gate::closed();
    house
        .podman
        .on_stage("step_script", [Act::WaitFor(gate.clone()), Act::out("done\n")]);
    house.gitlab.queue(job(170));
    let running = house.start("concurrent = 4", &[(RUNNER_TOKEN, "")]);
    house.scripts_begun(1).await;
    house.shutdown.request(ShutdownLevel::Graceful);
    house.gitlab.queue(job(171));
    gate.open();
    house.stop(running).await;
    let record = house.gitlab.record();
    assert_eq!(record.jobs.keys().copied().collect::<Vec<_>>(), [170]);
    assert_eq!(record.jobs[&170].ending().0, "success");
    assert!(record.jobs[&170].text().contains("done\n"));
}

#[tokio::test]
async fn a_forceful_stop_ends_jobs_and_says_so() {
    let house = House::new().await;
    house.podman.on_stage("step_script", [Act::out("working\n"), Act::Hang]);
    house.gitlab.queue(job(172));
    house.gitlab.queue(job(173));
    let running = house.start("concurrent = 2", &[(RUNNER_TOKEN, "")]);
    house.scripts_begun(2).await;
    house.shutdown.request(ShutdownLevel::Forceful);
    assert_eq!(ended(running).await, Ended::Clean);
    for (id, ended) in house.gitlab.record().jobs {
        assert_eq!(
            ended.ending(),
            crate::support::ending("failed", "runner_interrupted", 0),
            "{id}"
        );
        assert!(
            ended.text().contains("ERROR: Job failed: aborted: terminated"),
            "{}",
            ended.text()
        );
        assert!(ended.is_complete());
    }
    assert_eq!(house.podman.containers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_forceful_stop_does_not_wait_for_ever() {
    let house = House::new().await;
    house.podman.on_stage("step_script", [Act::Hang]);
    house.gitlab.queue(job(174));
    house
        .gitlab
        .answer_if(Endpoint::JobUpdate, 99, |r| r.state() == "failed", Answer::status(202));
    let running = house.start("shutdown_timeout = 1", &[(RUNNER_TOKEN, "")]);
    house.scripts_begun(1).await;
    house.shutdown.request(ShutdownLevel::Forceful);
    assert_eq!(ended(running).await, Ended::JobsLost);
}

#[tokio::test]
async fn asking_twice_for_a_forceful_stop_waits_for_nothing() {
    let house = House::new().await;
    house.podman.on_stage("step_script", [Act::Hang]);
    house.gitlab.queue(job(175));
    let gate = Gate::closed();
    house.gitlab.answer_if(
        Endpoint::JobUpdate,
        99,
        |r| r.state() == "failed",
        Answer::usual().held(&gate),
    );
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    house.scripts_begun(1).await;
    house.shutdown.request(ShutdownLevel::Forceful);
    house
        .gitlab
        .wait_for("the final update", |r| {
            r.calls(Endpoint::JobUpdate).any(|c| c.state() == "failed")
        })
        .await;
    house.shutdown.request(ShutdownLevel::Forceful);
    assert_eq!(ended(running).await, Ended::JobsLost);
}

#[tokio::test]
async fn leftovers_of_an_earlier_process_are_reaped_and_nothing_else() {
    let house = House::new().await;
    let ours = ("pipglr.system_id", SYSTEM_ID);
    let other = ("pipglr.system_id", "r_otherother12");
    let temporary = ("pipglr.temporary", "true");
    house.podman.leave_container("leftover", &[ours]);
    house.podman.leave_container("of another manager", &[other]);
    house.podman.leave_container("of a person", &[]);
    house.podman.leave_volume("temporary of ours", &[ours, temporary]);
    house.podman.leave_volume("kept by us", &[ours]);
    house.podman.leave_volume("temporary of another", &[other, temporary]);
    for (name, label) in [("of ours", ours), ("of another", other)] {
        house.podman.leave_network(&format!("network {name}"), &[label]);
        house.podman.leave_secret(&format!("secret {name}"), &[label]);
    }
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    house
        .gitlab
        .wait_for("polling", |r| r.count(Endpoint::JobRequest) > 0)
        .await;
    house.shutdown.request(ShutdownLevel::Graceful);
    assert_eq!(ended(running).await, Ended::Clean);
    assert_eq!(
        house.podman.networks_and_secrets(),
        ["network of another", "secret of another"]
    );
    assert_eq!(house.podman.containers(), ["of another manager", "of a person"]);
    let volumes: Vec<String> = house.podman.volumes().into_keys().collect();
    assert_eq!(volumes, ["kept by us", "temporary of another"]);
}

#[tokio::test]
async fn without_runners_the_manager_waits_to_be_stopped() {
    let house = House::new().await;
    let running = house.start("", &[("", "")]);
    house
        .podman
        .wait_for("the look for leftovers", |r| {
            r.calls.iter().any(|c| c.path == "/volumes/json")
        })
        .await;
    assert!(!running.is_finished());
    house.stop(running).await;
    assert_eq!(house.gitlab.record().requests.len(), 0);
}

#[tokio::test]
async fn a_podman_that_is_not_there_is_said_at_once() {
    let house = House::new().await;
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineSettings {
        socket: directory.path().join("none.sock"),
        ..EngineSettings::default()
    });
    let config = parse_config("", "config.toml").unwrap().config;
    let options = ManagerOptions {
        state_dir: directory.path().to_owned(),
        system_id: SYSTEM_ID.to_owned(),
    };
    let error = manager::run(config, engine, options, house.shutdown.clone())
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("none.sock"), "{error:#}");
}

/// As gitlab-runner has it: certificates are added to the system's, and a file that is not there adds none.
#[tokio::test]
async fn a_ca_file_that_is_not_there_is_none() {
    let house = House::new().await;
    let running = house.start("", &[(RUNNER_TOKEN, "tls-ca-file = \"/not/there.pem\"")]);
    house
        .gitlab
        .wait_for("a request", |r| requests(r, RUNNER_TOKEN) > 0)
        .await;
    house.stop(running).await;
}

/// Jobs are asked for over HTTP whatever the flag says, and nobody looks for a router.
#[tokio::test]
async fn no_router_is_looked_for() {
    let house = House::new().await;
    house.gitlab.queue(job(31));
    let flag = "[runners.feature_flags]\nFF_USE_JOB_ROUTER = true\nFF_TIMESTAMPS = false";
    let running = house.start("", &[(RUNNER_TOKEN, flag)]);
    house
        .gitlab
        .wait_for("the end of the job", |r| {
            r.jobs.get(&31).is_some_and(|j| j.final_update.is_some())
        })
        .await;
    house.stop(running).await;
    let record = house.gitlab.record();
    assert!(
        record.requests.iter().all(|r| r.path.starts_with("jobs/")),
        "{:?}",
        record.requests
    );
    let log = record.jobs[&31].text();
    assert!(
        log.contains("FF_USE_JOB_ROUTER has no effect here: jobs come from the instance itself"),
        "{log}"
    );
}
