//! A stop while a request for a job is on its way: no job is lost, and nobody waits for one that does not come.

use crate::house::{House, ended, job};
use pipglr_runner::manager::{Ended, LastAnswer, ShutdownLevel};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, RUNNER_TOKEN};
use pipglr_testkit::podman::Act;
use std::time::Duration;

/// A house whose GitLab has handed job `id` out, and whose manager does not know it yet.
async fn handed_out(id: u64, arrives: &Gate) -> (House, crate::house::Running) {
    let mut house = House::new().await;
    house.last_answer = LastAnswer::default();
    house.podman.on_stage("step_script", [Act::out("done\n")]);
    let answer = Answer::usual().answer_held(arrives);
    house.gitlab.answer(Endpoint::JobRequest, answer);
    house.gitlab.queue(job(id));
    let running = house.start("concurrent = 4", &[(RUNNER_TOKEN, "")]);
    let is_handed_out = |r: &pipglr_testkit::gitlab::Record| r.jobs.contains_key(&id);
    house.gitlab.wait_for("the job to be handed out", is_handed_out).await;
    (house, running)
}

#[tokio::test]
async fn a_job_that_is_handed_out_while_the_stop_comes_is_run() {
    let arrives = Gate::closed();
    let (house, running) = handed_out(176, &arrives).await;
    house.shutdown.request(ShutdownLevel::Graceful);
    house.gitlab.queue(job(177));
    // The answer takes a while: whoever gave up waiting would be gone.
    tokio::time::sleep(Duration::from_millis(50)).await;
    arrives.open();
    house.stop(running).await;
    let record = house.gitlab.record();
    assert_eq!(record.jobs.keys().copied().collect::<Vec<_>>(), [176]);
    assert_eq!(record.jobs[&176].ending().0, "success");
}

#[tokio::test]
async fn a_job_that_ends_the_hold_of_its_request_while_the_stop_comes_is_run() {
    let mut house = House::new().await;
    house.last_answer = LastAnswer::default();
    house.gitlab.set_last_update("2f3a");
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    let held = |r: &pipglr_testkit::gitlab::Record| r.count(Endpoint::JobRequest) == 2;
    house.gitlab.wait_for("the held request", held).await;
    house.shutdown.request(ShutdownLevel::Graceful);
    house.gitlab.queue(job(178));
    house.stop(running).await;
    assert_eq!(house.gitlab.record().jobs[&178].ending().0, "success");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_end_of_a_hold() {
    let mut house = House::new().await;
    house.last_answer = LastAnswer {
        since_request: Duration::from_millis(200),
        since_stop: Duration::from_millis(50),
    };
    house.gitlab.set_last_update("2f3a");
    let running = house.start("", &[(RUNNER_TOKEN, "")]);
    let held = |r: &pipglr_testkit::gitlab::Record| r.count(Endpoint::JobRequest) == 2;
    house.gitlab.wait_for("the held request", held).await;
    // Nothing ends the hold: without a bound the manager would never end.
    house.stop(running).await;
}

#[tokio::test]
async fn a_forceful_stop_waits_for_no_answer() {
    let never = Gate::closed();
    let (house, running) = handed_out(179, &never).await;
    house.shutdown.request(ShutdownLevel::Graceful);
    house.shutdown.request(ShutdownLevel::Forceful);
    assert_eq!(ended(running).await, Ended::Clean);
}

#[tokio::test]
async fn a_job_that_arrives_after_a_forceful_stop_is_said_to_be_interrupted() {
    let arrives = Gate::closed();
    let (house, running) = handed_out(180, &arrives).await;
    house.podman.on_stage("step_script", [Act::Hang]);
    house.shutdown.request(ShutdownLevel::Graceful);
    arrives.open();
    house.scripts_begun(1).await;
    house.shutdown.request(ShutdownLevel::Forceful);
    assert_eq!(ended(running).await, Ended::Clean);
    assert_eq!(
        house.gitlab.record().jobs[&180].ending(),
        crate::support::ending("failed", "runner_interrupted", 0)
    );
}
