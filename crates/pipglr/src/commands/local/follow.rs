//! Following a pipeline to its end: states and logs are shown, manual jobs played, stops passed on.

use super::board::Board;
use super::logs::Logs;
use super::nested;
use super::shell;
use super::show::Show;
use super::stop::{Stops, Urgency};
use crate::cli::LocalArgs;
use crate::error::CliError;
use anyhow::Context as _;
use pipglr_coordinator::{Coordinator, Event, JobRecord, PipelineId, PipelineRecord};
use pipglr_protocol::payload::JobId;
use pipglr_runner::job::FailedJob;
use pipglr_runner::manager::{Shutdown, ShutdownLevel};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

/// How often the tree is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// Ticks after which a line that might still be continued is given.
const PATIENCE: u32 = 15;

/// Everything that follows a pipeline.
pub(super) struct Follower<'a> {
    pub(super) coordinator: &'a Coordinator,
    pub(super) args: &'a LocalArgs,
    pub(super) id: PipelineId,
    /// Pipelines that were started by this one, directly or not, and what is put before the names of their jobs.
    pub(super) children: Vec<(PipelineId, String)>,
    pub(super) shutdown: Shutdown,
    pub(super) show: Show,
    pub(super) board: Board,
    pub(super) logs: Logs,
    pub(super) began: Instant,
    /// Top of the working tree.
    pub(super) repo: &'a Path,
    /// Jobs whose artifacts were written.
    pub(super) unpacked: BTreeSet<JobId>,
    /// Failed jobs whose containers are open.
    pub(super) failed: Option<UnboundedReceiver<FailedJob>>,
}

/// How following ended.
pub(super) enum Followed {
    Ended(Box<PipelineRecord>),
    /// Nobody wants to wait for it.
    GivenUp,
}

impl Follower<'_> {
    /// Follows until nothing can go on by itself.
    pub(super) async fn run(&mut self, mut events: Receiver<Event>, stops: &mut Stops) -> Result<Followed, CliError> {
        let record = self.record()?;
        if !record.config_warnings.is_empty() {
            self.show.say(record.config_warnings.trim_end())?;
        }
        self.board.update(&record, "", self.began.elapsed());
        self.show.begins(&record, &self.board)?;
        for job in &record.jobs {
            self.changed(job.id)?;
        }
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let timeout = self.args.timeout;
        let timeout = async move {
            match timeout {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timeout);
        let (mut quiet, mut timed_out) = (0, false);
        loop {
            let over = self.coordinator.wait(self.id);
            tokio::select! {
                biased;
                urgency = stops.next() => {
                    if self.stop(urgency)? {
                        return Ok(Followed::GivenUp);
                    }
                }
                () = &mut timeout, if !timed_out => {
                    timed_out = true;
                    self.show.say("time is up: the pipeline is canceled")?;
                    self.cancel()?;
                }
                event = events.recv() => {
                    quiet = 0;
                    self.take(event)?;
                }
                Some(job) = next(&mut self.failed) => self.visit(job).await?,
                record = over => {
                    let record = record?;
                    while let Ok(event) = events.try_recv() {
                        self.take(Ok(event))?;
                    }
                    self.finish(&record)?;
                    return Ok(Followed::Ended(Box::new(record)));
                }
                _ = ticks.tick() => {
                    quiet += 1;
                    if quiet == PATIENCE {
                        self.flush()?;
                    }
                    self.show.draw(&self.board, self.began.elapsed())?;
                }
            }
        }
    }

    fn record(&self) -> Result<PipelineRecord, CliError> {
        self.record_of(self.id)
    }

    fn record_of(&self, id: PipelineId) -> Result<PipelineRecord, CliError> {
        let record = self.coordinator.pipeline(id);
        record.ok_or_else(|| anyhow::anyhow!("pipeline {id} is gone").into())
    }

    fn take(&mut self, event: Result<Event, RecvError>) -> Result<(), CliError> {
        match event {
            Ok(Event::JobChanged { job, .. }) => self.changed(job),
            Ok(Event::PipelineCreated { pipeline, parent }) => self.child(pipeline, parent),
            Ok(Event::JobRetried { old, new, .. }) => {
                self.changed(old)?;
                self.board.rows.retain(|row| row.id != old);
                self.changed(new)
            }
            Ok(Event::TraceChanged { job, .. }) => self.said(job),
            Ok(_) => Ok(()),
            // Whatever was missed is in the records.
            Err(RecvError::Lagged(_)) => self.catch_up(),
            Err(RecvError::Closed) => Err(anyhow::anyhow!("the coordinator is gone").into()),
        }
    }

    /// What is put before the names of a pipeline's jobs; `None` if the pipeline is none of ours.
    fn prefix(&self, pipeline: PipelineId) -> Option<String> {
        if pipeline == self.id {
            return Some(String::new());
        }
        let child = self.children.iter().find(|(id, _)| *id == pipeline);
        child.map(|(_, prefix)| prefix.clone())
    }

    /// A bridge started a pipeline.
    fn child(&mut self, pipeline: PipelineId, parent: JobId) -> Result<(), CliError> {
        let Some(bridge) = self.board.rows.iter().find(|row| row.id == parent) else {
            return Ok(());
        };
        let prefix = format!("{} / ", bridge.name);
        self.children.push((pipeline, prefix.clone()));
        let record = self.record_of(pipeline)?;
        self.board.update(&record, &prefix, self.began.elapsed());
        for job in &record.jobs {
            self.changed(job.id)?;
        }
        Ok(())
    }

    /// Reads everything again.
    fn catch_up(&mut self) -> Result<(), CliError> {
        let mut at = 0;
        let mut all = vec![self.id];
        while let Some(&pipeline) = all.get(at) {
            at += 1;
            let record = self.record_of(pipeline)?;
            if let (Some(parent), None) = (record.parent, self.prefix(pipeline)) {
                self.child(pipeline, parent)?;
            }
            let current: Vec<JobId> = record.jobs.iter().map(|job| job.id).collect();
            for job in record.retried.iter().chain(&record.jobs) {
                self.said(job.id)?;
                self.changed(job.id)?;
            }
            let repeated = |id: JobId| !current.contains(&id) && record.retried.iter().any(|job| job.id == id);
            self.board.rows.retain(|row| !repeated(row.id));
            all.extend(record.children);
        }
        Ok(())
    }

    /// A job may have another state.
    fn changed(&mut self, id: JobId) -> Result<(), CliError> {
        let Some(job) = self.coordinator.job(id) else {
            return Ok(());
        };
        let Some(prefix) = self.prefix(job.pipeline) else {
            return Ok(());
        };
        if job.state.is_finished() {
            self.said(id)?;
        }
        let now = self.began.elapsed();
        let known = self.board.rows.iter().any(|row| row.id == id);
        if !known {
            let record = self.record_of(job.pipeline)?;
            self.board.update(&record, &prefix, now);
        }
        if self.board.update_job(&job, &prefix, now)
            && let Some(row) = self.board.rows.iter().find(|row| row.id == id)
        {
            self.show.state(&self.board, row, now)?;
        }
        if job.state.is_finished() && !job.reused {
            self.unpack(&job)?;
        }
        Ok(())
    }

    /// Writes a job's artifacts where they are wanted, once.
    fn unpack(&mut self, job: &JobRecord) -> Result<(), CliError> {
        let (archives, directory) = (&self.args.artifact_archives, &self.args.artifacts);
        let Some(archive) = job.artifacts_path() else {
            return Ok(());
        };
        if (archives.is_none() && directory.is_none()) || !self.unpacked.insert(job.id) {
            return Ok(());
        }
        if let Some(archives) = archives {
            nested::keep_archive(archive, archives, self.unpacked.len())?;
        }
        if let Some(directory) = directory {
            let directory = if directory.as_os_str() == "." {
                self.repo
            } else {
                directory
            };
            pipglr_runner::unpack(archive, directory).with_context(|| format!("artifacts of {}", job.name))?;
        }
        Ok(())
    }

    /// A job's log may have grown.
    fn said(&mut self, id: JobId) -> Result<(), CliError> {
        let Some(job) = self
            .coordinator
            .job(id)
            .filter(|job| self.prefix(job.pipeline).is_some())
        else {
            return Ok(());
        };
        let (show, board) = (&mut self.show, &self.board);
        let row = board.rows.iter().find(|row| row.id == id);
        let mut shown = Ok(());
        self.logs.read(&job, &mut |line| {
            if let (Some(row), Ok(())) = (row, &shown) {
                shown = show.line(board, row, line);
            }
        })?;
        shown?;
        self.remember_last_line(id);
        Ok(())
    }

    fn remember_last_line(&mut self, id: JobId) {
        if let (Some(row), Some(line)) = (self.board.row_mut(id), self.logs.last_line(id)) {
            line.clone_into(&mut row.last_line);
        }
    }

    /// Nothing came for a while: what was said last is shown.
    fn flush(&mut self) -> Result<(), CliError> {
        let (show, board) = (&mut self.show, &self.board);
        let mut shown = Ok(());
        self.logs.flush(|id, line| {
            let row = board.rows.iter().find(|row| row.id == id);
            if let (Some(row), Ok(())) = (row, &shown) {
                shown = show.line(board, row, line);
            }
        })?;
        shown
    }

    /// Whether nothing is to be waited for any more.
    fn stop(&mut self, urgency: Urgency) -> Result<bool, CliError> {
        match urgency {
            Urgency::Cancel => {
                self.show
                    .say("canceling: after_script still runs; Ctrl-C again ends everything at once")?;
                self.cancel()?;
            }
            Urgency::AtOnce => {
                self.show.say("ending at once")?;
                self.shutdown.request(ShutdownLevel::Forceful);
            }
            Urgency::GiveUp => return Ok(true),
        }
        Ok(false)
    }

    fn cancel(&mut self) -> Result<(), CliError> {
        // Whoever has a shell open is not thrown out by the job's end, but no further one is opened.
        self.failed = None;
        Ok(self.coordinator.cancel_pipeline(self.id)?)
    }

    /// Somebody looks around in the container of a failed job.
    async fn visit(&mut self, job: FailedJob) -> Result<(), CliError> {
        self.said(job.id)?;
        self.flush()?;
        self.show.clear()?;
        shell::open(job, &self.logs).await
    }

    /// All that was not shown yet.
    fn finish(&mut self, record: &PipelineRecord) -> Result<(), CliError> {
        self.catch_up()?;
        self.board.update(record, "", self.began.elapsed());
        self.show.clear()
    }
}

/// The next failed job; never, if nobody wants to look into any.
async fn next(failed: &mut Option<UnboundedReceiver<FailedJob>>) -> Option<FailedJob> {
    match failed {
        Some(failed) => failed.recv().await,
        None => std::future::pending().await,
    }
}
