//! What variables and config.toml make of a job's life: limits, attempts, flags, notices.

use crate::support::Bench;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Endpoint, JobBuilder};
use pipglr_testkit::podman::{ALPINE, Act};
use serde_json::json;
use std::time::Duration;

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["make"])
}

#[tokio::test]
async fn a_job_that_cannot_be_planned_still_says_who_refused_it() {
    let bench = Bench::start().await;
    let ran = bench.run(job(101).with("/steps", json!([]))).await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has("Running with VERSION\n  on bench fake0runn, system ID: ");
    bench.assert_clean();
}

#[tokio::test]
async fn limits_of_scripts_reach_their_plan_and_their_warnings_the_log() {
    // (script limit, after_script limit, seconds in the plan, warnings)
    let malformed = "WARNING: Ignoring malformed RUNNER_SCRIPT_TIMEOUT timeout: soon\n";
    let relative = "WARNING: Ignoring relative RUNNER_AFTER_SCRIPT_TIMEOUT timeout: -1m\n";
    let long =
        "WARNING: RUNNER_AFTER_SCRIPT_TIMEOUT timeout: 2h is longer than the job may take, 1h0m0s is the limit\n";
    for (script, after, seconds, warning) in [
        ("", "", (json!(null), 300), ""),
        ("10m", "1m30s", (json!(600), 90), ""),
        ("0", "0", (json!(null), 300), ""),
        ("soon", "", (json!(null), 300), malformed),
        ("", "-1m", (json!(null), 300), relative),
        ("", "2h", (json!(null), 3600), long),
    ] {
        let bench = Bench::start().await;
        let payload = job(102)
            .variable("RUNNER_SCRIPT_TIMEOUT", script)
            .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", after);
        let ran = bench.run(payload).await;
        ran.assert_ending("success", "", 0);
        let plan = bench.podman.plan("-build");
        let planned = (
            plan["script_timeout"].clone(),
            plan["after_script_timeout"].as_u64().unwrap(),
        );
        assert_eq!(planned, seconds, "{script:?} {after:?}");
        ran.assert_log_has(warning);
        assert_eq!(ran.log().matches("WARNING").count(), usize::from(!warning.is_empty()));
    }
}

#[tokio::test]
async fn the_phase_a_job_ran_out_of_time_in_is_named() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::out("working\n"), Act::Hang]);
    let ran = bench.run(job(103).timeout(1)).await;
    ran.assert_ending("failed", "job_execution_timeout", 0);
    ran.assert_log_has(
        "WARNING: step_script could not run to completion because the timeout was exceeded. For more control over job \
         and script timeouts see: ",
    );
}

#[tokio::test]
async fn preparation_and_sources_have_limits_of_their_own() {
    let mut bench = Bench::start().await;
    bench.runner.prepare_timeout = Some(Duration::from_secs(1));
    let gate = Gate::closed();
    bench.podman.hold_pulls(&gate);
    let ran = bench.run(job(104)).await;
    ran.assert_ending("failed", "job_execution_timeout", 0);
    ran.assert_log_has("ERROR: Job failed: prepare timeout: exceeded timeout of 1s\n");
    gate.open();
    bench.podman.emptied().await;

    let mut bench = Bench::start().await;
    bench.runner.get_sources_timeout = Some(Duration::from_secs(1));
    bench
        .podman
        .on_stage("get_sources", [Act::out("Fetching\n"), Act::Hang]);
    let payload = JobBuilder::new(105)
        .script(&["x"])
        .after_script(&["y"])
        .artifacts(&["out"], "always");
    let ran = bench.run(payload).await;
    ran.assert_ending("failed", "job_execution_timeout", 0);
    ran.assert_log_has("ERROR: Job failed: get sources timeout: exceeded timeout of 1s\n");
    let record = bench.podman.record();
    assert!(!record.has_begun("after_script") && !record.has_begun("upload_artifacts_on_failure"));
    bench.assert_clean();
}

#[tokio::test]
async fn a_limit_of_config_toml_beyond_the_jobs_time_is_none() {
    let mut bench = Bench::start().await;
    bench.runner.prepare_timeout = Some(Duration::from_secs(7200));
    let ran = bench.run(job(106)).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has(
        "WARNING: prepare_timeout timeout: 2h0m0s is longer than the job may take, 1h0m0s is the limit\n",
    );
}

#[tokio::test]
async fn a_container_that_was_removed_is_started_again_as_often_as_the_job_wants() {
    let gone = "was removed by somebody else\n";
    for (attempts, vanishes, succeeds, removals) in [("", 1, false, 0), ("2", 1, true, 1), ("3", 9, false, 3)] {
        for stage in ["step_script", "get_sources"] {
            let bench = Bench::start().await;
            bench
                .podman
                .on_stage(stage, [Act::out("busy\n"), Act::Vanish { times: vanishes }]);
            let payload = JobBuilder::new(107)
                .script(&["x"])
                .variable("EXECUTOR_JOB_SECTION_ATTEMPTS", attempts);
            let ran = bench.run(payload).await;
            let what = format!("{attempts:?} {stage}\n{}", ran.log());
            let ending = if succeeds {
                ("success", "")
            } else {
                ("failed", "runner_system_failure")
            };
            assert_eq!((ran.ending().0.as_str(), ran.ending().1.as_str()), ending, "{what}");
            assert_eq!(ran.log().ends_with(gone), !succeeds, "{what}");
            let told = ran.log().matches(" not found or removed. Will retry...\n").count();
            assert_eq!(told, removals, "{what}");
            assert_eq!(
                ran.log().contains("ERROR: Execution attempts exceeded\n"),
                !succeeds && removals > 0,
                "{what}"
            );
            if succeeds {
                ran.assert_log_has(&format!("Retrying {stage}\n"));
            }
            bench.assert_clean();
        }
    }
}

#[tokio::test]
async fn steps_that_succeeded_are_not_run_again_in_a_new_container() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::out("only once\n")]);
    bench
        .podman
        .on_stage("step_release", [Act::Vanish { times: 1 }, Act::out("released\n")]);
    let payload = job(108)
        .step("release", &["release"], "on_success", false)
        .after_script(&["x"])
        .variable("EXECUTOR_JOB_SECTION_ATTEMPTS", "2");
    let ran = bench.run(payload).await;
    ran.assert_ending("success", "", 0);
    assert_eq!(ran.log().matches("only once\n").count(), 1, "{}", ran.log());
    ran.assert_log_has("released\n");
    bench.assert_clean();
}

#[tokio::test]
async fn a_stopped_jobs_objects_are_removed_once() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::out("working\n"), Act::Hang]);
    bench.run(job(109).timeout(1)).await;
    let removals = bench
        .podman
        .record()
        .calls
        .iter()
        .filter(|c| c.line().starts_with("DELETE ") && c.path.ends_with("-build"))
        .count();
    assert_eq!(removals, 1);
    bench.assert_clean();
}

#[tokio::test]
async fn flags_reach_the_job_and_its_plan() {
    let bench = Bench::start().await;
    let mut payload = JobBuilder::new(110)
        .script(&["x"])
        .variable("FF_USE_DIRECT_DOWNLOAD", "false")
        .variable("FF_CONCRETE", "1");
    payload = payload.with(
        "/dependencies",
        json!([{"id": 1, "token": "t", "name": "before", "artifacts_file": {"filename": "a.zip", "size": 1}}]),
    );
    let ran = bench.run(payload).await;
    ran.assert_log_has("  feature flags: FF_USE_DIRECT_DOWNLOAD:false, FF_TIMESTAMPS:false, FF_CONCRETE:true\n");
    ran.assert_log_has("WARNING: FF_CONCRETE has no effect here: there is no step-runner\n");
    let plan = bench.podman.plan("-build");
    let environment = plan["environment"].as_array().unwrap();
    for (key, value) in [
        ("FF_USE_DIRECT_DOWNLOAD", "false"),
        ("FF_SCRIPT_SECTIONS", "false"),
        ("FF_CONCRETE", "true"),
    ] {
        assert!(environment.contains(&json!([key, value])), "{key}");
    }
    let helper = bench.podman.plan("-helper-prepare").to_string();
    assert!(helper.contains("\"direct\":false"), "{helper}");
}

#[tokio::test]
async fn tokens_of_gitlab_are_masked_unless_switched_off() {
    for (flag, expected) in [
        ("", "<glpat-[MASKED]> <gldt-[MASKED]> <own-[MASKED]>\n"),
        ("false", "<glpat-[MASKED]> <gldt-cd> <own-[MASKED]>\n"),
    ] {
        let bench = Bench::start().await;
        bench
            .podman
            .on_stage("step_script", [Act::out("<glpat-ab> <gldt-cd> <own-ef>\n")]);
        let payload = job(111)
            .variable("FF_MASK_ALL_DEFAULT_TOKENS", flag)
            .with("/features/token_mask_prefixes", json!(["own-"]));
        bench.run(payload).await.assert_log_has(expected);
    }
}

#[tokio::test]
async fn debug_trace_is_on_for_scripts_unless_the_operator_forbids_it() {
    for (value, disabled, xtrace, warning) in [
        ("", false, false, ""),
        ("true", false, true, ""),
        ("1", false, true, ""),
        (
            "true",
            true,
            false,
            "WARNING: CI_DEBUG_TRACE: usage is disabled on this Runner\n",
        ),
        (
            "blammo",
            false,
            false,
            "WARNING: CI_DEBUG_TRACE: expected bool got \"blammo\", using default value: false\n",
        ),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.debug_trace_disabled = disabled;
        let payload = job(112).variable("CI_DEBUG_TRACE", value);
        let accepted = bench.accepted(payload.clone().into());
        assert_eq!(pipglr_runner::job::plan::debug_trace(&accepted), xtrace, "{value:?}");
        let ran = bench.run(payload).await;
        ran.assert_ending("success", "", 0);
        ran.assert_log_has(warning);
        let script = bench.podman.plan("-build")["steps"][0]["script"].to_string();
        assert_eq!(script.contains("set -o xtrace"), xtrace, "{value:?}");
    }
}

#[tokio::test]
async fn scripts_of_config_toml_surround_the_jobs_own_and_release_commands_are_expanded() {
    let mut bench = Bench::start().await;
    bench.runner.pre_build_script = "echo pre".to_owned();
    bench.runner.post_build_script = "echo post".to_owned();
    let payload = JobBuilder::new(113)
        .without_sources()
        .variable("TAG", "v1")
        .script(&["echo $TAG"])
        .step("release", &["release-cli --tag $TAG"], "on_success", false)
        .after_script(&["echo $TAG"]);
    bench.run(payload).await.assert_ending("success", "", 0);
    let plan = bench.podman.plan("-build");
    let script = |at: &str| plan.pointer(at).unwrap().as_str().unwrap().to_owned();
    let first = script("/steps/0/script");
    let places: Vec<_> = ["echo pre", "echo $TAG", "echo post"]
        .map(|part| first.find(part))
        .into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{first}");
    assert!(script("/steps/1/script").contains("release-cli --tag v1"));
    let after = script("/after_script/script");
    assert!(after.contains("Running after script...") && after.contains("echo $TAG") && !after.contains("echo p"));
    let stages: Vec<_> = bench.podman.record().container("-build").unwrap().stages.clone();
    assert_eq!(
        stages,
        ["step_script", "step_release", "after_script", "cleanup_file_variables"]
    );
}

#[tokio::test]
async fn a_policy_is_named_before_the_first_script() {
    for (allowed, exceptions, sentence) in [
        (
            json!(null),
            json!(null),
            "Variables of the policy take precedence over variables of the project.\n",
        ),
        (
            json!(true),
            json!([]),
            "Variables of the project may override those of the policy.\n",
        ),
        (
            json!(true),
            json!(["A"]),
            "Variables of the project may override those of the policy, except A.\n",
        ),
        (
            json!(false),
            json!([]),
            "Variables of the project may not override those of the policy.\n",
        ),
        (
            json!(false),
            json!(["A", "B"]),
            "Variables of the project may not override those of the policy, except A, B.\n",
        ),
    ] {
        let bench = Bench::start().await;
        let mut payload: serde_json::Value = job(114).into();
        payload["policy_options"] = json!({
            "execution_policy_job": true, "policy_name": "scan",
            "policy_variables_override_allowed": allowed, "policy_variables_override_exceptions": exceptions,
        });
        let ran = bench.run_payload(payload).await;
        ran.assert_log_has(&format!(
            "Job triggered by policy \"scan\".\n{sentence}Executing \"step_script\""
        ));
    }
    let bench = Bench::start().await;
    let ran = bench.run(job(115)).await;
    assert!(!ran.log().contains("policy \""), "{}", ran.log());
}

#[tokio::test]
async fn a_silent_job_hears_of_its_cancellation() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::Hang]);
    bench.podman.on_stage("after_script", [Act::out("tidy\n")]);
    let payload = bench.gitlab.assign(job(116).after_script(&["x"]));
    let mut world = bench.world(116);
    world.pace.shortest_silence = Duration::from_millis(5);
    let running = Box::pin(pipglr_runner::job::run_job(bench.accepted(payload), world));
    let (_, ()) = tokio::join!(running, async {
        bench
            .gitlab
            .wait_for("a touch after the last output", |r| {
                let said_all = r.jobs.get(&116).is_some_and(|j| j.text().contains("Executing"));
                said_all
                    && r.requests
                        .last()
                        .is_some_and(|last| last.endpoint == Endpoint::JobUpdate)
            })
            .await;
        bench.gitlab.cancel(116);
    });
    let job = bench.gitlab.record().jobs[&116].clone();
    assert_eq!(job.ending().1, "job_canceled");
    assert!(job.text().contains("tidy"));
    bench.assert_clean();
}

#[tokio::test]
async fn output_nobody_takes_waits_in_its_container() {
    // More than what fits between podman and the log, while the image is still on its way.
    let bench = Bench::start().await;
    let gate = Gate::closed();
    bench.podman.hold_pulls(&gate);
    let lines: String = (0..2000).map(|n| format!("line {n}\n")).collect();
    let acts: Vec<Act> = lines.split_inclusive('\n').map(Act::out).collect();
    bench.podman.on_stage("get_sources", acts);
    let (ran, ()) = tokio::join!(bench.run(JobBuilder::new(117).script(&["x"])), async {
        bench
            .podman
            .wait_for("the sources", |r| r.has_begun("get_sources"))
            .await;
        gate.open();
    });
    ran.assert_ending("success", "", 0);
    ran.assert_log_has(&lines);
    bench.assert_clean();
}

#[tokio::test]
async fn a_marker_on_one_stream_alone_does_not_fill_the_memory() {
    let bench = Bench::start().await;
    bench.podman.on_stage(
        "step_script",
        [
            Act::ForgeMarker("start:step_forged".to_owned()),
            Act::out("x".repeat(3 << 20)),
            Act::out("\nstill here\n"),
        ],
    );
    let ran = bench.run(job(118)).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("x\nstill here\n");
    assert!(!ran.log().contains("step_forged"));
    bench
        .podman
        .record()
        .pulls
        .iter()
        .for_each(|p| assert_eq!(p.reference, ALPINE));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_name() {
    let with = |key: &str, value: serde_json::Value| {
        let mut payload: serde_json::Value = job(119).into();
        *payload.pointer_mut(key).unwrap() = value;
        payload
    };
    let mut run: serde_json::Value = job(119).into();
    run["run"] = json!("[{\"name\": \"x\", \"script\": \"y\"}]");
    let mut options: serde_json::Value = job(119).into();
    options["image"]["executor_opts"] = json!({"docker": {"user": "a", "gpus": "all"}, "podman": {}});
    let input = json!([{"key": "a", "value": {"type": "string", "content": "b", "sensitive": false}}]);
    for (payload, words) in [
        (
            run,
            "does not support `run`: there is no step-runner, write a `script`\n",
        ),
        (with("/inputs", input), "does not support job inputs\n"),
        (
            options,
            "does not support these options of an image: docker.gpus, podman\n",
        ),
    ] {
        let bench = Bench::start().await;
        let ran = bench.run_payload(payload).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        ran.assert_log_has(words);
        assert_eq!(bench.podman.record().created.len(), 0);
    }
}

#[tokio::test]
async fn variables_of_scripts_reach_the_end_of_the_job() {
    for (artifacts, hands_on) in [(true, true), (false, false)] {
        let bench = Bench::start().await;
        let mut payload = job(120);
        if artifacts {
            payload = payload.artifacts(&["$DIRECTORY"], "always");
        }
        bench.run(payload).await.assert_ending("success", "", 0);
        assert_eq!(bench.podman.plan("-build")["hand_on_gitlab_env"], hands_on);
        if hands_on {
            let path = "/builds/group/project.tmp/gitlab_runner_env";
            assert_eq!(bench.podman.plan("-helper-finish")["gitlab_env"], path);
        }
    }
}

#[tokio::test]
async fn a_full_log_does_not_change_the_outcome() {
    for (script, ending) in [
        (vec![Act::out("x".repeat(5000))], ("success", "", 0)),
        (
            vec![Act::out("x".repeat(5000)), Act::Exit(1)],
            ("failed", "script_failure", 1),
        ),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.output_limit = 1;
        bench.podman.on_stage("step_script", script);
        let ran = bench.run(job(121)).await;
        ran.assert_ending(ending.0, ending.1, ending.2);
        ran.assert_log_has("Job's log exceeded limit of 1024 bytes.\n");
    }
}

#[tokio::test]
async fn variables_the_runner_sets_and_who_may_override_them() {
    let bench = Bench::start().await;
    // (key, value, whether a job's own value wins)
    let arch = format!("linux/{}", pipglr_runner::go_architecture());
    let temp = "/builds/group/project.tmp";
    let gitlab_env = format!("{temp}/gitlab_runner_env");
    let ca_file = format!("{temp}/CI_SERVER_TLS_CA_FILE");
    let set = [
        ("CI_RUNNER_SHORT_TOKEN", "fake0runn", true),
        ("CI_BUILDS_DIR", "/builds", true),
        ("CI_PROJECT_DIR", "/builds/group/project", true),
        ("CI_CONCURRENT_ID", "0", true),
        ("CI_CONCURRENT_PROJECT_ID", "0", true),
        ("CI_SERVER", "yes", true),
        ("CI_JOB_STATUS", "running", true),
        ("CI_JOB_TIMEOUT", "3600", true),
        ("CI_JOB_IMAGE", "alpine:3.20", true),
        ("CI_SERVER_TLS_CA_FILE", &ca_file, true),
        ("CI_DISPOSABLE_ENVIRONMENT", "true", false),
        ("CI_RUNNER_VERSION", pipglr_runner::VERSION, false),
        ("CI_RUNNER_REVISION", pipglr_runner::REVISION, false),
        ("CI_RUNNER_EXECUTABLE_ARCH", &arch, false),
        ("RUNNER_TEMP_PROJECT_DIR", temp, false),
        ("GITLAB_ENV", &gitlab_env, false),
    ];
    for overridden in [false, true] {
        let mut builder = job(122);
        if overridden {
            builder = set.iter().fold(builder, |b, (key, ..)| b.variable(key, "of the job"));
        }
        let mut accepted = bench.accepted(builder.into());
        accepted.ca_certificates = Some("PEM".to_owned());
        let plan = pipglr_runner::job::plan::lower(&accepted).unwrap();
        for (key, value, job_wins) in set {
            let found = plan.build.environment.iter().rev().find(|(k, _)| k == key);
            let expected = if overridden && job_wins { "of the job" } else { value };
            assert_eq!(found.map(|(_, v)| v.expose()), Some(expected), "{key}");
        }
        let ca = plan.build.files.iter().find(|file| file.path == ca_file);
        let content = (!overridden).then_some("PEM");
        assert_eq!(ca.map(|file| file.content.expose()), content);
    }
    let without = pipglr_runner::job::plan::lower(&bench.accepted(job(123).image("").into()));
    assert!(without.is_err(), "no image at all");
}
