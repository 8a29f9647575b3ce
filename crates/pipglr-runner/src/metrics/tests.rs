use super::{Calls, EndedJob, Metrics, PhaseTime, Progress};
use crate::config::RunnerConfig;
use pipglr_protocol::Secret;
use pipglr_protocol::update::FailureReason;
use std::sync::Arc;
use std::time::Duration;

fn runner() -> RunnerConfig {
    RunnerConfig {
        name: "the \"first\"".to_owned(),
        token: Secret::new("glrt-abcdefghijkl"),
        url: "https://gitlab.example.com/".to_owned(),
        ..RunnerConfig::default()
    }
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
}

#[test]
fn a_job_is_counted_under_the_names_dashboards_know() {
    let metrics = Arc::new(Metrics::default());
    let payload = serde_json::json!({
        "id": 7, "token": "t", "job_info": {"time_in_queue_seconds": 2.5, "project_jobs_running_on_instance_runners_count": "+Inf",
            "project_full_path": "group/project", "queue_size": 4, "queue_depth": 1},
    });
    let payload = serde_json::from_value(payload).unwrap();
    let progress = Progress::default();
    let guard = metrics.job_began(&runner(), "s_1", &payload, &progress);
    progress.begin("step_script");
    let who = "runner=\"abcdefghi\",runner_name=\"the \\\"first\\\"\",system_id=\"s_1\"";
    let text = metrics.render();
    assert_has(
        &text,
        &format!("gitlab_runner_jobs{{{who},state=\"running\",stage=\"step_script\",executor_stage=\"docker_run\"}} 1"),
    );
    assert_has(&text, &format!("gitlab_runner_jobs_total{{{who}}} 1"));
    assert_has(
        &text,
        "gitlab_runner_job_execution_mode_total{mode=\"traditional\",executor=\"docker\"} 1",
    );
    let queue = format!("{who},project_jobs_running=\"+Inf\"");
    assert_has(
        &text,
        &format!("gitlab_runner_job_queue_duration_seconds_bucket{{{queue},le=\"1\"}} 0"),
    );
    assert_has(
        &text,
        &format!("gitlab_runner_job_queue_duration_seconds_bucket{{{queue},le=\"3\"}} 1"),
    );
    assert_has(&text, &format!("gitlab_runner_job_queue_size{{{who}}} 4"));
    assert_has(&text, &format!("gitlab_runner_job_queue_depth{{{who}}} 1"));
    assert_has(&text, "# TYPE gitlab_runner_jobs gauge");
    let listed = metrics.render_jobs();
    assert!(
        listed.starts_with("url=https://gitlab.example.com/group/project/-/jobs/7 state=running stage=step_script executor_stage=docker_run duration="),
        "{listed}"
    );
    drop(guard);
    assert!(!metrics.render().contains("state=\"running\""));
    assert_eq!(metrics.render_jobs(), "");
}

#[test]
fn an_ended_job_is_counted_with_its_phases() {
    let metrics = Arc::new(Metrics::default());
    let who = "runner=\"abcdefghi\",runner_name=\"the \\\"first\\\"\",system_id=\"s_1\"";
    let phases = [PhaseTime {
        phase: "step_script".to_owned(),
        duration: Duration::from_millis(250),
    }];
    let ended = EndedJob {
        duration: Duration::from_secs(40),
        failure: Some(&FailureReason::ScriptFailure),
        phases: &phases,
        exports_stages: false,
    };
    metrics.job_ended(&runner(), "s_1", &ended);
    let text = metrics.render();
    assert!(!text.contains("gitlab_runner_job_stage_duration_seconds"), "{text}");
    assert_has(
        &text,
        "gitlab_runner_failed_jobs_total{runner=\"abcdefghi\",runner_name=\"the \\\"first\\\"\",failure_reason=\"script_failure\",mode=\"traditional\"} 1",
    );
    assert_has(
        &text,
        &format!("pipglr_job_phase_seconds_sum{{{who},phase=\"step_script\"}} 0.25"),
    );
    assert_has(
        &text,
        &format!("gitlab_runner_job_duration_seconds_bucket{{{who},mode=\"traditional\",le=\"30\"}} 0"),
    );
    assert_has(
        &text,
        &format!("gitlab_runner_job_duration_seconds_bucket{{{who},mode=\"traditional\",le=\"+Inf\"}} 1"),
    );
    assert_has(
        &text,
        &format!("gitlab_runner_worker_processing_failures_total{{failure_type=\"job_failure\",{who}}} 1"),
    );
}

#[test]
fn calls_are_counted_by_endpoint() {
    let metrics = Arc::new(Metrics::default());
    let calls = Calls {
        metrics: metrics.clone(),
        runner: "abc".to_owned(),
        system_id: "s_1".to_owned(),
    };
    let took = Duration::from_millis(300);
    calls.answered("POST", "jobs/request", Some(204), took, 1);
    calls.answered("PATCH", "jobs/7/trace?debug_trace=false", None, took, 1);
    calls.answered("PUT", "jobs/7", Some(503), took, 5);
    calls.answered("POST", "runners/verify", Some(200), took, 1);
    let text = metrics.render();
    let who = "runner=\"abc\",system_id=\"s_1\"";
    for (endpoint, status, method) in [
        ("request_job", "204", "post"),
        ("patch_trace", "-1", "patch"),
        ("update_job", "503", "put"),
    ] {
        assert_has(
            &text,
            &format!(
                "gitlab_runner_api_request_statuses_total{{{who},endpoint=\"{endpoint}\",status=\"{status}\",method=\"{method}\"}} 1"
            ),
        );
    }
    assert_has(
        &text,
        &format!(
            "gitlab_runner_api_request_duration_seconds_bucket{{{who},endpoint=\"update_job\",status_class=\"5xx\",method=\"put\",le=\"0.25\"}} 0"
        ),
    );
    assert_has(
        &text,
        "gitlab_runner_api_request_retries_total{path=\"/api/v4/jobs/{id}\",method=\"put\"} 5",
    );
    assert!(!text.contains("verify"), "{text}");
}

#[test]
fn the_process_and_its_version_are_shown() {
    let text = Metrics::default().render();
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    assert!(
        text.contains(&format!(
            "gitlab_runner_version_info{{name=\"pipglr\",version=\"{}\"",
            crate::VERSION
        )),
        "{text}"
    );
}

#[test]
fn stages_are_exported_where_the_flag_is_on() {
    let metrics = Arc::new(Metrics::default());
    let phases = [PhaseTime {
        phase: "get_sources".to_owned(),
        duration: Duration::from_secs(2),
    }];
    let ended = EndedJob {
        duration: Duration::from_secs(40),
        failure: None,
        phases: &phases,
        exports_stages: true,
    };
    metrics.job_ended(&runner(), "s_1", &ended);
    let text = metrics.render();
    for (bound, count) in [("1", 0), ("3", 1), ("3600", 1)] {
        let line = format!(
            "gitlab_runner_job_stage_duration_seconds_bucket{{runner=\"abcdefghi\",runner_name=\"the \\\"first\\\"\",system_id=\"s_1\",stage=\"get_sources\",le=\"{bound}\"}} {count}"
        );
        assert_has(&text, &line);
    }
}

#[test]
fn every_level_of_the_log_is_there() {
    let text = Metrics::default().render();
    for level in ["panic", "fatal", "error", "warning"] {
        assert!(
            text.contains(&format!("gitlab_runner_errors_total{{level=\"{level}\"}} ")),
            "{text}"
        );
    }
    for name in ["loaded", "loading_error", "saved", "saving_error"] {
        assert_has(&text, &format!("gitlab_runner_configuration_{name}_total 0"));
    }
}

/// Every name of gitlab-runner's, and whether it is served. The names are those of docs/compatibility.md.
#[rustfmt::skip]
const NAMES: [(&str, bool); 53] = [
    ("gitlab_runner_jobs", true),
    ("gitlab_runner_jobs_total", true),
    ("gitlab_runner_job_execution_mode_total", true),
    ("gitlab_runner_job_duration_seconds", true),
    ("gitlab_runner_job_queue_duration_seconds", true),
    ("gitlab_runner_job_queue_size", true),
    ("gitlab_runner_job_queue_depth", true),
    ("gitlab_runner_acceptable_job_queuing_duration_exceeded_total", false),
    ("gitlab_runner_job_stage_duration_seconds", true),
    ("gitlab_runner_request_concurrency", true),
    ("gitlab_runner_request_concurrency_exceeded_total", true),
    ("gitlab_runner_request_concurrency_hard_limit", true),
    ("gitlab_runner_request_concurrency_adaptive_limit", true),
    ("gitlab_runner_request_concurrency_used_limit", true),
    ("gitlab_runner_concurrent", true),
    ("gitlab_runner_limit", true),
    ("gitlab_runner_worker_slots_number", true),
    ("gitlab_runner_worker_slot_operations_total", true),
    ("gitlab_runner_worker_feeds_total", true),
    ("gitlab_runner_worker_feed_failures_total", true),
    ("gitlab_runner_worker_processing_failures_total", true),
    ("gitlab_runner_worker_health_check_failures_total", true),
    ("gitlab_runner_failed_jobs_total", true),
    ("gitlab_runner_errors_total", true),
    ("gitlab_runner_api_request_statuses_total", true),
    ("gitlab_runner_api_request_duration_seconds", true),
    ("gitlab_runner_api_request_retries_total", true),
    ("gitlab_runner_configuration_loaded_total", true),
    ("gitlab_runner_configuration_loading_error_total", true),
    ("gitlab_runner_configuration_saved_total", true),
    ("gitlab_runner_configuration_saving_error_total", true),
    ("gitlab_runner_process_state_info", true),
    ("gitlab_runner_version_info", true),
    ("gitlab_runner_job_inputs_interpolations_total", false),
    ("gitlab_runner_job_inputs_interpolation_failures_total", false),
    ("gitlab_runner_job_router_discovery_cache_events_total", false),
    ("gitlab_runner_job_router_fallbacks_total", false),
    ("gitlab_runner_job_router_get_job_duration_seconds", false),
    ("gitlab_runner_job_router_circuit_breaker_state", false),
    ("gitlab_runner_job_router_circuit_breaker_trips_total", false),
    ("gitlab_runner_cache_s3_assume_role_requests_in_flight", false),
    ("gitlab_runner_cache_s3_assume_role_wait_seconds", false),
    ("gitlab_runner_cache_s3_assume_role_duration_seconds", false),
    ("gitlab_runner_cache_s3_assume_role_cache_hits_total", false),
    ("gitlab_runner_cache_s3_assume_role_cache_misses_total", false),
    ("gitlab_runner_cache_s3_assume_role_cached_credentials", false),
    ("gitlab_runner_cache_s3_assume_role_failures_total", false),
    ("process_cpu_seconds_total", true),
    ("process_open_fds", true),
    ("process_max_fds", true),
    ("process_resident_memory_bytes", true),
    ("process_virtual_memory_bytes", true),
    ("process_start_time_seconds", true),
];

#[test]
fn names_are_served_as_the_documents_say() {
    let served: Vec<&str> = super::families::FAMILIES.iter().map(|(name, ..)| *name).collect();
    for (name, expected) in NAMES {
        assert_eq!(served.contains(&name), expected, "{name}");
    }
    let ours = served
        .iter()
        .filter(|name| !NAMES.iter().any(|(known, _)| known == *name));
    assert_eq!(
        ours.copied().collect::<Vec<_>>(),
        [
            "pipglr_job_phase_seconds",
            "pipglr_disk_size_bytes",
            "pipglr_disk_free_bytes",
            "pipglr_disk_has_room",
            "pipglr_disk_ballast_pieces",
            "pipglr_disk_removed_total",
        ]
    );
}
