//! A manager whose configuration changes: runners, limits, tokens, and what its metrics say.

use crate::house::{House, NEVER, SECOND_RUNNER, job, scripts};
use crate::support::{PATIENCE, SYSTEM_ID, requests};
use pipglr_runner::config::ConfigSource;
use pipglr_runner::metrics;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, RUNNER_TOKEN};
use pipglr_testkit::podman::Act;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn runners_come_and_go_while_jobs_run() {
    let house = House::new().await;
    let gate = Gate::closed();
    house
        .podman
        .on_stage("step_script", [Act::WaitFor(gate.clone()), Act::out("done\n")]);
    house.write("concurrent = 4", &[(RUNNER_TOKEN, "")]);
    house.gitlab.queue_for(RUNNER_TOKEN, job(1));
    let running = house.follow(NEVER);
    house.podman.wait_for("the first job", |r| scripts(r) == 1).await;
    house.write("concurrent = 4", &[(SECOND_RUNNER, "")]);
    house.reload.notify_one();
    house.gitlab.queue_for(SECOND_RUNNER, job(2));
    house.podman.wait_for("the second job", |r| scripts(r) == 2).await;
    let before = requests(&house.gitlab.record(), RUNNER_TOKEN);
    gate.open();
    for id in [1, 2] {
        assert_eq!(house.gitlab.finished(id).await.ending().0, "success");
    }
    house.asked(SECOND_RUNNER, 2).await;
    assert_eq!(
        requests(&house.gitlab.record(), RUNNER_TOKEN),
        before,
        "the first is gone"
    );
    house.stop(running).await;
}

/// A container without a network is healthy, and takes no jobs: it has to be told somewhere.
#[tokio::test]
async fn a_gitlab_that_does_not_answer_is_told() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.gitlab.answer(Endpoint::JobRequest, Answer::drop_read());
    house.gitlab.answer(Endpoint::JobRequest, Answer::usual().held(&gate));
    let running = house.start("", &[(RUNNER_TOKEN, "name = \"r\"")]);
    house.asked(RUNNER_TOKEN, 1).await;
    let told = house.contacts.troubles();
    let beginning = format!("GitLab at {}, runner r: no answer since ", house.gitlab.url());
    assert!(told.len() == 1 && told[0].starts_with(&beginning), "{told:?}");
    gate.open();
    house.asked(RUNNER_TOKEN, 2).await;
    assert!(house.contacts.troubles().is_empty());
    house.stop(running).await;
}

#[tokio::test]
async fn concurrent_and_limit_change_without_a_restart() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    for id in 1..5 {
        house.gitlab.queue(job(id));
    }
    house.write("concurrent = 1", &[(RUNNER_TOKEN, "limit = 1")]);
    let running = house.follow(NEVER);
    for (global, keys, jobs) in [
        ("concurrent = 1", "limit = 1", 1),
        ("concurrent = 9", "limit = 2", 2),
        ("concurrent = 3", "", 3),
    ] {
        house.write(global, &[(RUNNER_TOKEN, keys)]);
        house.reload.notify_one();
        house.podman.wait_for("the jobs", |r| scripts(r) == jobs).await;
    }
    gate.open();
    for id in 1..5 {
        house.gitlab.finished(id).await;
    }
    house.stop(running).await;
    assert_eq!(house.gitlab.record().most_jobs, 3);
    let text = house.metrics.render();
    let who = format!("{{runner=\"fake0runn\",runner_name=\"\",system_id=\"{SYSTEM_ID}\"}}");
    for line in [
        "gitlab_runner_worker_slot_operations_total{operation=\"started\"} 9".to_owned(),
        "gitlab_runner_worker_slot_operations_total{operation=\"stopped\"} 6".to_owned(),
        format!("gitlab_runner_worker_feed_failures_total{who} 0"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_one_with_an_error_changes_nothing() {
    let house = House::new().await;
    house.write("", &[(RUNNER_TOKEN, "")]);
    let running = house.follow(Duration::from_millis(20));
    house.asked(RUNNER_TOKEN, 0).await;
    std::fs::write(house.file(), "concurrent = [\n").unwrap();
    wait_for_metric(&house, "gitlab_runner_configuration_loading_error_total 1").await;
    let before = requests(&house.gitlab.record(), RUNNER_TOKEN);
    house.asked(RUNNER_TOKEN, before).await;
    house.write("", &[(SECOND_RUNNER, "")]);
    house.asked(SECOND_RUNNER, 0).await;
    wait_for_metric(&house, "gitlab_runner_configuration_loaded_total 2").await;
    house.stop(running).await;
}

async fn wait_for_metric(house: &House, line: &str) {
    let seen = async {
        while !house.metrics.render().lines().any(|l| l == line) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect(line);
}

#[tokio::test]
async fn a_token_is_exchanged_before_it_expires() {
    const TIMES: &str = "token_obtained_at = 2020-01-01T00:00:00Z\ntoken_expires_at = 2020-02-01T00:00:00Z # soon";
    let house = House::new().await;
    house.write("", &[(RUNNER_TOKEN, TIMES)]);
    let before = std::fs::read_to_string(house.file()).unwrap();
    let next = format!("{RUNNER_TOKEN}-next");
    let answer = json!({"token": next, "token_expires_at": "2099-01-01T00:00:00.000Z"});
    house
        .gitlab
        .answer(Endpoint::ResetToken, Answer::status(201).json(&answer).applied());
    let running = house.follow(NEVER);
    let wanted = next.clone();
    house
        .gitlab
        .wait_for("a request with the new token", move |r| requests(r, &wanted) > 0)
        .await;
    house.stop(running).await;
    assert_eq!(house.gitlab.record().count(Endpoint::ResetToken), 1);
    let metrics = house.metrics.render();
    assert!(
        metrics.contains("gitlab_runner_configuration_saved_total 1\n"),
        "{metrics}"
    );
    let text = std::fs::read_to_string(house.file()).unwrap();
    assert!(text.contains(&format!("token = \"{next}\"")), "{text}");
    assert!(
        text.contains("token_expires_at = 2099-01-01T00:00:00.0Z # soon"),
        "{text}"
    );
    // Where the file cannot be written back, the state directory knows better.
    std::fs::write(house.file(), before).unwrap();
    let mut source = ConfigSource::new(&house.file(), house.directory.path());
    let config = source.load().unwrap().config;
    assert_eq!(config.runners[0].token.expose(), next);
    assert_eq!(
        config.runners[0].token_expires_at().unwrap().to_string(),
        "2099-01-01T00:00:00Z"
    );
}

#[tokio::test]
async fn a_refused_exchange_keeps_the_old_token() {
    let house = House::new().await;
    house.write("", &[(RUNNER_TOKEN, "token_expires_at = 2020-02-01T00:00:00Z")]);
    house.gitlab.answer(Endpoint::ResetToken, Answer::status(403));
    let running = house.follow(NEVER);
    house
        .gitlab
        .wait_for("the exchange", |r| r.count(Endpoint::ResetToken) == 1)
        .await;
    let before = requests(&house.gitlab.record(), RUNNER_TOKEN);
    house.asked(RUNNER_TOKEN, before).await;
    house.stop(running).await;
    assert!(std::fs::read_to_string(house.file()).unwrap().contains(RUNNER_TOKEN));
}

async fn get(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_and_running_jobs_are_served() {
    let house = House::new().await;
    let gate = Gate::closed();
    house.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
    house.gitlab.queue(job(7));
    house.write(
        "concurrent = 3",
        &[(RUNNER_TOKEN, "name = \"one\"\nlimit = 2\nrequest_concurrency = 4")],
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(metrics::serve(listener, house.metrics.clone()));
    let running = house.follow(NEVER);
    house.podman.wait_for("the job", |r| scripts(r) == 1).await;
    let who = format!("runner=\"fake0runn\",runner_name=\"one\",system_id=\"{SYSTEM_ID}\"");
    let text = get(address, "GET /metrics").await;
    for line in [
        "HTTP/1.1 200 OK\r".to_owned(),
        "gitlab_runner_concurrent 3".to_owned(),
        format!("gitlab_runner_limit{{{who}}} 2"),
        "gitlab_runner_process_state_info{state=\"running\"} 1".to_owned(),
        format!("gitlab_runner_jobs_total{{{who}}} 1"),
        format!("gitlab_runner_jobs{{{who},state=\"idle\",stage=\"idle\",executor_stage=\"idle\"}} 0"),
        format!("gitlab_runner_request_concurrency_hard_limit{{runner=\"fake0runn\",system_id=\"{SYSTEM_ID}\"}} 4"),
    ] {
        assert!(
            text.lines().any(|l| l == line.trim_end() || l == line),
            "{line}\nis not in\n{text}"
        );
    }
    let statuses = format!(
        "gitlab_runner_api_request_statuses_total{{runner=\"fake0runn\",system_id=\"{SYSTEM_ID}\",endpoint=\"request_job\",status=\"201\",method=\"post\"}} 1"
    );
    assert!(text.contains(&statuses), "{statuses}\n{text}");
    let jobs = get(address, "GET /debug/jobs/list").await;
    assert!(
        jobs.contains("x-list-version: 2") && jobs.contains("/-/jobs/7 state=running stage=step_script"),
        "{jobs}"
    );
    for (path, expected) in [
        ("/debug/process/state", "\r\n\r\nrunning\n"),
        ("/health/ready", "\r\n\r\nready\n"),
    ] {
        let answer = get(address, &format!("GET {path}")).await;
        assert!(answer.ends_with(expected), "{path}: {answer}");
    }
    assert!(get(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
    let profiler = get(address, "GET /debug/pprof/heap").await;
    assert!(
        profiler.starts_with("HTTP/1.1 404") && profiler.contains("not written in Go"),
        "{profiler}"
    );
    gate.open();
    house.gitlab.finished(7).await;
    house.stop(running).await;
    let text = house.metrics.render();
    assert!(
        text.contains("phase=\"step_script\"") && text.contains("pipglr_job_phase_seconds_count"),
        "{text}"
    );
    assert!(house.metrics.render_jobs().is_empty());
}

#[tokio::test]
async fn several_requests_may_be_on_their_way() {
    let house = House::new().await;
    let gate = Gate::closed();
    house
        .gitlab
        .answer_times(Endpoint::JobRequest, 2, Answer::usual().held(&gate));
    let flags = "request_concurrency = 2\nfeature_flags = { FF_USE_ADAPTIVE_REQUEST_CONCURRENCY = false }";
    house.write("concurrent = 5", &[(RUNNER_TOKEN, flags)]);
    let running = house.follow(NEVER);
    house.asked(RUNNER_TOKEN, 1).await;
    gate.open();
    house.stop(running).await;
}

/// GitLab holds a request until there is a job, while the configuration changes.
#[tokio::test]
async fn a_job_of_a_request_from_before_a_change_is_run_with_what_was_changed() {
    let house = House::new().await;
    let gate = Gate::closed();
    house
        .gitlab
        .answer_times(Endpoint::JobRequest, 1, Answer::usual().held(&gate));
    let write = |hostname: &str| {
        let keys = format!(
            "request_concurrency = 2\nfeature_flags = {{ FF_USE_ADAPTIVE_REQUEST_CONCURRENCY = false }}\n\
             [runners.docker]\nhostname = \"{hostname}\""
        );
        house.write("concurrent = 2", &[(RUNNER_TOKEN, &keys)]);
        // The new configuration's own request comes once only, and brings no job.
        let text = std::fs::read_to_string(house.file()).unwrap();
        let text = text.replace("check_interval = 1", "check_interval = 100000");
        std::fs::write(house.file(), text).unwrap();
    };
    write("before");
    let running = house.follow(NEVER);
    house.asked(RUNNER_TOKEN, 0).await;
    write("after");
    house.reload.notify_one();
    house
        .gitlab
        .wait_for("the answer to the new one", |r| {
            r.calls(Endpoint::JobRequest).any(|call| call.status.is_some())
        })
        .await;
    house.gitlab.queue(job(1));
    gate.open();
    assert_eq!(house.gitlab.finished(1).await.ending().0, "success");
    let created = house.podman.record().created;
    let hostnames: Vec<_> = created.iter().map(|container| &container.spec["hostname"]).collect();
    assert!(hostnames.contains(&&json!("after")), "{hostnames:?}");
    assert!(!hostnames.contains(&&json!("before")), "{hostnames:?}");
    house.stop(running).await;
}

#[tokio::test]
async fn after_a_job_the_next_is_asked_for_at_once() {
    let house = House::new().await;
    house.write("concurrent = 5", &[(RUNNER_TOKEN, "")]);
    // Nobody waits for a day.
    let text = std::fs::read_to_string(house.file()).unwrap();
    std::fs::write(
        house.file(),
        text.replace("check_interval = 1", "check_interval = 100000"),
    )
    .unwrap();
    house.gitlab.queue(job(1));
    let running = house.follow(NEVER);
    house.asked(RUNNER_TOKEN, 1).await;
    house.gitlab.finished(1).await;
    house.stop(running).await;
}

#[tokio::test]
async fn after_a_job_a_strict_interval_passes_too() {
    let house = House::new().await;
    house.write("concurrent = 5", &[(RUNNER_TOKEN, "strict_check_interval = true")]);
    house.gitlab.queue(job(1));
    let running = house.follow(NEVER);
    house.asked(RUNNER_TOKEN, 1).await;
    house.gitlab.finished(1).await;
    house.stop(running).await;
    let record = house.gitlab.record();
    let asked: Vec<_> = record.calls(Endpoint::JobRequest).map(|c| c.received).collect();
    // A turn may come late, and the next one then comes sooner after it, but never at once.
    assert!(asked[1] - asked[0] > Duration::from_millis(100));
}
