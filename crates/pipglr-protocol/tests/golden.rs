//! Our types against shapes written down from outside; see `golden/README.md`.
#![expect(clippy::unwrap_used, reason = "a test")]

use pipglr_protocol::Secret;
use pipglr_protocol::info::{Features, Info};
use pipglr_protocol::job_request::{JobRequest, SessionInfo};
use pipglr_protocol::payload::{JobId, JobPayload};
use pipglr_protocol::registration::{RegisterRequest, VerifyRequest};
use pipglr_protocol::update::{FailureReason, JobUpdate, Output, UpdateState};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Compares with a golden file; a golden `features` of `{}` stands for "all of them, all off".
#[track_caller]
fn check(sent: &impl serde::Serialize, name: &str) {
    let mut sent = serde_json::to_value(sent).unwrap();
    let expected = golden(name);
    if expected["info"]["features"] == serde_json::json!({}) {
        assert_eq!(
            sent["info"]["features"],
            serde_json::to_value(Features::default()).unwrap()
        );
        sent["info"]["features"] = serde_json::json!({});
    }
    assert_eq!(sent, expected);
}

#[test]
fn a_payload_is_read_whole() {
    let payload: JobPayload = serde_json::from_value(golden("payload.json")).unwrap();
    assert_eq!(
        (payload.id, payload.token.expose(), payload.allow_git_fetch),
        (JobId(11), "glcbt-64_abc", true)
    );
    assert_eq!(payload.job_info.project_jobs_running_on_instance_runners_count, "+Inf");
    assert_eq!((payload.git_info.depth, payload.git_info.protected), (20, Some(false)));
    let switches: Vec<_> = payload
        .variables
        .iter()
        .map(|v| (v.key.as_str(), v.public, v.masked, v.file, v.raw))
        .collect();
    assert_eq!(
        switches,
        [
            ("A", true, false, false, false),
            ("F", false, true, true, false),
            ("R", true, false, false, true)
        ]
    );
    assert_eq!(payload.steps[1].name, "after_script");
    assert_eq!(payload.image.executor_opts["docker"]["user"], 1000);
    assert_eq!(payload.services[0].variables[0].key, "P");
    assert_eq!(
        (payload.artifacts[0].untracked, payload.artifacts[0].exclude.as_slice()),
        (true, &["*.o".to_owned()][..])
    );
    assert_eq!(payload.cache[0].fallback_keys, ["f"]);
    assert_eq!(
        (
            payload.credentials[0].kind.as_str(),
            payload.credentials[0].url.as_str()
        ),
        ("registry", "registry.test:443")
    );
    assert_eq!(
        (payload.dependencies[0].id, payload.dependencies[0].artifacts_file.size),
        (JobId(9), 1234)
    );
    assert_eq!(payload.hooks[0].script, ["h"]);
}

#[test]
fn null_counts_as_absent() {
    let payload: JobPayload = serde_json::from_value(golden("payload-nulls.json")).unwrap();
    assert_eq!(payload.image, pipglr_protocol::payload::Image::default());
    assert_eq!(
        (
            payload.variables.len(),
            payload.steps[0].script.len(),
            payload.git_info.depth
        ),
        (0, 0, 0)
    );
}

#[test]
fn requests_are_written_as_gitlab_reads_them() {
    let info = Info {
        name: "n".into(),
        version: "1".into(),
        platform: "linux".into(),
        architecture: "amd64".into(),
        executor: "docker".into(),
        shell: "bash".into(),
        features: Features {
            variables: true,
            refspecs: true,
            two_phase_job_commit: true,
            ..Features::default()
        },
        ..Info::default()
    };
    let request = JobRequest {
        info,
        token: "glrt-x".into(),
        system_id: Some("s_0123456789ab".into()),
        last_update: Some("abc".into()),
        session: Some(SessionInfo {
            url: "https://runner.example.com:8093/session/0123".into(),
            certificate: "-----BEGIN CERTIFICATE-----\n".into(),
            authorization: "4567".into(),
        }),
    };
    check(&request, "job-request.json");
    let verify = VerifyRequest {
        info: Info::default(),
        token: "glrt-x".into(),
        system_id: Some("r_0123456789ab".into()),
    };
    check(&verify, "verify.json");
    let register = RegisterRequest {
        description: "d".into(),
        tag_list: "a,b".into(),
        run_untagged: true,
        locked: true,
        maximum_timeout: Some(600),
        token: "GR1348941x".into(),
        ..RegisterRequest::default()
    };
    check(&register, "register.json");
}

#[test]
fn updates_are_written_as_gitlab_reads_them() {
    let update = JobUpdate {
        info: Info::default(),
        token: Secret::new("t"),
        state: UpdateState::Failed,
        failure_reason: Some(FailureReason::ScriptFailure),
        checksum: Some("crc32:0000002a".into()),
        output: Output::of(42, 20480),
        exit_code: 1,
    };
    check(&update, "update-final.json");
    let running = JobUpdate {
        state: UpdateState::Running,
        failure_reason: None,
        checksum: None,
        output: Output::default(),
        exit_code: 0,
        ..update
    };
    check(&running, "update-running.json");
}
