//! What of artifacts is in a job's plan.

use crate::plan_sources::{ID, job};
use pipglr_protocol::payload::JobId;
use pipglr_runner::config::{RunnerConfig, parse_config};
use pipglr_runner::container_side::helper::{DownloadsPlan, Pauses, Phase, UploadsPlan};
use pipglr_runner::job::plan::{AcceptedJob, JobPlan, lower};
use pipglr_testkit::gitlab::JobBuilder;
use serde_json::{Value, json};
use std::sync::Arc;

fn with_payload(builder: JobBuilder, variables: &[(&str, &str)]) -> AcceptedJob {
    let builder = variables
        .iter()
        .fold(builder, |builder, (key, value)| builder.variable(key, value));
    job(&[], |job| {
        job.payload = Arc::new(serde_json::from_value(builder.into()).unwrap());
    })
}

fn plan(variables: &[(&str, &str)]) -> JobPlan {
    let builder = JobBuilder::new(ID).script(&["true"]).artifacts(&["file"], "always");
    lower(&with_payload(builder, variables)).unwrap()
}

fn uploads(phases: &[Phase]) -> Option<&UploadsPlan> {
    phases.iter().find_map(|phase| match phase {
        Phase::UploadArtifacts(plan) => Some(plan),
        _ => None,
    })
}

fn downloads(plan: &JobPlan) -> Option<&DownloadsPlan> {
    plan.prepare_phases.iter().find_map(|phase| match phase {
        Phase::DownloadArtifacts(plan) => Some(plan),
        _ => None,
    })
}

#[test]
fn uploads_have_limits_the_operator_can_change() {
    for (text, expected) in [
        ("", (3600, 600)),
        ("upload_timeout = \"2h\"\nresponse_header_timeout = \"90s\"", (7200, 90)),
        ("upload_timeout = \"0s\"\nresponse_header_timeout = \"0s\"", (3600, 600)),
    ] {
        let text = format!("[[runners]]\nurl = \"https://gitlab.test/\"\ntoken = \"t\"\n[runners.artifact]\n{text}\n");
        let runner: RunnerConfig = parse_config(&text, "config.toml").unwrap().config.runners.remove(0);
        let builder = JobBuilder::new(ID).script(&["true"]).artifacts(&["file"], "always");
        let mut job = with_payload(builder, &[]);
        job.runner = Arc::new(runner);
        let plan = lower(&job).unwrap();
        let uploads = uploads(&plan.uploads_on_success).unwrap();
        assert_eq!((uploads.timeout, uploads.response_header_timeout), expected, "{text}");
        assert_eq!(uploads.pauses, Pauses::SHORT);
    }
}

#[test]
fn entries_are_uploaded_for_the_outcome_they_name() {
    let entry = |name: &str, when: &str, what: Value| {
        let mut entry = json!({"name": name, "when": when});
        entry.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        entry
    };
    let builder = JobBuilder::new(ID).script(&["true"]).with(
        "/artifacts",
        json!([
            entry("usual", "", json!({"paths": ["a"]})),
            entry("good", "on_success", json!({"paths": ["a"]})),
            entry("bad", "on_failure", json!({"untracked": true})),
            entry("both", "always", json!({"exclude": ["a"]})),
            entry("empty", "always", json!({})),
        ]),
    );
    let plan = lower(&with_payload(builder, &[])).unwrap();
    let names = |phases: &[Phase]| -> Vec<String> {
        uploads(phases)
            .unwrap()
            .artifacts
            .iter()
            .map(|a| a.name.clone())
            .collect()
    };
    assert_eq!(names(&plan.uploads_on_success), ["usual", "good", "both"]);
    assert_eq!(names(&plan.uploads_on_failure), ["bad", "both"]);
}

#[test]
fn variables_without_effect_on_transfers_are_named() {
    for key in [
        "FASTZIP_ARCHIVER_CONCURRENCY",
        "FASTZIP_ARCHIVER_BUFFER_SIZE",
        "FASTZIP_EXTRACTOR_CONCURRENCY",
        "TRANSFER_METER_FREQUENCY",
    ] {
        let plan = plan(&[(key, "1")]);
        assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
        assert!(
            plan.warnings[0].starts_with(&format!("{key} has no effect: ")),
            "{:?}",
            plan.warnings
        );
    }
    assert_eq!(plan(&[]).warnings, Vec::<String>::new());
}

#[test]
fn levels_are_handed_on() {
    let plan = plan(&[("ARTIFACT_COMPRESSION_LEVEL", "slowest")]);
    assert_eq!(uploads(&plan.uploads_on_failure).unwrap().compression, "slowest");
}

#[test]
fn a_statement_names_the_project_without_credentials() {
    let plan = plan(&[
        ("RUNNER_GENERATE_ARTIFACTS_METADATA", "true"),
        ("CI_RUNNER_ID", "12"),
        ("MINE", "secret"),
    ]);
    let provenance = uploads(&plan.uploads_on_success).unwrap().provenance.clone().unwrap();
    assert_eq!(provenance.source, "http://gitlab.test/group/project");
    assert_eq!((provenance.job, provenance.runner_id.as_str()), (JobId(ID), "12"));
    assert_eq!(provenance.job_name, format!("job-{ID}"));
    assert!(provenance.parameters.contains(&"MINE".to_owned()));
    assert!(!serde_json::to_string(&provenance).unwrap().contains("secret"));
    assert!(
        uploads(&super::plan_artifacts::plan(&[]).uploads_on_success)
            .unwrap()
            .provenance
            .is_none()
    );
}

#[test]
fn dependencies_with_artifacts_are_fetched_in_their_order() {
    let dependency =
        |id: u64, file: Value| json!({"id": id, "name": format!("d{id}"), "token": "t", "artifacts_file": file});
    let some = || json!({"filename": "a.zip", "size": 1});
    let builder = JobBuilder::new(ID).script(&["true"]).with(
        "/dependencies",
        json!([dependency(9, some()), dependency(3, json!(null)), dependency(4, some())]),
    );
    let variables = [("FF_USE_DIRECT_DOWNLOAD", "false"), ("ARTIFACT_DOWNLOAD_ATTEMPTS", "3")];
    let plan = lower(&with_payload(builder, &variables)).unwrap();
    let downloads = downloads(&plan).unwrap();
    let ids: Vec<u64> = downloads.downloads.iter().map(|d| d.job.0).collect();
    assert_eq!(ids, [9, 4]);
    assert_eq!(downloads.staging_dir, "/builds/group/project.tmp");
    assert_eq!(
        (downloads.direct, downloads.attempts, downloads.pauses),
        (false, 3, Pauses::SECOND)
    );
}
