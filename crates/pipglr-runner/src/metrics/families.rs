//! Names, types, help and buckets.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Type {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const JOB: &[f64] = &[
    30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 10800.0, 18000.0, 36000.0,
];
const QUEUE: &[f64] = &[1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0];
const CALL: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const PHASE: &[f64] = &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// All families, in the order they are shown.
#[rustfmt::skip]
pub(super) const FAMILIES: [(&str, Type, &str); 44] = [
    ("gitlab_runner_version_info", Type::Gauge, "Which program this is."),
    ("gitlab_runner_process_state_info", Type::Gauge, "The state of the process."),
    ("gitlab_runner_errors_total", Type::Counter, "Lines of the log by level."),
    ("gitlab_runner_concurrent", Type::Gauge, "The key `concurrent`."),
    ("gitlab_runner_limit", Type::Gauge, "The key `limit`."),
    ("gitlab_runner_configuration_loaded_total", Type::Counter, "Times the configuration was read."),
    ("gitlab_runner_configuration_loading_error_total", Type::Counter, "Times it could not be used."),
    ("gitlab_runner_configuration_saved_total", Type::Counter, "Times the configuration was written."),
    ("gitlab_runner_configuration_saving_error_total", Type::Counter, "Times it could not be written."),
    ("gitlab_runner_worker_slot_operations_total", Type::Counter, "Slots that came and went with `concurrent`."),
    ("gitlab_runner_worker_slots_number", Type::Gauge, "Jobs that may run at the same time."),
    ("gitlab_runner_worker_feeds_total", Type::Counter, "Requests for jobs that were begun."),
    ("gitlab_runner_worker_feed_failures_total", Type::Counter, "Turns at which a refused runner was passed over."),
    ("gitlab_runner_worker_health_check_failures_total", Type::Counter, "Times a refused runner was left alone."),
    ("gitlab_runner_worker_processing_failures_total", Type::Counter, "Jobs and requests that failed."),
    ("gitlab_runner_request_concurrency", Type::Gauge, "Requests for jobs on their way."),
    ("gitlab_runner_request_concurrency_exceeded_total", Type::Counter, "Turns at which as many requests were on their way as may be."),
    ("gitlab_runner_request_concurrency_hard_limit", Type::Gauge, "The key `request_concurrency`."),
    ("gitlab_runner_request_concurrency_adaptive_limit", Type::Gauge, "Requests that are worth it at the moment."),
    ("gitlab_runner_request_concurrency_used_limit", Type::Gauge, "Requests that may be made at the same time."),
    ("gitlab_runner_jobs", Type::Gauge, "Running jobs."),
    ("gitlab_runner_jobs_total", Type::Counter, "Jobs that were taken."),
    ("gitlab_runner_job_execution_mode_total", Type::Counter, "Jobs by the way they are run."),
    ("gitlab_runner_failed_jobs_total", Type::Counter, "Jobs that failed."),
    ("gitlab_runner_job_duration_seconds", Type::Histogram, "How long jobs took."),
    ("gitlab_runner_job_queue_duration_seconds", Type::Histogram, "How long jobs waited for a runner."),
    ("gitlab_runner_job_queue_size", Type::Gauge, "Jobs waiting, as told with the last job."),
    ("gitlab_runner_job_queue_depth", Type::Gauge, "Depth of the queue, as told with the last job."),
    ("gitlab_runner_job_stage_duration_seconds", Type::Histogram, "How long the stages of jobs took."),
    ("pipglr_job_phase_seconds", Type::Histogram, "How long the phases of jobs took."),
    ("gitlab_runner_api_request_statuses_total", Type::Counter, "Answers of the coordinator."),
    ("gitlab_runner_api_request_duration_seconds", Type::Histogram, "How long the coordinator took."),
    ("gitlab_runner_api_request_retries_total", Type::Counter, "Attempts of calls."),
    ("pipglr_disk_size_bytes", Type::Gauge, "Size of the runner's disks."),
    ("pipglr_disk_free_bytes", Type::Gauge, "Free space on them."),
    ("pipglr_disk_has_room", Type::Gauge, "Whether jobs are asked for: 0 while free space is below `min_free`."),
    ("pipglr_disk_ballast_pieces", Type::Gauge, "Pieces of the reserve for a full disk that are there, of 4."),
    ("pipglr_disk_removed_total", Type::Counter, "Things removed because no job used them."),
    ("process_cpu_seconds_total", Type::Counter, "CPU time of this process."),
    ("process_open_fds", Type::Gauge, "Open file descriptors."),
    ("process_max_fds", Type::Gauge, "Most open file descriptors."),
    ("process_resident_memory_bytes", Type::Gauge, "Resident memory."),
    ("process_virtual_memory_bytes", Type::Gauge, "Virtual memory."),
    ("process_start_time_seconds", Type::Gauge, "When this process began."),
];

/// The buckets of a histogram.
pub(super) fn buckets(name: &str) -> &'static [f64] {
    match name {
        "gitlab_runner_job_duration_seconds" => JOB,
        "gitlab_runner_job_queue_duration_seconds" | "gitlab_runner_job_stage_duration_seconds" => QUEUE,
        "gitlab_runner_api_request_duration_seconds" => CALL,
        _ => PHASE,
    }
}

/// What gitlab-runner calls a call of the API; the others are not counted.
pub(super) fn endpoint(method: &str, path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    Some(match (method, segments.as_slice()) {
        ("post", ["jobs", "request"]) => "request_job",
        ("put", ["jobs", _]) => "update_job",
        ("patch", ["jobs", _, "trace"]) => "patch_trace",
        ("post", ["runners", .., "reset_authentication_token"]) => "reset_token",
        _ => return None,
    })
}

/// A path without numbers.
pub(super) fn anonymous(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let segments: Vec<&str> = path.split('/').map(|s| if is_number(s) { "{id}" } else { s }).collect();
    format!("/api/v4/{}", segments.join("/"))
}
