//! Which image a job gets, how it is asked for, and as whom.

use crate::support::{Bench, Ran};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pipglr_protocol::Secret;
use pipglr_runner::job;
use pipglr_runner::job::plan::RegistryAuth;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::{ALPINE, Image};
use serde_json::{Value, json};

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["x"])
}

fn docker_options(builder: JobBuilder, options: &Value) -> Value {
    let mut payload: Value = builder.into();
    payload["image"]["executor_opts"] = json!({"docker": options});
    payload
}

#[tokio::test]
async fn lists_of_allowed_images_are_compared_after_expansion() {
    for (patterns, allowed) in [
        (&["alpine:*"][..], true),
        (&["debian:*"], false),
        (&["**", "!alpine:*"], false),
        (&["**", "!*/kali*"], true),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.docker.allowed_images = patterns.iter().map(|p| (*p).to_owned()).collect();
        let payload = job(301).image("$NAME").variable("NAME", "alpine:3.20");
        let ran = bench.run(payload).await;
        if allowed {
            ran.assert_ending("success", "", 0);
        } else {
            ran.assert_ending("failed", "runner_configuration_error", 0);
            ran.assert_log_has(
                "disallowed image: the \"alpine:3.20\" image is not present on list of allowed images (",
            );
            assert_eq!(bench.podman.record().pulls.len(), 0);
        }
        bench.assert_clean();
    }
}

#[tokio::test]
async fn the_runners_own_image_is_always_allowed() {
    let mut bench = Bench::start().await;
    bench.runner.docker.image = "alpine:3.20".to_owned();
    bench.runner.docker.allowed_images = vec!["debian:*".to_owned()];
    bench.run(job(302).image("")).await.assert_ending("success", "", 0);
}

#[tokio::test]
async fn a_policy_given_twice_is_a_second_try() {
    let mut bench = Bench::start().await;
    bench.runner.docker.pull_policy = vec!["always".to_owned(), "always".to_owned()];
    bench
        .podman
        .pull_fails(ALPINE, 1, "writing blob: no space left on device");
    let ran = bench.run(job(303)).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("Attempt #2: Trying \"always\" pull policy\n");
    assert_eq!(bench.podman.record().pulls.len(), 2);
}

#[tokio::test]
async fn a_policy_that_is_not_allowed_names_who_asked_for_it() {
    // (config.toml, allowed, of the job, words)
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
        &'static str,
    );
    let cases: [Case; 4] = [
        (
            &[],
            &["if-not-present"],
            &[],
            "([always]) defined in Runner config (default) is not one of the allowed_pull_policies ([if-not-present])",
        ),
        (
            &["never"],
            &["always"],
            &[],
            "([never]) defined in Runner config is not one of the allowed_pull_policies ([always])",
        ),
        (
            &["if-not-present"],
            &[],
            &["always"],
            "([always]) defined in GitLab pipeline config is not one of the allowed_pull_policies ([if-not-present])",
        ),
        (
            &["always"],
            &[],
            &["sometimes"],
            "unsupported pull_policy \"sometimes\" in the job",
        ),
    ];
    for (configured, allowed, wanted, words) in cases {
        let mut bench = Bench::start().await;
        bench.runner.docker.pull_policy = configured.iter().map(|p| (*p).to_owned()).collect();
        bench.runner.docker.allowed_pull_policies = allowed.iter().map(|p| (*p).to_owned()).collect();
        let ran = bench.run(job(304).pull_policy(wanted)).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        ran.assert_log_has(words);
        assert_eq!(bench.podman.record().created.len(), 0);
    }
}

#[tokio::test]
async fn platform_user_and_entrypoint_are_the_jobs_choice() {
    let bench = Bench::start().await;
    let arm = Image {
        architecture: "arm64".to_owned(),
        ..Image::default()
    };
    bench.podman.pullable(ALPINE, arm);
    let options = json!({"platform": "$ARCH", "user": 1000});
    let payload = docker_options(
        job(305)
            .variable("ARCH", "arm64")
            .with("/image/entrypoint", json!(["/entry", "-x"])),
        &options,
    );
    let ran = bench.run_payload(payload).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("Pulling docker image alpine:3.20 for platform linux/arm64 ...\n");
    let pull = bench.podman.record().pulls[0].clone();
    let query = |key: &str| {
        let found = pull.query.iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v.clone()).unwrap_or_default()
    };
    assert_eq!((query("OS"), query("Arch")), ("linux".to_owned(), "arm64".to_owned()));
    let plan = bench.podman.plan("-build");
    assert_eq!(
        (&plan["user"], &plan["entrypoint"]),
        (&json!("1000"), &json!(["/entry", "-x"]))
    );

    let bench = Bench::start().await;
    let ran = bench
        .run_payload(docker_options(job(306), &json!({"platform": "amiga"})))
        .await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has("invalid platform \"amiga\": neither an operating system nor an architecture\n");
}

#[tokio::test]
async fn users_must_be_allowed_and_the_runners_own_wins() {
    // (user of config.toml, allowed users, the job's, the plan's; none: refused)
    for (configured, allowed, wanted, planned) in [
        ("", &[][..], "app", Some("app")),
        ("", &["app", "www"][..], "www", Some("www")),
        ("", &["app"][..], "root", None),
        ("runner", &[][..], "root", None),
        ("runner", &["app"][..], "app", Some("runner")),
        ("runner", &[][..], "", Some("runner")),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.docker.user = configured.to_owned();
        bench.runner.docker.allowed_users = allowed.iter().map(|u| (*u).to_owned()).collect();
        let ran = bench
            .run_payload(docker_options(job(307), &json!({"user": wanted})))
            .await;
        match planned {
            Some(user) => {
                ran.assert_ending("success", "", 0);
                assert_eq!(
                    bench.podman.plan("-build")["user"],
                    user,
                    "{configured} {allowed:?} {wanted}"
                );
            }
            None => ran.assert_log_has(&format!("user {wanted:?} is not an allowed user")),
        }
    }
}

#[tokio::test]
async fn entrypoints_can_be_refused_or_cleared() {
    for (disabled, wanted, planned, warns) in [
        (true, json!(["/bin/sh", "-c", "echo mine"]), json!([]), true),
        (true, json!([]), json!([]), false),
        (false, json!([""]), json!([""]), false),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.docker.disable_entrypoint_overwrite = disabled;
        let ran = bench.run(job(308).with("/image/entrypoint", wanted)).await;
        ran.assert_ending("success", "", 0);
        assert_eq!(bench.podman.plan("-build")["entrypoint"], planned);
        assert_eq!(ran.log().contains("WARNING: Entrypoint override disabled\n"), warns);
    }
}

/// Runs a job of `registry.test/group/image:1` with what the operator wrote down.
async fn pulled(bench: &Bench, payload: JobBuilder, operator: &[(&str, &str)]) -> Ran {
    bench.podman.pullable("registry.test/group/image:1", Image::default());
    let payload = bench.gitlab.assign(payload.image("registry.test/group/image:1"));
    let id = payload["id"].as_u64().unwrap();
    let mut accepted = bench.accepted(payload);
    let auth = |&(origin, content): &(&str, &str)| RegistryAuth {
        origin: origin.to_owned(),
        content: Secret::new(content),
    };
    accepted.registry_auth = operator.iter().map(auth).collect();
    let record = Box::pin(job::run_job(accepted, bench.world(id))).await;
    let at_gitlab = bench.gitlab.record().jobs[&id].clone();
    Ran { record, at_gitlab }
}

#[tokio::test]
async fn credentials_are_taken_from_the_first_source_that_has_some() {
    let auths =
        |user: &str| format!(r#"{{"auths": {{"registry.test": {{"username": "{user}", "password": "p4ss"}}}}}}"#);
    let (of_job, of_file) = (auths("of-job"), auths("of-file"));
    // (DOCKER_AUTH_CONFIG, the runner's file, whether the payload has some, who is used)
    for (variable, file, payload, origin) in [
        (of_job.as_str(), of_file.as_str(), true, "$DOCKER_AUTH_CONFIG"),
        ("", of_file.as_str(), true, "/home/runner/.docker/config.json"),
        ("", "", true, "job payload (GitLab Registry)"),
        ("", "", false, ""),
    ] {
        let bench = Bench::start().await;
        let mut builder = job(309).masked_variable("DOCKER_AUTH_CONFIG", variable);
        if payload {
            builder = builder.registry("https://registry.test", "of-payload", "p4ss");
        }
        let ran = pulled(&bench, builder, &[("/home/runner/.docker/config.json", file)]).await;
        ran.assert_ending("success", "", 0);
        let pull = bench.podman.record().pulls[0].clone();
        let server = STANDARD_NO_PAD.decode(pull.auth.replace('-', "+").replace('_', "/").trim_end_matches('='));
        let server: Value = serde_json::from_slice(&server.unwrap()).unwrap_or_default();
        let servers: Vec<String> = server.as_object().into_iter().flat_map(|o| o.keys().cloned()).collect();
        let expected = if origin.is_empty() {
            vec![]
        } else {
            vec!["registry.test".to_owned()]
        };
        assert_eq!(servers, expected, "for that registry alone");
        let line = format!("Authenticating with credentials from {origin}\n");
        assert_eq!(ran.log().contains(&line), !origin.is_empty(), "{}", ran.log());
        assert!(!ran.log().contains("p4ss"));
    }
}

#[tokio::test]
async fn a_credential_helper_a_job_names_is_not_executed() {
    let bench = Bench::start().await;
    let config = r#"{"credsStore": "evil", "credHelpers": {"registry.test": "evil"}}"#;
    let builder = job(310)
        .variable("DOCKER_AUTH_CONFIG", config)
        .registry("registry.test", "of-payload", "p4ss");
    let ran = pulled(&bench, builder, &[]).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("WARNING: credential helper \"evil\" of $DOCKER_AUTH_CONFIG is not executed; ");
    ran.assert_log_has("Authenticating with credentials from job payload (GitLab Registry)\n");
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_left_out() {
    let bench = Bench::start().await;
    let builder = job(311).variable("DOCKER_AUTH_CONFIG", "{\"auths\": s3cret");
    let ran = pulled(&bench, builder, &[]).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("WARNING: credentials from $DOCKER_AUTH_CONFIG are not used: it is no docker config.json\n");
    assert!(!ran.log().contains("s3cret"));
}

#[tokio::test]
async fn a_blocked_registry_is_the_configurations_fault() {
    let bench = Bench::start().await;
    let words = "registry registry.test is blocked in /etc/containers/registries.conf.d/10-own.conf";
    bench.podman.pull_fails(ALPINE, 9, words);
    let ran = bench.run(job(312)).await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has(words);
    assert_eq!(bench.podman.record().pulls.len(), 1);
}
