//! Metrics under gitlab-runner's names, so that existing dashboards work, and ours for phases.
//!
//! Counters change once per request or job, never per byte of output. What can be read off (running jobs, slots) is read
//! when somebody asks.
//!
//! Compat: gitlab-runner commands/builds_helper.go, network/api_requests_collector.go, helpers/prometheus.

mod families;
mod process;
mod progress;
mod render;
mod server;

pub(crate) use progress::summary;
pub use progress::{PhaseTime, Progress};
pub use server::{ListenAddressError, listen_address, serve};

use crate::config::{Config, ReloadCounts, RunnerConfig};
use crate::disk::Disk;
use crate::manager::Shutdown;
use crate::manager::slots::Slots;
use pipglr_protocol::update::FailureReason;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

static ERRORS: AtomicU64 = AtomicU64::new(0);
static WARNINGS: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts a line of the operator's log.
pub fn count_log_line(is_error: bool) {
    let counter = if is_error { &ERRORS } else { &WARNINGS };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts a panic that ended a job.
pub(crate) fn count_panic() {
    PANICS.fetch_add(1, Ordering::Relaxed);
}

/// Label names and values, in the order they are shown.
type Labels = Vec<(&'static str, String)>;

/// All metrics of a process.
#[derive(Debug, Default)]
pub struct Metrics {
    tables: Mutex<Tables>,
    /// How often the configuration was read.
    pub reloads: Arc<ReloadCounts>,
}

#[derive(Debug, Default)]
struct Tables {
    counters: BTreeMap<(&'static str, Labels), u64>,
    gauges: BTreeMap<(&'static str, Labels), f64>,
    histograms: BTreeMap<(&'static str, Labels), Histogram>,
    jobs: BTreeMap<u64, RunningJob>,
    next: u64,
    view: Option<View>,
}

#[derive(Debug, Clone)]
struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

/// What can be read off a manager.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) slots: Slots,
    pub(crate) configs: watch::Receiver<Arc<Config>>,
    pub(crate) system_id: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) disk: Option<Disk>,
}

#[derive(Debug, Clone)]
struct RunningJob {
    url: String,
    runner: Labels,
    began: Instant,
    progress: Progress,
}

/// Keeps a job among the running ones.
#[derive(Debug)]
pub(crate) struct JobGuard {
    metrics: Arc<Metrics>,
    key: u64,
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        self.metrics.tables().jobs.remove(&self.key);
    }
}

/// `runner`, `runner_name`, `system_id`.
fn runner_labels(runner: &RunnerConfig, system_id: &str) -> Labels {
    vec![
        ("runner", runner.token.short()),
        ("runner_name", runner.name.clone()),
        ("system_id", system_id.to_owned()),
    ]
}

/// A job that ended.
#[derive(Debug)]
pub(crate) struct EndedJob<'a> {
    pub(crate) duration: Duration,
    pub(crate) failure: Option<&'a FailureReason>,
    pub(crate) phases: &'a [PhaseTime],
    /// `FF_EXPORT_HIGH_CARDINALITY_METRICS`
    pub(crate) exports_stages: bool,
}

impl Metrics {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What gauges are read off from now on.
    pub(crate) fn watch(&self, view: View) {
        self.tables().view = Some(view);
    }

    /// The state of the process; `starting` before there is a manager.
    fn process_state(&self) -> &'static str {
        let tables = self.tables();
        tables
            .view
            .as_ref()
            .map_or("starting", |view| view.shutdown.process_state())
    }

    fn count(&self, name: &'static str, labels: Labels) {
        *self.tables().counters.entry((name, labels)).or_default() += 1;
    }

    fn observe(&self, name: &'static str, labels: Labels, value: f64) {
        let bounds = families::buckets(name);
        let mut tables = self.tables();
        let histogram = tables.histograms.entry((name, labels)).or_insert_with(|| Histogram {
            bounds,
            counts: vec![0; bounds.len()],
            sum: 0.0,
            count: 0,
        });
        for (count, _) in histogram
            .counts
            .iter_mut()
            .zip(bounds)
            .filter(|(_, bound)| value <= **bound)
        {
            *count += 1;
        }
        histogram.sum += value;
        histogram.count += 1;
    }

    /// A request for a job is about to be made.
    pub(crate) fn runner_fed(&self, runner: &RunnerConfig, system_id: &str) {
        self.count("gitlab_runner_worker_feeds_total", runner_labels(runner, system_id));
    }

    /// A runner was passed over at its turn because it rests.
    pub(crate) fn runner_not_fed(&self, runner: &RunnerConfig, system_id: &str) {
        let labels = runner_labels(runner, system_id);
        self.count("gitlab_runner_worker_feed_failures_total", labels);
    }

    /// Counters of configured runners are shown before there is anything to count.
    fn show_runners(&self) {
        let mut tables = self.tables();
        let Some(view) = tables.view.clone() else {
            return;
        };
        for runner in view.configs.borrow().runners.iter().filter(|r| !r.token.is_empty()) {
            let labels = runner_labels(runner, &view.system_id);
            for name in SHOWN_AT_ONCE {
                tables.counters.entry((name, labels.clone())).or_default();
            }
            for failure in ["job_failure", "no_free_executor", "other"] {
                let mut of_kind = vec![("failure_type", failure.to_owned())];
                of_kind.extend(labels.clone());
                let name = "gitlab_runner_worker_processing_failures_total";
                tables.counters.entry((name, of_kind)).or_default();
            }
        }
    }

    /// A runner was left alone because the coordinator refuses it.
    pub(crate) fn runner_unhealthy(&self, runner: &RunnerConfig, system_id: &str) {
        let labels = runner_labels(runner, system_id);
        self.count("gitlab_runner_worker_health_check_failures_total", labels);
    }

    /// A job begins; it counts as running until the guard is dropped.
    pub(crate) fn job_began(
        self: &Arc<Self>,
        runner: &RunnerConfig,
        system_id: &str,
        job: &pipglr_protocol::payload::JobPayload,
        progress: &Progress,
    ) -> JobGuard {
        let labels = runner_labels(runner, system_id);
        let executor = ("executor", "docker".to_owned());
        self.count("gitlab_runner_jobs_total", labels.clone());
        self.count(
            "gitlab_runner_job_execution_mode_total",
            vec![("mode", MODE.to_owned()), executor],
        );
        let mut queue = labels.clone();
        queue.push((
            "project_jobs_running",
            job.job_info.project_jobs_running_on_instance_runners_count.clone(),
        ));
        let seconds = job.job_info.time_in_queue_seconds;
        self.observe("gitlab_runner_job_queue_duration_seconds", queue, seconds);
        let mut tables = self.tables();
        for (name, value) in [
            ("gitlab_runner_job_queue_size", job.job_info.queue_size),
            ("gitlab_runner_job_queue_depth", job.job_info.queue_depth),
        ] {
            tables.gauges.insert((name, labels.clone()), gauge(value));
        }
        let key = tables.next;
        tables.next += 1;
        let running = RunningJob {
            url: job_url(runner, job),
            runner: labels,
            began: Instant::now(),
            progress: progress.clone(),
        };
        tables.jobs.insert(key, running);
        drop(tables);
        JobGuard {
            metrics: self.clone(),
            key,
        }
    }

    /// A job ended.
    pub(crate) fn job_ended(&self, runner: &RunnerConfig, system_id: &str, ended: &EndedJob<'_>) {
        let labels = runner_labels(runner, system_id);
        if let Some(reason) = ended.failure {
            let failed = vec![
                labels[0].clone(),
                labels[1].clone(),
                ("failure_reason", reason.to_string()),
                ("mode", MODE.to_owned()),
            ];
            self.count("gitlab_runner_failed_jobs_total", failed);
            let mut processing = vec![("failure_type", "job_failure".to_owned())];
            processing.extend(labels.clone());
            self.count("gitlab_runner_worker_processing_failures_total", processing);
        }
        for phase in ended.phases {
            let mut of_phase = labels.clone();
            of_phase.push(("phase", phase.phase.clone()));
            let seconds = phase.duration.as_secs_f64();
            self.observe("pipglr_job_phase_seconds", of_phase, seconds);
            if ended.exports_stages {
                let mut of_stage = labels.clone();
                of_stage.push(("stage", phase.phase.clone()));
                self.observe("gitlab_runner_job_stage_duration_seconds", of_stage, seconds);
            }
        }
        let mut of_job = labels;
        of_job.push(("mode", MODE.to_owned()));
        self.observe(
            "gitlab_runner_job_duration_seconds",
            of_job,
            ended.duration.as_secs_f64(),
        );
    }
}

const SHOWN_AT_ONCE: [&str; 2] = [
    "gitlab_runner_worker_feeds_total",
    "gitlab_runner_worker_feed_failures_total",
];

/// Where a person looks at the job.
///
/// Compat: gitlab-runner common/spec `JobURL`.
fn job_url(runner: &RunnerConfig, job: &pipglr_protocol::payload::JobPayload) -> String {
    let parts = [runner.url.as_str(), &job.job_info.project_full_path, "-/jobs"];
    let parts = parts.map(|part| part.trim_matches('/'));
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}/{}", parts.join("/"), job.id.0)
}

/// Queues are far shorter than the numbers that no longer fit exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn gauge(value: i64) -> f64 {
    value as f64
}

/// Scripts are run as such; there is no step-runner.
const MODE: &str = "traditional";

/// Counts the calls of one runner.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) runner: String,
    pub(crate) system_id: String,
}

impl Calls {
    /// A call came back with this status, or with none.
    pub(crate) fn answered(&self, method: &str, path: &str, status: Option<u16>, took: Duration, attempts: u32) {
        let method = method.to_lowercase();
        let Some(endpoint) = families::endpoint(&method, path) else {
            return;
        };
        let labels = |status: (&'static str, String)| {
            vec![
                ("runner", self.runner.clone()),
                ("system_id", self.system_id.clone()),
                ("endpoint", endpoint.to_owned()),
                status,
                ("method", method.clone()),
            ]
        };
        let code = status.map_or_else(|| "-1".to_owned(), |s| s.to_string());
        self.metrics
            .count("gitlab_runner_api_request_statuses_total", labels(("status", code)));
        let class = status.map_or_else(|| "unknown".to_owned(), |s| format!("{}xx", s / 100));
        let of_class = labels(("status_class", class));
        self.metrics.observe(
            "gitlab_runner_api_request_duration_seconds",
            of_class,
            took.as_secs_f64(),
        );
        for _ in 0..attempts {
            let labels = vec![("path", families::anonymous(path)), ("method", method.clone())];
            self.metrics.count("gitlab_runner_api_request_retries_total", labels);
        }
    }
}

#[cfg(test)]
mod tests;
