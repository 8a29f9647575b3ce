//! Short jobs that never cease, and a witness beside the coordinator: each job tells it by itself when it begins and ends.

use crate::stage::{Project, Stage, log, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::{Coordinator, JobState, PipelineId, Revision};
use pipglr_e2e::HOST_LOOPBACK;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Jobs of a pipeline, and pipelines that are not at their end at the same time.
const JOBS: u32 = 6;
const PIPELINES: usize = 3;

/// What jobs said, and when it was heard.
type Heard = Arc<Mutex<Vec<(String, Instant)>>>;

/// The witness.
pub(crate) struct Stream {
    listener: TcpListener,
    port: u16,
}

impl Stream {
    pub(crate) fn listen(stage: &Stage) -> anyhow::Result<Self> {
        let listener = stage.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Jobs of one to five seconds.
    pub(crate) fn configuration(&self) -> String {
        let tell = |word: &str| {
            format!(
                "bash -c \"echo {word} $CI_JOB_ID > /dev/tcp/{HOST_LOOPBACK}/{}\"",
                self.port
            )
        };
        let (begin, end) = (tell("begin"), tell("end"));
        let jobs: String = (1..=JOBS)
            .map(|n| format!("job{n}: {{ script: ['{begin}', 'sleep {}', '{end}'] }}\n", 1 + n % 5))
            .collect();
        format!(
            "workflow: {{ auto_cancel: {{ on_new_commit: none }} }}\n\
             default: {{ image: '@SMALL@' }}\nvariables: {{ GIT_STRATEGY: none }}\n{jobs}"
        )
    }

    /// Begins to make pipelines, one more whenever there are too few.
    pub(crate) fn begin(self, stage: &Stage, project: &Project) -> Load {
        let (heard, stop) = (Heard::default(), CancellationToken::new());
        stage.runtime.spawn(listen(self.listener, heard.clone()));
        let feeding = stage.runtime.spawn(feed(project.coordinator.clone(), stop.clone()));
        Load { heard, stop, feeding }
    }
}

async fn listen(listener: TcpListener, heard: Heard) {
    while let Ok((mut connection, _)) = listener.accept().await {
        let mut line = String::new();
        if connection.read_to_string(&mut line).await.is_ok() {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push((line.trim().to_owned(), Instant::now()));
        }
    }
}

async fn feed(coordinator: Coordinator, stop: CancellationToken) -> anyhow::Result<Vec<PipelineId>> {
    let mut made = Vec::new();
    while !stop.is_cancelled() {
        let is_open = |id: &&PipelineId| coordinator.pipeline(**id).is_some_and(|p| p.finished_at.is_none());
        if made.iter().rev().take(PIPELINES).filter(is_open).count() < PIPELINES {
            made.push(coordinator.create_pipeline(&Revision::Head).await?);
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(made)
}

/// Jobs that come and go.
pub(crate) struct Load {
    heard: Heard,
    stop: CancellationToken,
    feeding: JoinHandle<anyhow::Result<Vec<PipelineId>>>,
}

impl Load {
    /// From now on, one more begins.
    pub(crate) fn wait_for_a_job(&self) -> anyhow::Result<()> {
        let begun = || {
            self.heard()
                .iter()
                .filter(|(said, _)| said.starts_with("begin "))
                .count()
        };
        let before = begun();
        wait_for("one more job to begin", Duration::from_secs(60), || {
            Ok((begun() > before).then_some(()))
        })
    }

    fn heard(&self) -> Vec<(String, Instant)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for what was begun. Every job has succeeded, and began and ended once.
    pub(crate) fn end(self, stage: &Stage, project: &Project) -> anyhow::Result<String> {
        self.stop.cancel();
        let heard = self.heard.clone();
        let pipelines = stage.runtime.block_on(self.feeding)??;
        let mut expected = BTreeMap::new();
        for id in pipelines {
            for record in stage.wait_pipeline(project, id)?.jobs {
                ensure!(
                    record.state == JobState::Success,
                    "{} {}: {:?}, {:?}\n{}",
                    record.name,
                    record.id,
                    record.state,
                    record.failure_reason,
                    log(&record)?
                );
                expected.insert(format!("begin {}", record.id), 1);
                expected.insert(format!("end {}", record.id), 1);
            }
        }
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut counts = BTreeMap::new();
        for (said, _) in &heard {
            *counts.entry(said.clone()).or_insert(0) += 1;
        }
        let wrong: Vec<_> = counts
            .iter()
            .filter(|(said, n)| expected.get(*said) != Some(n))
            .collect();
        ensure!(
            counts == expected,
            "lost, or run twice: {wrong:?} of {} words",
            expected.len()
        );
        let begins: Vec<Instant> = heard
            .iter()
            .filter(|(s, _)| s.starts_with("begin"))
            .map(|(_, at)| *at)
            .collect();
        let pauses = begins.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = pauses.max().context("no two jobs")?;
        Ok(format!(
            "{} jobs, all succeeded, each ran once; longest time without a job that began: {:.1} s",
            begins.len(),
            longest.as_secs_f64()
        ))
    }
}
