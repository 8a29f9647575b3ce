//! What is known of a pipeline while it runs, as plain data: for the tree, the table and the events.

use pipglr_coordinator::{JobRecord, JobState, PipelineRecord};
use pipglr_protocol::payload::JobId;
use std::time::Duration;

/// A pipeline's jobs, in the order of their stages.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) stages: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A job.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: JobId,
    pub(super) name: String,
    pub(super) stage: String,
    pub(super) state: JobState,
    pub(super) allow_failure: bool,
    /// An earlier run's result stands for it.
    pub(super) reused: bool,
    pub(super) reason: Option<String>,
    /// What else there is to know about the outcome.
    pub(super) message: Option<String>,
    pub(super) exit_code: Option<i32>,
    /// When it began and ended, since the run began.
    pub(super) began: Option<Duration>,
    pub(super) ended: Option<Duration>,
    /// What its log said last.
    pub(super) last_line: String,
}

impl Board {
    /// All jobs of a pipeline, as they are now. `prefix` is put before the names of a child pipeline.
    pub(super) fn update(&mut self, pipeline: &PipelineRecord, prefix: &str, now: Duration) {
        for stage in pipeline.stages.iter().map(|stage| format!("{prefix}{stage}")) {
            if !self.stages.contains(&stage) {
                self.stages.push(stage);
            }
        }
        for job in &pipeline.jobs {
            self.update_job(job, prefix, now);
        }
        let stages = &self.stages;
        let place = |row: &Row| stages.iter().position(|stage| *stage == row.stage);
        self.rows.sort_by_key(place);
    }

    /// A job, as it is now; true if its state is another one.
    pub(super) fn update_job(&mut self, job: &JobRecord, prefix: &str, now: Duration) -> bool {
        let row = match self.rows.iter_mut().find(|row| row.id == job.id) {
            Some(row) => row,
            None => {
                self.rows.push(Row::new(job, prefix));
                let last = self.rows.len() - 1;
                &mut self.rows[last]
            }
        };
        row.take(job, now)
    }

    /// The row of a job.
    pub(super) fn row_mut(&mut self, id: JobId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == id)
    }
}

impl Row {
    fn new(job: &JobRecord, prefix: &str) -> Self {
        Self {
            id: job.id,
            name: format!("{prefix}{}", job.name),
            stage: format!("{prefix}{}", job.stage),
            state: JobState::Created,
            allow_failure: false,
            reused: job.reused,
            reason: None,
            message: None,
            exit_code: None,
            began: None,
            ended: None,
            last_line: String::new(),
        }
    }

    fn take(&mut self, job: &JobRecord, now: Duration) -> bool {
        let changed = self.state != job.state;
        self.state = job.state;
        self.allow_failure = job.allow_failure;
        self.exit_code = job.exit_code.filter(|code| *code != 0);
        self.message.clone_from(&job.message);
        self.reason = job.failure_reason.as_ref().map(ToString::to_string);
        if matches!(job.state, JobState::Running | JobState::Canceling) {
            self.began = self.began.or(Some(now));
        }
        if job.state.is_finished() && self.began.is_some() {
            self.ended = self.ended.or(Some(now));
        }
        changed
    }

    /// How long it has been running.
    pub(super) fn elapsed(&self, now: Duration) -> Option<Duration> {
        Some(self.ended.unwrap_or(now).saturating_sub(self.began?))
    }

    /// Its state, and why.
    pub(super) fn outcome(&self) -> String {
        match self.state {
            JobState::Failed => {
                let allowed = if self.allow_failure { ", allowed" } else { "" };
                format!("failed{allowed}")
            }
            state if self.reused => format!("{state}, earlier run"),
            state => state.to_string().replace('_', " "),
        }
    }

    /// Why it failed, in words.
    pub(super) fn why(&self) -> String {
        match (self.reason.as_deref(), self.exit_code) {
            (Some("script_failure") | None, Some(code)) => format!("exit code {code}"),
            (Some(reason), Some(code)) => format!("{}, exit code {code}", reason.replace('_', " ")),
            (Some(reason), None) => match &self.message {
                Some(message) => format!("{}: {message}", reason.replace('_', " ")),
                None => reason.replace('_', " "),
            },
            (None, None) => self.message.clone().unwrap_or_default(),
        }
    }

    /// Whether the pipeline failed by it.
    pub(super) fn failed(&self) -> bool {
        self.state == JobState::Failed && !self.allow_failure
    }
}

/// `4.2s`, `3m12s`, `1h02m`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64().min(59.9)),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Row, time};
    use pipglr_coordinator::JobState;
    use pipglr_protocol::payload::JobId;
    use std::time::Duration;

    /// A job that began and ended at these seconds.
    pub(in super::super) fn row(
        id: u64,
        name: &str,
        stage: &str,
        state: JobState,
        began: Option<u64>,
        ended: Option<u64>,
    ) -> Row {
        Row {
            id: JobId(id),
            name: name.to_owned(),
            stage: stage.to_owned(),
            state,
            allow_failure: false,
            reused: false,
            message: None,
            reason: None,
            exit_code: None,
            began: began.map(Duration::from_secs),
            ended: ended.map(Duration::from_secs),
            last_line: String::new(),
        }
    }

    #[test]
    fn times_are_short() {
        for (millis, text) in [
            (0, "0.0s"),
            (4_240, "4.2s"),
            (59_999, "59.9s"),
            (192_000, "3m12s"),
            (3_720_000, "1h02m"),
        ] {
            assert_eq!(time(Duration::from_millis(millis)), text);
        }
    }
}
