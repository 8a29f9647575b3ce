//! A runner that is killed with SIGKILL at a known point, and the next one, which takes its jobs over.

use crate::support::{Bench, PATIENCE, SYSTEM_ID, anonymous, is_reusable};
use futures_util::future::join_all;
use pipglr_runner::config::parse_config;
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::manager::{self, ManagerOptions, Shutdown};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, JobBuilder, JobRecord, RUNNER_TOKEN, Record, Request};
use pipglr_testkit::podman::{self, Act, FakePodman};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const JOB: u64 = 900;
const CONFIGURATION: &str = "PIPGLR_TEST_CONFIGURATION";
const SOCKET: &str = "PIPGLR_TEST_SOCKET";
const STATE: &str = "PIPGLR_TEST_STATE";

/// Not a test: the process the tests below start and kill.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the runner process of other tests"]
async fn runner_process() {
    let Ok(configuration) = std::env::var(CONFIGURATION) else {
        return;
    };
    let config = parse_config(&configuration, "config.toml").unwrap().config;
    let engine = Engine::new(EngineSettings {
        socket: PathBuf::from(std::env::var(SOCKET).unwrap()),
        ..EngineSettings::default()
    });
    let options = ManagerOptions {
        state_dir: PathBuf::from(std::env::var(STATE).unwrap()),
        system_id: SYSTEM_ID.to_owned(),
    };
    manager::run(config, engine, options, Shutdown::default())
        .await
        .unwrap();
}

struct House {
    gitlab: FakeGitLab,
    podman: FakePodman,
    state: TempDir,
}

impl House {
    async fn new() -> Self {
        let house = Self {
            gitlab: FakeGitLab::start().await,
            podman: FakePodman::start(),
            state: tempfile::tempdir().unwrap(),
        };
        house.gitlab.set_trace_interval(1);
        house
    }

    fn configuration(&self, token: &str) -> String {
        let url = self.gitlab.url();
        format!(
            "concurrent = 2\ncheck_interval = 1\n[[runners]]\nname = \"r\"\nurl = \"{url}\"\ntoken = \"{token}\"\nexecutor = \"docker\"\n"
        )
    }

    fn start_runner(&self) -> Child {
        self.start_runner_with(&self.configuration(RUNNER_TOKEN))
    }

    fn start_runner_with(&self, configuration: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "adoption::runner_process", "--ignored", "--nocapture"])
            .env(CONFIGURATION, configuration)
            .env(SOCKET, self.podman.socket())
            .env(STATE, self.state.path())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn jobs(&self) -> PathBuf {
        self.state.path().join("jobs")
    }

    /// The directory of the one job that is there.
    fn journal(&self) -> PathBuf {
        std::fs::read_dir(self.jobs()).unwrap().next().unwrap().unwrap().path()
    }

    /// Writes the job down in other words.
    fn change_job(&self, change: impl FnOnce(&mut Value)) {
        let path = self.journal().join("job.json");
        let mut stored = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut stored);
        std::fs::write(&path, stored.to_string()).unwrap();
    }

    /// No container and no journal is left.
    async fn emptied(&self) {
        self.podman.emptied().await;
        until("the journal to be removed", || is_empty(&self.jobs())).await;
    }

    /// The job's end, after everything it made is gone.
    async fn end(&self) -> JobRecord {
        self.gitlab.finished(JOB).await;
        self.emptied().await;
        assert_eq!(self.gitlab.record().violations, Vec::<String>::new());
        assert_eq!(self.podman.record().violations, Vec::<String>::new());
        let temporary: Vec<String> = self.podman.volumes().into_keys().filter(|v| !is_reusable(v)).collect();
        assert_eq!(temporary, Vec::<String>::new());
        self.gitlab.record().jobs[&JOB].clone()
    }

    fn times_begun(&self, stage: &str) -> usize {
        let stages = self.podman.record().created.into_iter().flat_map(|c| c.stages);
        stages.filter(|s| s == stage).count()
    }

    async fn trace_has(&self, text: &str) {
        let has = |job: &JobRecord| job.text().contains(text);
        self.gitlab.wait_for(text, |r| r.jobs.get(&JOB).is_some_and(has)).await;
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// What another process does to files cannot be waited for in another way.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let asking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, asking).await.is_ok(),
        "waited in vain for {what}"
    );
}

async fn kill(mut runner: Child) {
    runner.start_kill().unwrap();
    runner.wait().await.unwrap();
}

fn job() -> JobBuilder {
    JobBuilder::new(JOB)
        .script(&["x"])
        .after_script(&["y"])
        .artifacts(&["file"], "always")
        .masked_variable("SECRET", "s3cret-value")
        .variable("FF_ENABLE_JOB_CLEANUP", "true")
        .sections()
}

/// The stages of [`job`]; the last container cleans up once more after the upload.
const STAGES: [&str; 5] = [
    "get_sources",
    "step_script",
    "after_script",
    "cleanup_file_variables",
    "upload_artifacts_on_success",
];

/// Each stage writes whole and partial lines and a secret, on both streams, with a gate in the middle.
fn write_scripts(podman: &FakePodman, held: &str, gate: &Gate) {
    for stage in STAGES {
        let mut acts = vec![
            Act::out(format!("{stage} 1\n")),
            Act::err(format!("{stage} 2: s3cret-value\n")),
            Act::out(format!("{stage} 3\n{stage} 4, s3cret-")),
        ];
        if stage == held {
            acts.push(Act::WaitFor(gate.clone()));
        }
        acts.extend([
            Act::out(format!("value goes on\n{stage} 5\n")),
            Act::err(format!("{stage} 6")),
            Act::out(format!("{stage} 7\n")),
        ]);
        podman.on_stage(stage, acts);
    }
}

/// Where the runner is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// At a call of podman: before it is carried out, or before it is answered.
    Before(&'static str),
    After(&'static str),
    /// At a call of GitLab, which is not carried out.
    Unheard(Endpoint, &'static str),
    /// At a call of GitLab that is carried out and not answered.
    Heard(Endpoint, &'static str),
    /// While a stage waits; it goes on before the next runner starts.
    During(&'static str),
    /// While a stage waits; it goes on after the next runner has shown that it listens.
    Across(&'static str),
}

/// What the log shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// Nothing at all.
    Same,
    /// That the job was prepared twice; from the first stage on, nothing.
    PreparedAnew,
}

// (name, kill, log). Containers are numbered as they are made: first helper and build container in any order, second helper.
const KILLS: [(&str, Kill, Log); 29] = [
    (
        "acknowledgement not sent",
        Kill::Unheard(Endpoint::JobUpdate, "running"),
        Log::Same,
    ),
    (
        "acknowledgement not answered",
        Kill::Heard(Endpoint::JobUpdate, "running"),
        Log::Same,
    ),
    (
        "before a volume is made",
        Kill::Before("POST /volumes/create"),
        Log::PreparedAnew,
    ),
    (
        "after a volume was made",
        Kill::After("POST /volumes/create"),
        Log::PreparedAnew,
    ),
    (
        "before the image is pulled",
        Kill::Before("POST /images/pull"),
        Log::PreparedAnew,
    ),
    (
        "after the image was pulled",
        Kill::After("POST /images/pull"),
        Log::PreparedAnew,
    ),
    (
        "before the first container is made",
        Kill::Before("POST /containers/create"),
        Log::PreparedAnew,
    ),
    (
        "after the first container was made",
        Kill::After("POST /containers/create"),
        Log::PreparedAnew,
    ),
    (
        "before the first container starts",
        Kill::Before("c0de0000/start"),
        Log::PreparedAnew,
    ),
    (
        "after the first container started",
        Kill::After("c0de0000/start"),
        Log::PreparedAnew,
    ),
    (
        "before the second container is attached to",
        Kill::Before("c0de0001/attach"),
        Log::PreparedAnew,
    ),
    (
        "before the second container starts",
        Kill::Before("c0de0001/start"),
        Log::PreparedAnew,
    ),
    (
        "after the second container started",
        Kill::After("c0de0001/start"),
        Log::PreparedAnew,
    ),
    ("get_sources ends alone", Kill::During("get_sources"), Log::Same),
    ("get_sources goes on", Kill::Across("get_sources"), Log::Same),
    ("the script ends alone", Kill::During("step_script"), Log::Same),
    ("the script goes on", Kill::Across("step_script"), Log::Same),
    ("after_script ends alone", Kill::During("after_script"), Log::Same),
    ("after_script goes on", Kill::Across("after_script"), Log::Same),
    (
        "cleaning up ends alone",
        Kill::During("cleanup_file_variables"),
        Log::Same,
    ),
    ("cleaning up goes on", Kill::Across("cleanup_file_variables"), Log::Same),
    (
        "before the last container is attached to",
        Kill::Before("c0de0002/attach"),
        Log::Same,
    ),
    (
        "before the last container starts",
        Kill::Before("c0de0002/start"),
        Log::Same,
    ),
    (
        "the upload ends alone",
        Kill::During("upload_artifacts_on_success"),
        Log::Same,
    ),
    (
        "the upload goes on",
        Kill::Across("upload_artifacts_on_success"),
        Log::Same,
    ),
    ("end not sent", Kill::Unheard(Endpoint::JobUpdate, "success"), Log::Same),
    (
        "end not answered",
        Kill::Heard(Endpoint::JobUpdate, "success"),
        Log::Same,
    ),
    (
        "before a container is removed",
        Kill::Before("DELETE /containers"),
        Log::Same,
    ),
    (
        "after a container was removed",
        Kill::After("DELETE /containers"),
        Log::Same,
    ),
];

/// `c0de0001/start` with all digits of the container's ID.
fn with_whole_id(part: &str) -> String {
    match part.split_once('/').filter(|(id, _)| id.starts_with("c0de")) {
        Some((id, call)) => format!("{:0<64}/{call}", format!("0000{id}")),
        None => part.to_owned(),
    }
}

/// Makes the runner wait where it is to be killed.
fn arrange(house: &House, kill_at: Kill, never: &Gate) {
    let (podman, gitlab) = (&house.podman, &house.gitlab);
    let is = |state: &'static str| move |r: &Request| r.state() == state;
    match kill_at {
        Kill::Before(part) => podman.freeze(&with_whole_id(part), false),
        Kill::After(part) => podman.freeze(&with_whole_id(part), true),
        Kill::Unheard(endpoint, state) => gitlab.answer_if(endpoint, 1, is(state), Answer::usual().held(never)),
        Kill::Heard(endpoint, state) => gitlab.answer_if(endpoint, 1, is(state), Answer::usual().answer_held(never)),
        Kill::During(_) | Kill::Across(_) => {}
    }
}

/// Waits until it is there.
async fn reached(house: &House, kill_at: Kill) {
    match kill_at {
        Kill::Before(_) | Kill::After(_) => house.podman.frozen().await,
        Kill::Unheard(endpoint, state) => {
            let arrived = |r: &Record| r.calls(endpoint).any(|c| c.state() == state);
            house.gitlab.wait_for(state, arrived).await;
        }
        Kill::Heard(_, state) => {
            let heard = |j: &JobRecord| j.updates.iter().any(|u| u["state"] == state);
            let of_job = |r: &Record| r.jobs.get(&JOB).is_some_and(heard);
            house.gitlab.wait_for(state, of_job).await;
        }
        Kill::During(stage) | Kill::Across(stage) => house.trace_has(&format!("{stage} 3\n")).await,
    }
}

/// Starts the next runner; containers that wait go on before or after it listens.
async fn start_again(house: &House, kill_at: Kill, gate: &Gate) -> Child {
    match kill_at {
        Kill::During(stage) => {
            gate.open();
            let ended = |r: &podman::Record| {
                let has_stage = |c: &&podman::Created| c.stages.iter().any(|s| s == stage);
                r.created.iter().filter(has_stage).all(|c| c.exit_code.is_some())
            };
            house.podman.wait_for("the container to end", ended).await;
            house.start_runner()
        }
        Kill::Across(_) => {
            let runner = house.start_runner();
            let reads = |r: &podman::Record| r.calls.iter().any(|c| c.path.ends_with("/logs"));
            house.podman.wait_for("the log to be read", reads).await;
            gate.open();
            runner
        }
        _ => house.start_runner(),
    }
}

/// Runs [`job`], kills its runner once, and gives what GitLab has of it.
async fn run_killed(kill_at: Option<Kill>) -> (House, JobRecord) {
    let house = House::new().await;
    let (gate, never) = (Gate::closed(), Gate::closed());
    let held = match kill_at {
        Some(Kill::During(stage) | Kill::Across(stage)) => stage,
        _ => "",
    };
    write_scripts(&house.podman, held, &gate);
    if let Some(kill_at) = kill_at {
        arrange(&house, kill_at, &never);
    }
    house.gitlab.queue(job());
    let mut runner = house.start_runner();
    if let Some(kill_at) = kill_at {
        reached(&house, kill_at).await;
        kill(runner).await;
        runner = start_again(&house, kill_at, &gate).await;
    }
    let record = house.end().await;
    kill(runner).await;
    (house, record)
}

/// The log without times; random names replaced.
fn log(record: &JobRecord) -> String {
    let mut out = String::new();
    for line in record.text().split_inclusive('\n') {
        let line = line.get(28..).unwrap_or(line);
        match line.find("section_").map(|at| (at, line[at..].find(':'))) {
            Some((at, Some(colon))) => {
                let digits = at + colon + 1;
                out.push_str(&line[..digits]);
                out.push_str(line[digits..].trim_start_matches(|c: char| c.is_ascii_digit()));
            }
            _ => out.push_str(line),
        }
    }
    anonymous(&out)
}

fn from_first_stage(log: &str) -> &str {
    &log[log.find("Getting source from Git repository").unwrap()..]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_loses_no_job_and_no_byte() {
    let (_house, undisturbed) = run_killed(None).await;
    let expected = log(&undisturbed);
    assert!(expected.contains("step_script 4, [MASKED] goes on"), "{expected}");
    let check = |(name, kill_at, shown): (&'static str, Kill, Log)| {
        let expected = expected.clone();
        async move {
            let (house, record) = run_killed(Some(kill_at)).await;
            let text = log(&record);
            assert_eq!(record.ending().0, "success", "{name}: {text}");
            assert!(record.is_complete(), "{name}: checksum and size");
            match shown {
                Log::Same => assert_eq!(text, expected, "{name}"),
                Log::PreparedAnew => {
                    assert_eq!(from_first_stage(&text), from_first_stage(&expected), "{name}");
                    assert!(text.contains("the job is prepared anew"), "{name}: {text}");
                }
            }
            for stage in STAGES.into_iter().skip(1) {
                let times = if stage == "cleanup_file_variables" { 2 } else { 1 };
                assert_eq!(house.times_begun(stage), times, "{name}: {stage}");
            }
        }
    };
    // A few at a time: each is a process of its own.
    for some in KILLS.chunks(9) {
        let running = some.iter().map(|case| tokio::spawn(check(*case)));
        for outcome in join_all(running).await {
            outcome.unwrap();
        }
    }
}

/// A job whose script is under way, and its dead runner's house.
async fn killed_in_mid_script() -> (House, Gate) {
    let house = House::new().await;
    let gate = Gate::closed();
    write_scripts(&house.podman, "step_script", &gate);
    house.gitlab.queue(job());
    let runner = house.start_runner();
    house.trace_has("step_script 3\n").await;
    kill(runner).await;
    (house, gate)
}

async fn assert_fails_with(house: &House, reason: &str) {
    let runner = house.start_runner();
    let record = house.end().await;
    let (state, failure, _) = record.ending();
    assert_eq!((state.as_str(), failure.as_str()), ("failed", "runner_system_failure"));
    assert!(record.is_complete());
    let text = log(&record);
    assert!(text.contains("step_script 3\n") && text.contains(reason), "{text}");
    assert_eq!(house.times_begun("step_script"), 1);
    kill(runner).await;
}

/// Without its log: what there was of it is of no use.
async fn assert_given_up(house: &House) {
    let runner = house.start_runner();
    house.gitlab.finished(JOB).await;
    house.emptied().await;
    let (state, reason, _) = house.gitlab.record().jobs[&JOB].ending();
    assert_eq!((state.as_str(), reason.as_str()), ("failed", "runner_system_failure"));
    kill(runner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_container_is_gone_fails_with_a_word() {
    let (house, _gate) = killed_in_mid_script().await;
    house.podman.forget_everything();
    assert_fails_with(
        &house,
        "Job failed (system failure): the runner was restarted, and the job's build container is gone",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_containers_were_killed_with_the_runner_is_told_so() {
    let (house, _gate) = killed_in_mid_script().await;
    house.podman.lose_power();
    assert_fails_with(
        &house,
        "Job failed (system failure): the runner, or the host it is on, was stopped while the job ran, and the job's containers with it",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_machine_that_was_restarted_fails_with_a_word() {
    let (house, _gate) = killed_in_mid_script().await;
    house.change_job(|stored| stored["boot_id"] = "another".into());
    assert_fails_with(&house, "the machine was restarted while the job was running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_journal_is_damaged_fails_with_a_word() {
    let (house, _gate) = killed_in_mid_script().await;
    for name in ["progress.0", "progress.1"] {
        std::fs::write(house.journal().join(name), "damaged").unwrap();
    }
    assert_fails_with(&house, "the job's journal on the state volume is not readable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_log_is_gone_is_reported_and_leaves_nothing() {
    let (house, _gate) = killed_in_mid_script().await;
    std::fs::write(house.journal().join("log"), "").unwrap();
    assert_given_up(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_another_version_wrote_down_is_reported_and_leaves_nothing() {
    let (house, _gate) = killed_in_mid_script().await;
    house.change_job(|stored| assert!(stored["job"].as_object_mut().unwrap().remove("seed").is_some()));
    assert_given_up(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gitlab_gave_up_meanwhile_leaves_nothing() {
    let (house, _gate) = killed_in_mid_script().await;
    house.change_job(|stored| stored["boot_id"] = "another".into());
    house.gitlab.force_cancel(JOB);
    let runner = house.start_runner();
    house.emptied().await;
    kill(runner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_job_ends_under_the_settings_it_was_accepted_with() {
    let (house, gate) = killed_in_mid_script().await;
    house.gitlab.add_runner("glrt-t1_another0runner");
    let runner = house.start_runner_with(&house.configuration("glrt-t1_another0runner"));
    gate.open();
    let record = house.end().await;
    assert_eq!(record.ending().0, "success", "{}", log(&record));
    kill(runner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_job_has_no_more_time_than_it_was_given() {
    let house = House::new().await;
    let gate = Gate::closed();
    write_scripts(&house.podman, "step_script", &gate);
    house.gitlab.queue(job().timeout(6));
    let runner = house.start_runner();
    house.trace_has("step_script 3\n").await;
    kill(runner).await;
    let directory = std::fs::read_dir(house.jobs()).unwrap().next().unwrap().unwrap().path();
    let path = directory.join("job.json");
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    stored["job"]["seed"]["accepted_at"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&path, stored.to_string()).unwrap();
    let runner = house.start_runner();
    let record = house.end().await;
    assert_eq!(record.ending().1, "job_execution_timeout", "{}", log(&record));
    kill(runner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runners_do_not_share_a_state_directory() {
    let house = House::new().await;
    let _first = house.start_runner();
    house
        .gitlab
        .wait_for("the first runner", |r| r.count(Endpoint::JobRequest) > 0)
        .await;
    let status = tokio::time::timeout(PATIENCE, house.start_runner().wait_with_output());
    assert!(!status.await.unwrap().unwrap().status.success());
}

/// The plan that was on its way is lost with podman's connection: the container did nothing, and another one is told.
#[tokio::test]
async fn a_build_container_that_lost_its_connection_is_started_anew() {
    let bench = Bench::start().await;
    let gate = Gate::closed();
    bench.podman.on_stage("get_sources", [Act::WaitFor(gate.clone())]);
    bench.podman.on_stage("step_script", [Act::out("once\n")]);
    let running = bench.run(JobBuilder::new(901).script(&["x"]));
    let meddling = async {
        let waits = |r: &podman::Record| r.has_begun("get_sources") && r.container("build").is_some();
        bench.podman.wait_for("the build container", waits).await;
        let started = |r: &podman::Record| {
            let start = format!("{}/start", r.container("build").unwrap().id);
            r.calls.iter().any(|c| c.path.ends_with(&start))
        };
        bench.podman.wait_for("its start", started).await;
        bench.podman.lose_attached();
        let ended = |r: &podman::Record| r.container("build").is_some_and(|c| c.exit_code == Some(125));
        bench.podman.wait_for("its end", ended).await;
        gate.open();
    };
    let (ran, ()) = tokio::join!(running, meddling);
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("exit code 125 before it was told what to do; it is started anew");
    assert_eq!(ran.log().matches("once\n").count(), 1, "{}", ran.log());
    bench.assert_clean();
}
