//! A project served by a coordinator of our own, and what its jobs did.

use anyhow::{Context as _, ensure};
use pipglr_coordinator::{Coordinator, JobRecord, JobState, PipelineRecord, ServeOptions};
use pipglr_e2e::HOST_LOOPBACK;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A project served by a coordinator; stops with this value.
pub(crate) struct Project {
    pub coordinator: Coordinator,
    /// As containers reach it.
    pub url: String,
    pub port: u16,
    stop: CancellationToken,
    _directory: tempfile::TempDir,
}

impl Project {
    /// Serves `repo` on loopback, in `directory`, with options changed by `adjust`.
    pub(crate) async fn serve(
        directory: tempfile::TempDir,
        repo: PathBuf,
        adjust: impl FnOnce(&mut ServeOptions),
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let mut options = ServeOptions::new(
            repo,
            directory.path().join("data"),
            format!("http://{HOST_LOOPBACK}:{port}"),
        );
        options.long_poll_hold = Duration::from_secs(10);
        adjust(&mut options);
        let url = options.external_url.clone();
        let coordinator = Coordinator::open(options).await?;
        let stop = CancellationToken::new();
        let serving = coordinator.clone();
        let stopped = stop.clone();
        tokio::spawn(async move { serving.serve(listener, stopped.cancelled_owned()).await });
        Ok(Self {
            coordinator,
            url,
            port,
            stop,
            _directory: directory,
        })
    }

    /// The authentication token of the coordinator's runner.
    pub(crate) fn token(&self) -> String {
        self.coordinator
            .runner_tokens()
            .first()
            .map(|t| t.expose().to_owned())
            .unwrap_or_default()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The job of this name.
pub(crate) fn job<'a>(pipeline: &'a PipelineRecord, name: &str) -> anyhow::Result<&'a JobRecord> {
    pipeline
        .jobs
        .iter()
        .find(|j| j.name == name)
        .with_context(|| format!("no job {name}"))
}

/// The log of a job that has to have failed for this reason.
pub(crate) fn failed_for(job: &JobRecord, expected: &str) -> anyhow::Result<String> {
    let text = log(job)?;
    let reason = job.failure_reason.as_ref().map(ToString::to_string);
    ensure!(
        job.state == JobState::Failed && reason.as_deref() == Some(expected),
        "{}: {:?}, {reason:?}\n{text}",
        job.name,
        job.state
    );
    Ok(text)
}

/// Fails unless every job has succeeded.
pub(crate) fn all_pass(pipeline: &PipelineRecord) -> anyhow::Result<()> {
    for job in &pipeline.jobs {
        ensure!(
            job.state == JobState::Success,
            "{}: {:?}\n{}",
            job.name,
            job.state,
            log(job)?
        );
    }
    Ok(())
}

/// A job's log without colours, section markers and line headers; nothing before its first part has come.
pub(crate) fn log(job: &JobRecord) -> anyhow::Result<String> {
    let raw = match std::fs::read(&job.trace_path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.with_context(|| format!("log of {}", job.name))?,
    };
    let text = String::from_utf8_lossy(&raw);
    let mut out = String::new();
    for line in text.lines() {
        let line = if line.len() >= 32 && line.as_bytes()[26] == b'Z' && line.is_char_boundary(32) {
            &line[32..]
        } else {
            line
        };
        out.push_str(&without_escapes(line));
        out.push('\n');
    }
    Ok(out)
}

fn without_escapes(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Asks until there is an answer. Waiting for another process has no other way.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "waited {} s for {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Fails unless `text` contains `part`.
pub(crate) fn contains(text: &str, part: &str) -> anyhow::Result<()> {
    ensure!(text.contains(part), "{part:?} is not in:\n{text}");
    Ok(())
}

/// Fails if `text` contains `part`.
pub(crate) fn lacks(text: &str, part: &str) -> anyhow::Result<()> {
    ensure!(!text.contains(part), "{part:?} must not be in:\n{text}");
    Ok(())
}
