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
        "id": 7, "token": "t", "job_info": {"time_in_queue_seconds": 2.5, "project_jobs_running_on_instance_runners_count": "+Inf"},
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
    assert_has(&text, "# TYPE gitlab_runner_jobs gauge");
    let listed = metrics.render_jobs();
    assert!(
        listed.starts_with("url=https://gitlab.example.com/-/jobs/7 state=running stage=step_script executor_stage=docker_run duration="),
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
    };
    metrics.job_ended(&runner(), "s_1", &ended);
    let text = metrics.render();
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
