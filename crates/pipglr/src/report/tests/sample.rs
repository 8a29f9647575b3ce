//! A run with everything a page has a place for.

use crate::report::run::{Job, Run};
use jiff::{SignedDuration, Timestamp};
use pipglr_coordinator::{ArtifactRecord, JobState, JobTimes};
use pipglr_protocol::update::FailureReason;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

pub(super) struct Sample {
    pub(super) run: Run,
    pub(super) directory: tempfile::TempDir,
}

/// Seconds after the beginning.
pub(super) fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-08-22T10:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs_f64(seconds)).unwrap()
}

/// A job that was queued, started and finished at these seconds.
pub(super) fn job(id: u64, name: &str, stage: &str, state: JobState, times: [u32; 3]) -> Job {
    let [queued, started, finished] = times.map(|seconds| Some(at(f64::from(seconds))));
    Job {
        id,
        pipeline: String::new(),
        name: name.to_owned(),
        stage: stage.to_owned(),
        state,
        allow_failure: false,
        exit_code: None,
        reason: None,
        message: None,
        timeout: Duration::from_hours(1),
        attempt: 1,
        is_retried: false,
        needs: Some(Vec::new()),
        released_by: None,
        notes: Vec::new(),
        times: JobTimes {
            created_at: at(0.0),
            queued_at: queued,
            started_at: started,
            finished_at: finished,
        },
        log: format!("/nowhere/{id}").into(),
        log_size: 0,
        artifacts: Vec::new(),
    }
}

impl Sample {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut jobs = vec![build(directory.path()), lint(), unit(3), unit(5), deploy(), child()];
        // Its number says when it was made; a page shows the last attempt where the job stands in the file.
        jobs[2].id = 4;
        (jobs[2].is_retried, jobs[2].attempt) = (true, 1);
        jobs[2].times = job(0, "", "", JobState::Failed, [10, 11, 16]).times;
        for job in &mut jobs {
            job.log = directory.path().join(format!("{}.log", job.id));
            let text = log(job);
            job.log_size = text.len() as u64;
            if !text.is_empty() {
                std::fs::write(&job.log, text).unwrap();
            }
        }
        jobs.swap(2, 4);
        jobs.swap(2, 3);
        let run = Run {
            project: "group/project".to_owned(),
            name: "Nightly".to_owned(),
            source: "schedule",
            warnings: ".gitlab-ci.yml:3:1: warning: `variables` <is> odd".to_owned(),
            ref_name: "main".to_owned(),
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            state: JobState::Failed,
            has_warnings: true,
            created_at: at(0.0),
            finished_at: Some(at(24.0)),
            jobs,
        };
        Self { run, directory }
    }
}

fn build(directory: &Path) -> Job {
    let mut build = job(1, "build", "build", JobState::Success, [0, 0, 10]);
    build.times.started_at = Some(at(0.5));
    build.artifacts = vec![
        artifact(
            "archive",
            "zip",
            "artifacts.zip",
            52_428_800,
            &directory.join("jobs/1/artifacts.zip"),
        ),
        artifact("dotenv", "gzip", ".env.gz", 99, Path::new("/elsewhere/a <b>.gz")),
    ];
    build
}

fn artifact(artifact_type: &str, format: &str, filename: &str, size: u64, path: &Path) -> ArtifactRecord {
    ArtifactRecord {
        artifact_type: artifact_type.to_owned(),
        format: format.to_owned(),
        filename: filename.to_owned(),
        size,
        sha256: [0; 32],
        path: path.to_owned(),
        expires_at: None,
    }
}

fn lint() -> Job {
    let mut lint = job(2, "lint", "test", JobState::Failed, [0, 1, 4]);
    lint.allow_failure = true;
    lint.reason = Some(FailureReason::ScriptFailure);
    lint.exit_code = Some(2);
    lint
}

fn unit(id: u64) -> Job {
    let mut unit = job(id, "unit", "test", JobState::Failed, [10, 17, 24]);
    unit.times.queued_at = Some(at(16.5));
    unit.reason = Some(FailureReason::ScriptFailure);
    unit.exit_code = Some(101);
    unit.attempt = 2;
    unit.needs = Some(vec![2, 1]);
    unit.released_by = Some(1);
    unit
}

fn deploy() -> Job {
    let mut deploy = job(6, "deploy", "deploy", JobState::Skipped, [0, 0, 0]);
    deploy.needs = None;
    deploy.times = JobTimes {
        created_at: at(0.0),
        ..JobTimes::default()
    };
    deploy
}

/// Of a pipeline the first job started.
fn child() -> Job {
    let mut child = job(7, "inner", "test", JobState::Success, [10, 11, 14]);
    child.times.created_at = at(9.0);
    child.pipeline = "child".to_owned();
    child.notes = vec!["resource group <one>".to_owned()];
    child
}

/// As a runner writes them: with times, sections and colours.
fn log(job: &Job) -> String {
    let Some(started) = job.times.started_at else {
        return String::new();
    };
    let mut text = String::new();
    let mut say = |after: i64, line: &str| {
        let time = started.checked_add(SignedDuration::from_millis(after)).unwrap();
        let _ = writeln!(text, "{time:.6} 00O {line}");
    };
    say(10, "Running with pipglr");
    say(
        20,
        "section_start:1:prepare_executor[collapsed=true]\r\x1b[0K\x1b[0K\x1b[36;1mPreparing <the> image\x1b[0;m",
    );
    say(500, "Using image alpine");
    say(800, "section_end:1:prepare_executor\r\x1b[0K");
    say(
        900,
        "section_start:1:step_script\r\x1b[0K\x1b[0K\x1b[36;1mExecuting the script\x1b[0;m",
    );
    say(1000, "\x1b[32;1m$ ./run --fast && echo \"done\"\x1b[0;m");
    say(1500, "10%\r50%\r\x1b[38;5;208m100%\x1b[0m");
    say(2000, "</div></script><script>alert('x')</script>");
    say(2500, "section_end:1:step_script\r\x1b[0K");
    match job.exit_code {
        Some(code) => say(2900, &format!("\x1b[31;1mERROR: Job failed: exit code {code}\x1b[0;m")),
        None => say(2900, "\x1b[32;1mJob succeeded\x1b[0;m"),
    }
    text
}
