//! The payload of a job: what its keys mean, which change nothing, and where variables in it are expanded.

use crate::support::Bench;
use pipglr_runner::job::plan::{self, JobPlan};
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::{Act, Image};
use serde_json::{Value, json};

fn job() -> JobBuilder {
    JobBuilder::new(701).without_sources().script(&["x"])
}

/// Sets a key of an object of the payload, whether it is there or not.
fn put(payload: &mut Value, object: &str, key: &str, value: Value) {
    payload.pointer_mut(object).unwrap()[key] = value;
}

/// Keys a job may carry without anything being done about them: it runs as without them.
#[tokio::test]
async fn keys_without_effect_do_not_matter() {
    let tracing = json!({"trace_id": "1", "otel_endpoints": [{"url": "http://otel.test", "auth": null}]});
    let suspend = json!({"suspend_on_success": true, "runtime_environment_key": "1/x"});
    let ports = json!([{"number": 80, "protocol": "http", "name": "web"}]);
    for (name, object, key, value) in [
        ("key nobody knows", "", "of_the_future", json!({"a": [1, 2]})),
        ("suspend_options", "", "suspend_options", suspend),
        ("features.tracing", "/features", "tracing", tracing),
        ("feature nobody knows", "/features", "of_the_future", json!(true)),
        ("image:ports", "/image", "ports", ports.clone()),
        ("image:command", "/image", "command", json!(["false"])),
        ("services:ports", "/services/0", "ports", ports),
        ("runner_info.uuid", "/runner_info", "uuid", json!("0")),
        ("job_info.queue_size", "/job_info", "queue_size", json!(7)),
        ("job_info.queue_depth", "/job_info", "queue_depth", json!(7)),
        ("job_info.user_id", "/job_info", "user_id", json!(7)),
        ("job_info.scoped_user_id", "/job_info", "scoped_user_id", json!(7)),
        ("job_info.namespace_id", "/job_info", "namespace_id", json!(7)),
        ("job_info.instance_id", "/job_info", "instance_id", json!("i")),
        ("credentials of another type", "/credentials/0", "type", json!("ssh")),
        ("step keys", "/steps/0", "when", json!("never")),
    ] {
        let bench = Bench::start().await;
        bench.podman.pullable("docker.io/library/redis:7", Image::default());
        let builder = job().service("redis:7", json!({})).registry("docker.io", "me", "p4ss");
        let mut payload: Value = builder.into();
        put(&mut payload, object, key, value);
        let ran = bench.run_payload(payload).await;
        ran.assert_ending("success", "", 0);
        assert!(!ran.log().contains("WARNING"), "{name}: {}", ran.log());
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_job_has_two_hours_unless_the_coordinator_says_otherwise() {
    let bench = Bench::start().await;
    for (given, seconds) in [
        (json!(60), "60"),
        (json!(0), "7200"),
        (json!(-1), "7200"),
        (Value::Null, "7200"),
    ] {
        let accepted = bench.accepted(job().with("/runner_info/timeout", given.clone()).into());
        let plan = plan::lower(&accepted).unwrap();
        let of_job = plan.build.environment.iter().rev().find(|(k, _)| k == "CI_JOB_TIMEOUT");
        assert_eq!(of_job.unwrap().1.expose(), seconds, "{given}");
    }
}

/// The text of a part of a plan.
type Part = fn(&JobPlan) -> String;

fn of_service(plan: &JobPlan) -> &plan::ServicePlan {
    &plan.services.list[0]
}

/// Where `$NAME` is expanded, and where it is not. `NAME` is `value`.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn variables_are_expanded_where_gitlab_runner_expands_them() {
    let docker = |key: &str| json!({"docker": {key: "$NAME"}});
    let cases: [(&str, &str, &str, Value, Part, &str); 12] = [
        (
            "expanded: image",
            "/image",
            "name",
            json!("$NAME:1"),
            |p| p.image.name.clone(),
            "value:1",
        ),
        (
            "expanded: image:docker:user",
            "/image",
            "executor_opts",
            docker("user"),
            |p| p.image.user.clone().unwrap(),
            "value",
        ),
        (
            "not expanded: image:entrypoint",
            "/image",
            "entrypoint",
            json!(["$NAME"]),
            |p| p.image.entrypoint.join(" "),
            "$NAME",
        ),
        (
            "expanded: services:name",
            "/services/0",
            "name",
            json!("$NAME:2"),
            |p| of_service(p).image.name.clone(),
            "value:2",
        ),
        (
            "expanded: services:alias",
            "/services/0",
            "alias",
            json!("db-$NAME"),
            |p| of_service(p).aliases.join(" "),
            "redis db-value",
        ),
        (
            "expanded: services:docker:user",
            "/services/0",
            "executor_opts",
            docker("user"),
            |p| of_service(p).image.user.clone().unwrap(),
            "value",
        ),
        (
            "not expanded: services:entrypoint",
            "/services/0",
            "entrypoint",
            json!(["$NAME"]),
            |p| of_service(p).image.entrypoint.join(" "),
            "$NAME",
        ),
        (
            "not expanded: services:command",
            "/services/0",
            "command",
            json!(["$NAME"]),
            |p| of_service(p).command.join(" "),
            "$NAME",
        ),
        (
            "expanded: services:variables",
            "/services/0",
            "variables",
            json!([{"key": "A", "value": "<$NAME>", "public": true}]),
            |p| of_service(p).environment["A"].value.expose().to_owned(),
            "<value>",
        ),
        (
            "not expanded: raw variables",
            "/variables/0",
            "raw",
            json!(true),
            |p| of_build(p, "GREETING"),
            "hello $NAME",
        ),
        (
            "expanded: variables",
            "/variables/0",
            "public",
            json!(true),
            |p| of_build(p, "GREETING"),
            "hello value",
        ),
        (
            "expanded: file variables to their path",
            "/variables/1",
            "file",
            json!(true),
            |p| of_build(p, "GREETING"),
            "hello /builds/group/project.tmp/NAME",
        ),
    ];
    let bench = Bench::start().await;
    for (name, object, key, value, part, expected) in cases {
        let variables = json!([{"key": "GREETING", "value": "hello $NAME"}, {"key": "NAME", "value": "value"}]);
        let builder = job().service("redis:7", json!({})).with("/variables", variables);
        let mut payload: Value = builder.into();
        put(&mut payload, object, key, value);
        let plan = plan::lower(&bench.accepted(payload)).unwrap();
        assert_eq!(part(&plan), expected, "{name}");
    }
}

fn of_build(plan: &JobPlan, key: &str) -> String {
    let found = plan.build.environment.iter().rev().find(|(k, _)| k == key);
    found.unwrap().1.expose().to_owned()
}

/// Scripts are skipped, after_script as well; what is kept on failure is kept.
#[tokio::test]
async fn a_job_whose_sources_fail_keeps_what_failed_jobs_keep() {
    let bench = Bench::start().await;
    bench.podman.on_stage("get_sources", [Act::Exit(128)]);
    let payload = JobBuilder::new(702)
        .script(&["x"])
        .after_script(&["y"])
        .artifacts(&["a"], "on_failure")
        .with("/cache", json!([{"key": "k", "paths": ["p"], "when": "always"}]));
    bench.run(payload).await.assert_ending("failed", "script_failure", 128);
    let record = bench.podman.record();
    for (stage, begun) in [
        ("step_script", false),
        ("after_script", false),
        ("archive_cache_on_failure", true),
        ("upload_artifacts_on_failure", true),
    ] {
        assert_eq!(record.has_begun(stage), begun, "{stage}");
    }
    bench.assert_clean();
}

#[tokio::test]
async fn the_jobs_network_is_named_if_a_flag_asks_for_it() {
    for (flag, mode, named) in [("true", "", true), ("true", "bridge", false), ("false", "", false)] {
        let mut bench = Bench::start().await;
        bench.runner.docker.network_mode = mode.to_owned();
        let ran = bench.run(job().variable("FF_NETWORK_PER_BUILD", flag)).await;
        ran.assert_ending("success", "", 0);
        let plan = bench.podman.plan("-build");
        let found = plan["environment"]
            .as_array()
            .unwrap()
            .iter()
            .find(|pair| pair[0] == "CI_BUILD_NETWORK_NAME");
        let network = bench
            .podman
            .record()
            .networks_created
            .first()
            .map(|n| n["name"].clone());
        assert_eq!(
            found.map(|pair| pair[1].clone()),
            network.filter(|_| named),
            "{flag} {mode}"
        );
    }
}
