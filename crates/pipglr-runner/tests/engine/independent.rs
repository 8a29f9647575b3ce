//! Against a coordinator other people wrote: what both sides of our own make up does not pass here.

use crate::support::SYSTEM_ID;
use gitlab_runner_mock::{GitlabRunnerMock, MockJobState, MockJobStepName, MockJobStepWhen};
use pipglr_runner::config::parse_config;
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::manager::{self, Ended, ManagerOptions, Shutdown, ShutdownLevel};
use pipglr_testkit::podman::{Act, FakePodman};

#[tokio::test]
async fn a_job_of_the_independent_mock_succeeds_with_its_log() {
    let mock = GitlabRunnerMock::start().await;
    mock.set_update_interval(1);
    let mut builder = mock.job_builder("smoke".to_owned());
    builder.add_variable("GIT_STRATEGY".to_owned(), "none".to_owned(), true, false);
    builder.add_step(
        MockJobStepName::Script,
        vec!["echo hello".to_owned()],
        3600,
        MockJobStepWhen::OnSuccess,
        false,
    );
    let job = builder.build();
    mock.enqueue_job(job.clone());

    let podman = FakePodman::start();
    podman.on_stage("step_script", [Act::out("hello from the script\n")]);
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[[runners]]\nname = \"x\"\nurl = \"{}\"\ntoken = \"{}\"\nexecutor = \"docker\"\n[runners.docker]\nimage = \"alpine:3.20\"\n",
        mock.uri(),
        mock.runner_token()
    );
    let config = parse_config(&text, "config.toml").unwrap().config;
    let engine = Engine::new(EngineSettings {
        socket: podman.socket(),
        ..EngineSettings::default()
    });
    let options = ManagerOptions {
        state_dir: directory.path().to_owned(),
        system_id: SYSTEM_ID.to_owned(),
    };
    let shutdown = Shutdown::default();
    let running = tokio::spawn(manager::run(config, engine, options, shutdown.clone()));
    podman.wait_for("the script", |r| r.has_begun("step_script")).await;
    shutdown.request(ShutdownLevel::Graceful);
    assert_eq!(running.await.unwrap().unwrap(), Ended::Clean);
    assert_eq!(job.state(), MockJobState::Success);
    let log = String::from_utf8(job.log()).unwrap();
    assert!(
        log.contains("hello from the script\n") && log.contains("Job succeeded"),
        "{log}"
    );
    assert_eq!(podman.containers(), Vec::<String>::new());
}
