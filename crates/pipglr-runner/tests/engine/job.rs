//! One job from its acknowledgement to its last word, with a podman that plays its containers.

use crate::support::{Bench, SYSTEM_ID, anonymous, ending, is_reusable};
use pipglr_protocol::update::UpdateState;
use pipglr_runner::trace::sender::Delivery;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, JobBuilder, RUNNER_TOKEN};
use pipglr_testkit::podman::{ALPINE, Act, Image};
use serde_json::json;

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["echo hello"])
}

/// Every line is `<27 characters of time> <stream><flag><text>`; gives stream, flag and text.
fn without_times(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let (time, rest) = line.split_at(28);
            let digits = time.bytes().filter(u8::is_ascii_digit).count();
            assert_eq!((digits, &time[26..]), (20, "Z "), "a time: {time:?}");
            rest
        })
        .collect()
}

/// Section markers with their time taken out.
fn without_section_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("section_") {
        let start = at + rest[at..].find(':').unwrap() + 1;
        let end = start + rest[start..].find(':').unwrap();
        assert_eq!(end - start, 10, "seconds since 1970");
        out.push_str(&rest[..start]);
        out.push_str("TIME");
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The whole log of the job below, line by line.
fn expected_log(image_id: &str) -> String {
    let clear = "\x1b[0K";
    let reset = "\x1b[0;m";
    let runner = |text: &str| format!("00O {clear}{text}{reset}\n");
    let section = |name: &str, title: &str| {
        format!("00O section_start:TIME:{name}\r{clear}{clear}\x1b[36;1m{title}{reset}{reset}\n")
    };
    let marker = |name: &str| format!("00O section_end:TIME:{name}\r{clear}\n");
    let continued = |line: String| line.replacen("00O ", "00O+", 1);
    let end_and_start = |ended: &str, name: &str, title: &str| marker(ended) + &continued(section(name, title));
    [
        runner("Running with VERSION"),
        runner(&format!("  on bench fake0runn, system ID: {SYSTEM_ID}")),
        section("prepare_executor", "Preparing the \"docker\" executor"),
        runner("Using Docker executor with image alpine:3.20 ..."),
        runner("Using effective pull policy of [always] for container alpine:3.20"),
        runner("Pulling docker image alpine:3.20 ..."),
        runner(&format!(
            "Using docker image sha256:{image_id} for alpine:3.20 with digest docker.io/library/alpine@sha256:d1 ..."
        )),
        end_and_start("prepare_executor", "prepare_script", "Preparing environment"),
        runner("Running on runner-fake0runn-project-1-concurrent-0 via HOST..."),
        end_and_start("prepare_script", "get_sources", "Getting source from Git repository"),
        "01O Fetching changes...\n01E Checking out 1ecfd275\n".to_owned(),
        end_and_start(
            "get_sources",
            "step_script",
            "Executing \"step_script\" stage of the job script",
        ),
        "01O $ echo hello\n01O hello\n01E oops\n".to_owned(),
        end_and_start("step_script", "after_script", "Running after_script"),
        "01O bye\n".to_owned(),
        end_and_start(
            "after_script",
            "cleanup_file_variables",
            "Cleaning up project directory and file based variables",
        ),
        marker("cleanup_file_variables"),
        continued(format!("00O \x1b[32;1mJob succeeded{reset}\n")),
    ]
    .concat()
}

#[tokio::test]
async fn a_job_runs_from_its_header_to_its_last_line() {
    let mut bench = Bench::start().await;
    bench.runner.feature_flags.clear();
    bench.podman.on_stage(
        "get_sources",
        [Act::out("Fetching changes...\n"), Act::err("Checking out 1ecfd275\n")],
    );
    bench.podman.on_stage(
        "step_script",
        [Act::out("$ echo hello\n"), Act::out("hello\n"), Act::err("oops\n")],
    );
    bench.podman.on_stage("after_script", [Act::out("bye\n")]);
    let image = Image {
        repo_digests: vec!["docker.io/library/alpine@sha256:d1".to_owned()],
        ..Image::default()
    };
    bench.podman.pullable(ALPINE, image.clone());
    let payload = JobBuilder::new(11)
        .script(&["echo hello"])
        .after_script(&["echo bye"])
        .sections();
    let ran = bench.run(payload).await;
    ran.assert_ending("success", "", 0);
    let (state, reason) = (ran.record.state, ran.record.failure_reason);
    assert_eq!(
        (state, reason, ran.record.delivery),
        (Some(UpdateState::Success), None, Some(Delivery::Delivered))
    );
    let text = without_section_times(&anonymous(&without_times(&ran.at_gitlab.text())));
    assert_eq!(text, expected_log(&image.id));
    assert_eq!(bench.gitlab.record().calls_of(11)[0], "PUT running 200");
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_without_sources_needs_one_container() {
    let bench = Bench::start().await;
    bench.run(job(12)).await.assert_ending("success", "", 0);
    let created = bench.podman.record().created;
    assert_eq!(created.len(), 1);
    assert!(created[0].name.ends_with("-build"), "{}", created[0].name);
    bench.assert_clean();
}

#[tokio::test]
async fn the_scripts_exit_code_is_the_jobs() {
    for code in [1, 3, 137, 255] {
        let bench = Bench::start().await;
        bench
            .podman
            .on_stage("step_script", [Act::out("no\n"), Act::Exit(code)]);
        let ran = bench.run(job(13)).await;
        ran.assert_ending("failed", "script_failure", code.into());
        assert!(
            ran.log().ends_with(&format!(
                "no\nCleaning up project directory and file based variables\nERROR: Job failed: exit code {code}\n"
            )),
            "{}",
            ran.log()
        );
        bench.assert_clean();
    }
}

#[tokio::test]
async fn after_script_runs_when_the_script_fails_and_cannot_change_the_outcome() {
    // (exit codes of script and after_script, AFTER_SCRIPT_IGNORE_ERRORS, the outcome, whether the log warns)
    let cases = [
        (0, 0, "", ("success", "", 0), false),
        (0, 5, "", ("success", "", 0), true),
        (0, 5, "true", ("success", "", 0), true),
        (0, 5, "false", ("failed", "script_failure", 5), false),
        (2, 0, "", ("failed", "script_failure", 2), false),
        (2, 5, "", ("failed", "script_failure", 2), true),
        (2, 5, "false", ("failed", "script_failure", 2), true),
    ];
    for (script, after, ignore, (state, reason, code), warns) in cases {
        let bench = Bench::start().await;
        bench.podman.on_stage("step_script", [Act::Exit(script)]);
        bench
            .podman
            .on_stage("after_script", [Act::out("after\n"), Act::Exit(after)]);
        let payload = job(14)
            .after_script(&["x"])
            .variable("AFTER_SCRIPT_IGNORE_ERRORS", ignore);
        let ran = bench.run(payload).await;
        ran.assert_ending(state, reason, code);
        ran.assert_log_has("after\n");
        let warning = format!("WARNING: after_script failed, but job will continue unaffected: exit code {after}\n");
        assert_eq!(
            ran.log().contains(&warning),
            warns,
            "{script} {after} {ignore:?}:\n{}",
            ran.log()
        );
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_failed_step_ends_the_script() {
    let bench = Bench::start().await;
    bench.podman.on_stage("step_script", [Act::Exit(4)]);
    bench.podman.on_stage("step_release", [Act::out("never\n")]);
    let ran = bench
        .run(job(15).step("release", &["release"], "on_success", false))
        .await;
    ran.assert_ending("failed", "script_failure", 4);
    assert!(!ran.log().contains("never"));
    bench.assert_clean();
}

#[tokio::test]
async fn failing_to_get_the_sources_fails_the_job_before_its_scripts() {
    let bench = Bench::start().await;
    bench
        .podman
        .on_stage("get_sources", [Act::err("fatal: no\n"), Act::Exit(128)]);
    let ran = bench.run(JobBuilder::new(16).script(&["x"]).after_script(&["y"])).await;
    ran.assert_ending("failed", "script_failure", 128);
    ran.assert_log_has("fatal: no\n");
    assert!(!bench.podman.record().has_begun("step_script") && !bench.podman.record().has_begun("after_script"));
    bench.assert_clean();
}

#[tokio::test]
async fn output_is_byte_exact_when_the_attach_connection_is_lost_in_mid_output() {
    for (mid_frame, stage) in [
        (false, "step_script"),
        (true, "step_script"),
        (false, "get_sources"),
        (true, "get_sources"),
    ] {
        let bench = Bench::start().await;
        let gate = Gate::closed();
        let lines: String = (0..500).map(|n| format!("line {n} \u{20ac}\n")).collect();
        let acts = [
            Act::out("before, without an end of line"),
            Act::err("an error before\n"),
            Act::LoseAttach { mid_frame },
            Act::out("; after\n"),
            Act::out(&lines),
            Act::err("an error after\n"),
            Act::WaitFor(gate.clone()),
            Act::out("at the end\n"),
        ];
        bench.podman.on_stage(stage, acts);
        let payload = JobBuilder::new(17).script(&["x"]);
        let (ran, ()) = tokio::join!(bench.run(payload), async {
            bench
                .gitlab
                .wait_for("the lines", |r| {
                    r.jobs.get(&17).is_some_and(|j| j.text().contains("line 499"))
                })
                .await;
            gate.open();
        });
        ran.assert_ending("success", "", 0);
        let log = ran.log();
        assert_eq!(log.matches("an error before\n").count(), 1, "{log}");
        assert_eq!(log.matches("an error after\n").count(), 1);
        let stdout = log.replace("an error before\n", "").replace("an error after\n", "");
        let expected = format!("before, without an end of line; after\n{lines}at the end\n");
        assert!(stdout.contains(&expected), "{log}");
        assert_eq!(stdout.matches("line 250 ").count(), 1);
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_container_that_ended_while_nobody_listened_is_replayed() {
    let bench = Bench::start().await;
    bench.podman.on_stage(
        "step_script",
        [
            Act::out("one\n"),
            Act::LoseAttach { mid_frame: true },
            Act::out("two\n"),
            Act::Exit(6),
        ],
    );
    let ran = bench.run(job(18)).await;
    ran.assert_ending("failed", "script_failure", 6);
    ran.assert_log_has("one\ntwo\n");
    bench.assert_clean();
}

#[tokio::test]
async fn secrets_are_masked_however_the_output_is_cut() {
    let bench = Bench::start().await;
    let secret = "s3cret-value-of-a-variable";
    let token = JobBuilder::token_of(19);
    let text = format!("<{secret}> <{token}> <glpat-AbC.123> <plain>\n");
    let single: Vec<Act> = text.as_bytes().chunks(1).map(|b| Act::Out(b.to_vec())).collect();
    let pairs: Vec<Act> = text.as_bytes().chunks(7).map(|b| Act::Err(b.to_vec())).collect();
    bench.podman.on_stage("step_script", single.into_iter().chain(pairs));
    let ran = bench.run(job(19).masked_variable("SECRET", secret)).await;
    ran.assert_ending("success", "", 0);
    let masked = "<[MASKED]> <[MASKED]> <glpat-[MASKED]> <plain>\n";
    assert_eq!(ran.log().matches(masked).count(), 2, "{}", ran.log());
    for hidden in [secret, &token, "AbC.123"] {
        assert!(!ran.log().contains(hidden), "{hidden}");
    }
    bench.assert_clean();
}

#[tokio::test]
async fn a_step_that_looks_like_a_marker_is_output() {
    let bench = Bench::start().await;
    let fake = "\x1epipglr:00000000000000000000000000000000:finished\n";
    bench
        .podman
        .on_stage("step_script", [Act::out(fake), Act::out("still here\n"), Act::Exit(7)]);
    let ran = bench.run(job(20)).await;
    ran.assert_ending("failed", "script_failure", 7);
    assert!(ran.at_gitlab.text().contains(&format!("{fake}still here\n")));
    bench.assert_clean();
}

#[tokio::test]
async fn variables_reach_the_plan_in_the_order_that_decides_which_wins() {
    let mut bench = Bench::start().await;
    bench.runner.environment = vec!["FROM_RUNNER=runner".to_owned(), "BOTH=runner".to_owned()];
    let payload = job(21)
        .variable("BOTH", "job")
        .variable("NAME", "world")
        .variable("GREETING", "hello $NAME")
        .file_variable("CONFIG", "key = $NAME\nsecond line")
        .variable("CI_PROJECT_DIR_COPY", "$CI_PROJECT_DIR");
    bench.run(payload).await.assert_ending("success", "", 0);
    let plan = bench.podman.plan("-build");
    let value = |key: &str| {
        let all = plan["environment"].as_array().unwrap();
        all.iter()
            .rev()
            .find(|pair| pair[0] == key)
            .map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    let expected = [
        ("FROM_RUNNER", Some("runner")),
        ("BOTH", Some("job")),
        ("GREETING", Some("hello world")),
        ("CONFIG", Some("/builds/group/project.tmp/CONFIG")),
        ("CI_PROJECT_DIR", Some("/builds/group/project")),
        ("CI_PROJECT_DIR_COPY", Some("/builds/group/project")),
        ("CI_SERVER", Some("yes")),
        ("CI_DISPOSABLE_ENVIRONMENT", Some("true")),
        ("CI_JOB_TIMEOUT", Some("3600")),
        ("CI_JOB_IMAGE", Some("alpine:3.20")),
        ("CI_RUNNER_SHORT_TOKEN", Some("fake0runn")),
        ("CI_CONCURRENT_ID", Some("0")),
        ("CI_CONCURRENT_PROJECT_ID", Some("0")),
        ("UNHEARD_OF", None),
    ];
    for (key, wanted) in expected {
        assert_eq!(value(key).as_deref(), wanted, "{key}");
    }
    assert_eq!(
        plan["files"],
        json!([{"path": "/builds/group/project.tmp/CONFIG", "content": "key = world\nsecond line"}])
    );
    assert_eq!(plan["project_dir"], "/builds/group/project");
    assert_eq!(plan["builds_dir"], "/builds");
    bench.assert_clean();
}

#[tokio::test]
async fn the_images_own_user_home_and_entrypoint_are_respected() {
    let bench = Bench::start().await;
    let config = json!({"User": "app:web", "Entrypoint": ["/entry", "-x"], "Env": ["HOME=/srv", "PATH=/bin"]});
    bench.podman.pullable(
        ALPINE,
        Image {
            config,
            ..Image::default()
        },
    );
    bench.run(job(22)).await.assert_ending("success", "", 0);
    let plan = bench.podman.plan("-build");
    assert_eq!(
        [&plan["user"], &plan["keep_home"], &plan["entrypoint"]],
        [&json!("app:web"), &json!(true), &json!(["/entry", "-x"])]
    );

    let bench = Bench::start().await;
    bench
        .run(job(22).with("/image/entrypoint", json!(["sh", "-c"])))
        .await
        .assert_ending("success", "", 0);
    let plan = bench.podman.plan("-build");
    assert_eq!(
        [&plan["user"], &plan["keep_home"], &plan["entrypoint"]],
        [&json!(""), &json!(false), &json!(["sh", "-c"])]
    );
}

#[tokio::test]
async fn no_secret_is_in_what_podman_is_told_of_a_container() {
    let bench = Bench::start().await;
    bench.podman.pullable("registry.test/group/image:1", Image::default());
    let secrets = [
        "masked-value-1",
        "file-content-2",
        "registry-password-3",
        "plain-value-4",
    ];
    let payload = JobBuilder::new(23)
        .script(&["echo plain-script-5"])
        .image("registry.test/group/image:1")
        .masked_variable("MASKED", secrets[0])
        .file_variable("FILE", secrets[1])
        .registry("registry.test", "me", secrets[2])
        .variable("PLAIN", secrets[3])
        .artifacts(&["out"], "on_success");
    bench.run(payload).await.assert_ending("success", "", 0);
    let record = bench.podman.record();
    assert_eq!(record.created.len(), 3, "prepare, build, finish");
    let token = JobBuilder::token_of(23);
    for call in &record.calls {
        let text = format!("{} {} {}", call.path, call.query, String::from_utf8_lossy(&call.body));
        for secret in secrets.iter().copied().chain([RUNNER_TOKEN, &token, "plain-script-5"]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // They do arrive, by standard input: the test above would pass on an engine that forgets them.
    let plan = bench.podman.plan("-build").to_string();
    for secret in [secrets[0], secrets[1], secrets[3], &token, "plain-script-5"] {
        assert!(plan.contains(secret), "{secret}");
    }
    assert!(
        !plan.contains(RUNNER_TOKEN),
        "the runner's own token is nobody's business"
    );
    assert!(!bench.podman.plan("-helper-prepare").to_string().contains(RUNNER_TOKEN));
    bench.assert_clean();
}

#[tokio::test]
async fn the_volume_for_sources_is_kept_for_fetch_and_used_again() {
    let bench = Bench::start().await;
    for id in [24, 25] {
        bench
            .run(JobBuilder::new(id).script(&["x"]))
            .await
            .assert_ending("success", "", 0);
        let kept: Vec<String> = bench.podman.volumes().into_keys().collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(is_reusable(&kept[0]), "{kept:?}");
    }
    bench.assert_clean();
    let volumes =
        |created: &pipglr_testkit::podman::Created| created.spec["volumes"][0]["Name"].as_str().unwrap().to_owned();
    let used: std::collections::BTreeSet<String> = bench.podman.record().created.iter().map(volumes).collect();
    assert_eq!(used.len(), 1, "both jobs and all containers use the one volume");
}

#[tokio::test]
async fn the_volume_for_sources_goes_with_the_job_where_nothing_is_to_be_fetched_into() {
    for strategy in ["clone", "none", "empty"] {
        let bench = Bench::start().await;
        bench
            .run(JobBuilder::new(26).variable("GIT_STRATEGY", strategy).script(&["x"]))
            .await
            .assert_ending("success", "", 0);
        assert_eq!(bench.podman.record().volumes_created.len(), 1);
        assert!(bench.podman.volumes().is_empty(), "{strategy}");
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_job_without_sources_says_so_where_they_would_be() {
    let bench = Bench::start().await;
    let ran = bench
        .run(
            JobBuilder::new(28)
                .variable("GIT_STRATEGY", "none")
                .script(&["x"])
                .sections(),
        )
        .await;
    ran.assert_ending("success", "", 0);
    let log = ran.log();
    let mut rest = log.as_str();
    for part in [
        "Getting source from Git repository",
        "Skipping Git repository setup",
        "Skipping Git checkout",
        "Skipping Git submodules setup",
        "Executing \"step_script\" stage of the job script",
    ] {
        let at = rest.find(part);
        assert!(at.is_some(), "{part:?} is not where it belongs in:\n{log}");
        rest = &rest[at.unwrap_or_default()..];
    }
}

#[tokio::test]
async fn the_project_directory_is_tidied_after_a_failed_upload_too() {
    let bench = Bench::start().await;
    bench.podman.on_stage("upload_artifacts_on_success", [Act::Exit(7)]);
    let payload = job(29)
        .artifacts(&["out"], "always")
        .variable("FF_ENABLE_JOB_CLEANUP", "true");
    bench.run(payload).await.assert_ending("failed", "script_failure", 7);
    let last = bench.podman.record().created.last().unwrap().stages.clone();
    assert_eq!(last, ["upload_artifacts_on_success", "cleanup_file_variables"]);
}

#[tokio::test]
async fn a_project_directory_that_cannot_be_tidied_does_not_fail_the_job() {
    let bench = Bench::start().await;
    bench.podman.on_stage("cleanup_file_variables", [Act::Exit(1)]);
    bench
        .run(job(30).variable("FF_ENABLE_JOB_CLEANUP", "true"))
        .await
        .assert_ending("success", "", 0);
}

#[tokio::test]
async fn artifacts_are_uploaded_as_their_when_says() {
    for (when, code, uploads) in [
        ("on_success", 0, true),
        ("on_success", 1, false),
        ("on_failure", 0, false),
        ("on_failure", 1, true),
        ("always", 0, true),
        ("always", 1, true),
    ] {
        let bench = Bench::start().await;
        bench.podman.on_stage("step_script", [Act::Exit(code)]);
        let ran = bench.run(job(27).artifacts(&["out"], when)).await;
        let stage = format!("upload_artifacts_on_{}", if code == 0 { "success" } else { "failure" });
        assert_eq!(
            bench.podman.record().has_begun(&stage),
            uploads,
            "{when} {code}: {}",
            ran.log()
        );
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_failed_upload_fails_a_job_that_went_well() {
    for (code, expected) in [(0, 1), (3, 3)] {
        let bench = Bench::start().await;
        bench.podman.on_stage("step_script", [Act::Exit(code)]);
        for stage in ["upload_artifacts_on_success", "upload_artifacts_on_failure"] {
            bench.podman.on_stage(stage, [Act::Exit(1)]);
        }
        bench
            .run(job(28).artifacts(&["out"], "always"))
            .await
            .assert_ending("failed", "script_failure", expected);
        bench.assert_clean();
    }
}

#[tokio::test]
async fn the_acknowledgement_comes_before_anything_is_done() {
    let bench = Bench::start().await;
    let gate = Gate::closed();
    bench.gitlab.answer(Endpoint::JobUpdate, Answer::usual().held(&gate));
    let (ran, ()) = tokio::join!(bench.run(job(29)), async {
        bench
            .gitlab
            .wait_for("the acknowledgement", |r| r.count(Endpoint::JobUpdate) == 1)
            .await;
        gate.open();
    });
    ran.assert_ending("success", "", 0);
    let acknowledged = bench.gitlab.record().requests[0].answered.unwrap();
    assert!(
        bench
            .podman
            .record()
            .calls
            .iter()
            .all(|call| call.received > acknowledged)
    );
    let first = &ran.at_gitlab.updates[0];
    assert_eq!((&first["state"], &first["output"]), (&json!("running"), &json!({})));
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_that_was_taken_back_is_dropped_without_a_word() {
    for answer in [
        Answer::status(403),
        Answer::status(404),
        Answer::status(200).header("Job-Status", "canceled"),
        Answer::status(200).header("Job-Status", "failed"),
    ] {
        let bench = Bench::start().await;
        bench.gitlab.answer(Endpoint::JobUpdate, answer);
        let ran = bench.run(job(30)).await;
        assert_eq!(
            (ran.record.state, ran.record.failure_reason, ran.record.delivery),
            (None, None, None)
        );
        assert_eq!(bench.gitlab.record().requests.len(), 1);
        assert_eq!(bench.podman.record().calls.len(), 0);
        bench.assert_clean();
    }
}

/// The coordinator may have taken the acknowledgement without our hearing of it.
#[tokio::test]
async fn any_other_failure_of_the_acknowledgement_starts_the_job() {
    let later = |status| Answer::status(status).header("Retry-After", "0");
    let cases = [
        (1, Answer::status(400)),
        (1, Answer::status(409)),
        (1, Answer::status(422)),
        (5, later(500)),
        (5, later(503)),
        (1, Answer::drop_unread()),
        (1, Answer::drop_read()),
        (1, Answer::drop_applied()),
    ];
    for (times, answer) in cases {
        let bench = Bench::start().await;
        bench.gitlab.answer_times(Endpoint::JobUpdate, times, answer.clone());
        let payload = bench.gitlab.assign_running(job(31));
        let record = Box::pin(pipglr_runner::job::run_job(bench.accepted(payload), bench.world(31))).await;
        assert_eq!(
            (record.state, record.delivery),
            (Some(UpdateState::Success), Some(Delivery::Delivered)),
            "{answer:?}"
        );
        assert_eq!(
            bench.gitlab.record().jobs[&31].ending(),
            ending("success", "", 0),
            "{answer:?}"
        );
        bench.assert_clean();
    }
}
