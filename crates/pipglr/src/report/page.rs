//! What the page shows, in the order in which it shows it: words and places, no decision left to the template.

use super::links;
use super::log::{Log, Palette, palette_colour};
use super::run::{Job, Run};
use super::timeline::{self, Timeline};
use super::words;
use anyhow::Context as _;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipglr_coordinator::{ArtifactRecord, JobState};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;

const STYLE: &str = include_str!("../../templates/report/style.css");
const SCRIPT: &str = include_str!("../../templates/report/script.js");
/// Failures of which the last lines are shown again at the top of the page.
const EXCERPTS: usize = 20;

/// The page of `run` to stand at `place`; `logs` are those of its jobs.
pub(super) fn render(run: &Run, logs: Vec<Log>, place: &Path) -> anyhow::Result<String> {
    let timeline = timeline::draw(run, &logs);
    let palette = logs.iter().flat_map(|log| log.palette.iter().copied()).collect();
    let style = style(&palette);
    let rows = rows(run, &timeline);
    let page = Page {
        policy: policy(&style),
        style,
        script: SCRIPT,
        head: Head::of(run),
        failures: failures(run, &logs),
        timeline: &timeline,
        rows,
        jobs: jobs(run, logs, place),
        version: env!("CARGO_PKG_VERSION"),
    };
    page.render().context("render the page")
}

/// The static style and the colours logs use beyond it.
fn style(palette: &Palette) -> String {
    let mut style = STYLE.to_owned();
    for &index in palette {
        let colour = palette_colour(index);
        let _ = write!(style, ".f{index}{{color:{colour}}}.b{index}{{background:{colour}}}");
    }
    style
}

/// Nothing is loaded, and nothing runs but our own script: the second lock behind escaping.
fn policy(style: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(SCRIPT)
    )
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    policy: String,
    style: String,
    script: &'static str,
    head: Head<'a>,
    failures: Vec<Failure<'a>>,
    timeline: &'a Timeline,
    rows: Vec<Row<'a>>,
    jobs: Vec<JobPart<'a>>,
    version: &'static str,
}

/// A state as colour, sign and word.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    class: &'static str,
    sign: &'static str,
    word: String,
}

impl Mark {
    fn of(state: JobState, has_warnings: bool) -> Self {
        let (class, sign) = match state {
            JobState::Success if has_warnings => ("warn", "!"),
            JobState::Failed if has_warnings => ("warn", "!"),
            JobState::Success => ("good", "✓"),
            JobState::Failed => ("bad", "✗"),
            JobState::Canceled | JobState::Skipped => ("off", "–"),
            JobState::Running => ("busy", "●"),
            _ => ("off", "○"),
        };
        Self {
            class,
            sign,
            word: state.to_string(),
        }
    }

    fn of_job(job: &Job) -> Self {
        let mut mark = Self::of(job.state, job.allow_failure || job.is_retried);
        if job.state == JobState::Success {
            (mark.class, mark.sign) = ("good", "✓");
        } else if job.state == JobState::Failed {
            mark.word.push_str(match (job.is_retried, job.allow_failure) {
                (true, _) => ", retried",
                (false, true) => ", allowed",
                _ => "",
            });
        }
        mark
    }
}

struct Head<'a> {
    mark: Mark,
    /// What happened, in one sentence.
    outcome: String,
    project: &'a str,
    name: &'a str,
    source: &'a str,
    warnings: &'a str,
    ref_name: &'a str,
    sha: &'a str,
    short_sha: &'a str,
    created: String,
    took: String,
    artifacts: String,
}

impl<'a> Head<'a> {
    fn of(run: &'a Run) -> Self {
        let artifacts: Vec<&ArtifactRecord> = run.jobs.iter().flat_map(|j| &j.artifacts).collect();
        Self {
            mark: Mark::of(run.state, run.has_warnings && run.state == JobState::Success),
            outcome: outcome(run),
            project: &run.project,
            name: &run.name,
            source: run.source,
            warnings: &run.warnings,
            ref_name: &run.ref_name,
            sha: &run.sha,
            short_sha: run.sha.get(..8).unwrap_or(&run.sha),
            created: words::moment(run.created_at),
            took: run
                .finished_at
                .map(|at| words::between(run.created_at, at))
                .unwrap_or_default(),
            artifacts: match artifacts.len() {
                0 => String::new(),
                n => format!("{n}, {}", words::size(artifacts.iter().map(|a| a.size).sum())),
            },
        }
    }
}

/// `2 of 9 jobs failed, 1 allowed to fail did, 3 skipped`, and so on.
fn outcome(run: &Run) -> String {
    let last: Vec<&Job> = run.jobs.iter().filter(|j| !j.is_retried).collect();
    let count = |is: &dyn Fn(&Job) -> bool| last.iter().filter(|job| is(job)).count();
    let failed = count(&Job::is_failure);
    let jobs = if last.len() == 1 {
        "1 job".to_owned()
    } else {
        format!("{} jobs", last.len())
    };
    let mut parts = vec![match (failed, count(&|j| j.state == JobState::Success)) {
        (0, n) if n == last.len() => format!("{jobs} passed"),
        (0, n) => format!("{n} of {jobs} passed"),
        (n, _) => format!("{n} of {jobs} failed"),
    }];
    for (n, word) in [
        (
            count(&|j| j.state == JobState::Failed && j.allow_failure),
            "allowed to fail did",
        ),
        (count(&|j| j.state == JobState::Canceled), "canceled"),
        (count(&|j| j.state == JobState::Skipped), "skipped"),
        (count(&|j| j.state == JobState::Manual), "not started by hand"),
        (run.jobs.len() - last.len(), "retried"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    parts.join(", ")
}

struct Failure<'a> {
    id: u64,
    pipeline: &'a str,
    name: &'a str,
    stage: &'a str,
    mark: Mark,
    why: String,
    /// HTML.
    excerpt: String,
}

fn failures<'a>(run: &'a Run, logs: &[Log]) -> Vec<Failure<'a>> {
    let mut failed: Vec<usize> = (0..run.jobs.len()).filter(|&i| run.jobs[i].rank() < 2).collect();
    failed.sort_by_key(|&index| run.jobs[index].rank());
    let failures = failed.into_iter().enumerate().map(|(place, index)| {
        let job = &run.jobs[index];
        Failure {
            id: job.id,
            pipeline: &job.pipeline,
            name: &job.name,
            stage: &job.stage,
            mark: Mark::of_job(job),
            why: why(job),
            excerpt: logs
                .get(index)
                .filter(|_| place < EXCERPTS)
                .map(|log| log.excerpt.clone())
                .unwrap_or_default(),
        }
    });
    failures.collect()
}

/// Why a job did not succeed; empty if there is nothing to say.
fn why(job: &Job) -> String {
    let mut parts = Vec::new();
    if job.state == JobState::Failed {
        parts.extend(job.reason.as_ref().map(words::reason));
    }
    parts.extend(
        job.exit_code
            .filter(|code| *code != 0)
            .map(|code| format!("exit code {code}")),
    );
    if job.reason == Some(pipglr_protocol::update::FailureReason::JobExecutionTimeout) {
        parts.push(format!("timeout {}", words::duration(job.timeout.as_secs_f64())));
    }
    parts.extend(job.message.clone());
    parts.join(", ")
}

struct Row<'a> {
    id: u64,
    pipeline: &'a str,
    name: &'a str,
    /// Which attempt, where there is more than one; the state, where there is no bar.
    note: String,
    stage: &'a str,
    mark: Mark,
    waited_for: &'a str,
    phases: &'a [timeline::Span],
}

fn rows<'a>(run: &'a Run, timeline: &'a Timeline) -> Vec<Row<'a>> {
    let rows = timeline.rows.iter().map(|row| {
        let job = &run.jobs[row.job];
        Row {
            id: job.id,
            pipeline: &job.pipeline,
            name: &job.name,
            note: match job.times.queued_at {
                Some(_) => attempt(job),
                None => job.state.to_string(),
            },
            stage: &job.stage,
            mark: Mark::of_job(job),
            waited_for: &row.waited_for,
            phases: &row.phases,
        }
    });
    rows.collect()
}

fn attempt(job: &Job) -> String {
    if job.is_retried || job.attempt > 1 {
        format!("attempt {}", job.attempt)
    } else {
        String::new()
    }
}

/// A job with its log and its artifacts.
struct JobPart<'a> {
    id: u64,
    pipeline: &'a str,
    notes: String,
    name: &'a str,
    attempt: String,
    stage: &'a str,
    mark: Mark,
    why: String,
    took: String,
    log: Log,
    log_size: String,
    log_path: String,
    log_link: String,
    artifacts: Vec<Artifact<'a>>,
}

struct Artifact<'a> {
    name: &'a str,
    kind: String,
    size: String,
    path: String,
    link: String,
}

/// Failures first, then in file order.
fn jobs<'a>(run: &'a Run, logs: Vec<Log>, place: &Path) -> Vec<JobPart<'a>> {
    let mut parts: Vec<(&Job, Log)> = run.jobs.iter().zip(logs).collect();
    parts.sort_by_key(|(job, _)| job.rank());
    let parts = parts.into_iter().map(|(job, log)| JobPart {
        id: job.id,
        pipeline: &job.pipeline,
        notes: job.notes.join("; "),
        name: &job.name,
        attempt: attempt(job),
        stage: &job.stage,
        mark: Mark::of_job(job),
        why: why(job),
        took: match (job.times.started_at, job.times.finished_at) {
            (Some(from), Some(to)) => words::between(from, to),
            _ => String::new(),
        },
        log_size: words::size(log.size),
        log_path: job.log.display().to_string(),
        log_link: links::to(&job.log, place),
        log,
        artifacts: job
            .artifacts
            .iter()
            .map(|artifact| artifact_of(artifact, place))
            .collect(),
    });
    parts.collect()
}

fn artifact_of<'a>(artifact: &'a ArtifactRecord, place: &Path) -> Artifact<'a> {
    let kind = if artifact.artifact_type == ArtifactRecord::ARCHIVE {
        artifact.format.clone()
    } else {
        format!("{} report", artifact.artifact_type)
    };
    Artifact {
        name: &artifact.filename,
        kind,
        size: words::size(artifact.size),
        path: artifact.path.display().to_string(),
        link: links::to(&artifact.path, place),
    }
}
