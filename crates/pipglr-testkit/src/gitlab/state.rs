//! Everything the fake remembers.

use super::record::{JobRecord, Record, Request};
use super::{Answer, Endpoint, REGISTRATION_TOKEN, RUNNER_TOKEN, Rule};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
pub(super) struct State {
    pub(super) url: String,
    /// Token to number.
    pub(super) runners: BTreeMap<String, u64>,
    pub(super) registration_tokens: Vec<String>,
    pub(super) queue: VecDeque<Handout>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) rules: Vec<Rule>,
    pub(super) trace_interval: Option<u64>,
    pub(super) last_update: Option<String>,
    pub(super) archives: BTreeMap<u64, (String, Vec<u8>)>,
    pub(super) redirect_downloads: bool,
    pub(super) record: Record,
}

/// A job that waits for a runner.
#[derive(Debug)]
pub(super) struct Handout {
    pub(super) runner: Option<String>,
    pub(super) payload: Value,
}

/// A job that was handed out.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) token: String,
    pub(super) runner: Option<String>,
    pub(super) remote: RemoteState,
    /// Whether it still counts as one of the runner's.
    pub(super) active: bool,
}

/// A job's state in GitLab's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemoteState {
    /// Handed out, not acknowledged.
    Pending,
    Running,
    Canceling,
    Canceled,
    Success,
    Failed,
}

impl RemoteState {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Whether GitLab still takes something about the job.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::Canceling)
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            url: String::new(),
            runners: BTreeMap::from([(RUNNER_TOKEN.to_owned(), 7)]),
            registration_tokens: vec![REGISTRATION_TOKEN.to_owned()],
            queue: VecDeque::new(),
            jobs: BTreeMap::new(),
            rules: Vec::new(),
            trace_interval: None,
            last_update: None,
            archives: BTreeMap::new(),
            redirect_downloads: false,
            record: Record::default(),
        }
    }

    /// Adds a runner and gives its number.
    pub(super) fn add_runner(&mut self, token: &str) -> u64 {
        let id = self.runners.values().max().map_or(7, |id| id + 1);
        *self.runners.entry(token.to_owned()).or_insert(id)
    }

    pub(super) fn violation(&mut self, text: String) {
        self.record.violations.push(text);
    }

    /// The answer a test wrote down for this request, if any.
    pub(super) fn take_answer(&mut self, request: &Request) -> Option<Answer> {
        let rule = self
            .rules
            .iter_mut()
            .find(|r| r.left > 0 && r.endpoint == request.endpoint && (r.matches)(request))?;
        rule.left -= 1;
        Some(rule.answer.clone())
    }

    /// The answer written down for this endpoint, if it is to lose the connection before anything is read.
    pub(super) fn take_drop_unread(&mut self, endpoint: Endpoint) -> bool {
        let rule = self.rules.iter_mut().find(|r| r.left > 0 && r.endpoint == endpoint);
        let drops = rule.filter(|r| r.answer.fault == Some(super::answer::Fault::Unread));
        drops.is_some_and(|rule| {
            rule.left -= 1;
            true
        })
    }

    /// The next job for a runner.
    pub(super) fn next_job(&mut self, runner: &str) -> Option<Value> {
        let at = self
            .queue
            .iter()
            .position(|h| h.runner.as_deref().is_none_or(|r| r == runner))?;
        let payload = self.queue.remove(at)?.payload;
        self.hand_out(&payload, Some(runner));
        Some(payload)
    }

    pub(super) fn hand_out(&mut self, payload: &Value, runner: Option<&str>) {
        let id = payload["id"].as_u64().expect("a job has a number");
        let token = payload["token"].as_str().expect("a job has a token").to_owned();
        let job = Job {
            token,
            runner: runner.map(str::to_owned),
            remote: RemoteState::Pending,
            active: true,
        };
        self.jobs.insert(id, job);
        self.record.jobs.insert(id, JobRecord::default());
        self.count_active();
    }

    fn count_active(&mut self) {
        let mut each: BTreeMap<String, usize> = BTreeMap::new();
        for job in self.jobs.values().filter(|j| j.active) {
            *each.entry(job.runner.clone().unwrap_or_default()).or_default() += 1;
        }
        self.record.most_jobs = self.record.most_jobs.max(each.values().sum());
        for (runner, count) in each {
            let most = self.record.most_jobs_of.entry(runner).or_default();
            *most = count.max(*most);
        }
    }

    /// The job of a payload.
    pub(super) fn job_of(&mut self, payload: &Value) -> &mut Job {
        let id = payload["id"].as_u64().expect("a job has a number");
        self.jobs.get_mut(&id).expect("it was handed out")
    }
}
