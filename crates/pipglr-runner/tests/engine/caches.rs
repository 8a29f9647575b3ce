//! Caches of a job, from its payload to what its helper containers are told and given.

use crate::support::{Bench, is_reusable};
use pipglr_runner::config::CacheConfig;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Act;
use serde_json::{Value, json};

fn job(caches: Value) -> JobBuilder {
    JobBuilder::new(31)
        .without_sources()
        .script(&["true"])
        .with("/cache", caches)
}

/// What the helpers of a job are told about caches, one line per thing: `+` is said, `!` is said in yellow.
fn told(bench: &Bench) -> Vec<String> {
    let mut lines = Vec::new();
    let record = bench.podman.record();
    let plans = record.created.iter().filter_map(|c| c.plan.as_ref());
    for phase in plans.flat_map(|plan| plan["phases"].as_array().into_iter().flatten()) {
        let Some((name, phase)) = phase.as_object().and_then(|o| o.iter().next()) else {
            continue;
        };
        if name != "restore_cache" && name != "archive_cache" {
            continue;
        }
        lines.push(phase["stage"].as_str().unwrap_or(name).to_owned());
        for entry in phase["entries"].as_array().unwrap() {
            for notice in entry["notices"].as_array().unwrap() {
                let (kind, text) = notice.as_object().unwrap().iter().next().unwrap();
                let sign = if kind == "info" { '+' } else { '!' };
                lines.push(format!("{sign} {}", text.as_str().unwrap()));
            }
            let places = entry["sources"].as_array().into_iter().flatten();
            for place in places.chain(Some(&entry["target"]).filter(|t| t.is_object())) {
                let mut line = format!(
                    "{} at {}",
                    place["key"].as_str().unwrap(),
                    place["archive"].as_str().unwrap()
                );
                if let Some(object) = place["object"].as_str() {
                    line.push_str(&format!(" and {object}"));
                }
                lines.push(line);
            }
        }
    }
    lines
}

struct Case {
    name: &'static str,
    caches: Value,
    variables: &'static [(&'static str, &'static str)],
    expected: &'static [&'static str],
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let case = |name, caches, expected| Case {
        name,
        caches,
        variables: &[],
        expected,
    };
    let with = |name, variables, caches, expected| Case {
        name,
        caches,
        variables,
        expected,
    };
    vec![
        case("no cache", json!([]), &[]),
        case("null", Value::Null, &[]),
        case("without paths or untracked", json!([{"key": "k"}]), &[]),
        case(
            "default policy pulls and pushes",
            json!([{"key": "k", "paths": ["v/"]}]),
            &[
                "restore_cache",
                "k at /cache/group/project/k/cache.zip",
                "archive_cache",
                "k at /cache/group/project/k/cache.zip",
            ],
        ),
        case(
            "untracked alone is enough",
            json!([{"key": "k", "untracked": true, "policy": "pull-push"}]),
            &[
                "restore_cache",
                "k at /cache/group/project/k/cache.zip",
                "archive_cache",
                "k at /cache/group/project/k/cache.zip",
            ],
        ),
        case(
            "policy pull",
            json!([{"key": "k", "paths": ["v"], "policy": "pull"}]),
            &[
                "restore_cache",
                "k at /cache/group/project/k/cache.zip",
                "archive_cache",
                "+ Not uploading cache k due to policy",
            ],
        ),
        with(
            "policy push from a variable",
            &[("HOW", "push")],
            json!([{"key": "k", "paths": ["v"], "policy": "$HOW"}]),
            &[
                "restore_cache",
                "+ Not downloading cache k due to policy",
                "archive_cache",
                "k at /cache/group/project/k/cache.zip",
            ],
        ),
        case(
            "when on_failure is not kept after a success",
            json!([{"key": "k", "paths": ["v"], "when": "on_failure"}]),
            &["restore_cache", "k at /cache/group/project/k/cache.zip"],
        ),
        case(
            "when always is kept after a success",
            json!([{"key": "k", "paths": ["v"], "when": "always"}]),
            &[
                "restore_cache",
                "k at /cache/group/project/k/cache.zip",
                "archive_cache",
                "k at /cache/group/project/k/cache.zip",
            ],
        ),
        with(
            "key from variables, several caches",
            &[("A", "one"), ("B", "a/../two")],
            json!([{"key": "$A-${A}", "paths": ["v"], "policy": "pull"}, {"key": "$B", "paths": ["w"], "policy": "pull"}]),
            &[
                "restore_cache",
                "one-one at /cache/group/project/one-one/cache.zip",
                "! cache key \"a/../two\" sanitized to \"two\"",
                "two at /cache/group/project/two/cache.zip",
                "archive_cache",
                "+ Not uploading cache one-one due to policy",
                "! cache key \"a/../two\" sanitized to \"two\"",
                "+ Not uploading cache two due to policy",
            ],
        ),
        case(
            "no key is job name and ref",
            json!([{"paths": ["v"], "when": "on_failure"}]),
            &[
                "restore_cache",
                "job-31/main at /cache/group/project/job-31/main/cache.zip",
            ],
        ),
        with(
            "empty key is skipped",
            &[("EMPTY", "")],
            json!([{"key": "$EMPTY", "paths": ["v"]}]),
            &[
                "restore_cache",
                "+ Skipping cache extraction due to empty cache key",
                "archive_cache",
                "+ Skipping cache archiving due to empty cache key",
            ],
        ),
        case(
            "key that is nothing but dots is skipped",
            json!([{"key": "%2E%2e/..", "paths": ["v"], "when": "on_failure"}]),
            &[
                "restore_cache",
                "! cache key \"%2E%2e/..\" could not be sanitized",
                "+ Skipping cache extraction due to empty cache key",
            ],
        ),
        with(
            "fallback keys, then CACHE_FALLBACK_KEY",
            &[("CACHE_FALLBACK_KEY", "$LAST"), ("LAST", "last"), ("EMPTY", "")],
            json!([{"key": "k", "paths": ["v"], "when": "on_failure", "fallback_keys": ["f-$LAST", "$EMPTY"]}]),
            &[
                "restore_cache",
                "k at /cache/group/project/k/cache.zip",
                "f-last at /cache/group/project/f-last/cache.zip",
                "last at /cache/group/project/last/cache.zip",
            ],
        ),
        with(
            "CACHE_FALLBACK_KEY does not reach protected caches",
            &[("CACHE_FALLBACK_KEY", "x/main-protected. ")],
            json!([{"key": "k", "paths": ["v"], "when": "on_failure", "fallback_keys": ["own-protected"]}]),
            &[
                "restore_cache",
                "! cache key \"x/main-protected. \" sanitized to \"x/main-protected.\"",
                "! CACHE_FALLBACK_KEY \"x/main-protected.\" not allowed to end in \"-protected\"",
                "k at /cache/group/project/k/cache.zip",
                "own-protected at /cache/group/project/own-protected/cache.zip",
            ],
        ),
        with(
            "FF_HASH_CACHE_KEYS",
            &[("FF_HASH_CACHE_KEYS", "true")],
            json!([{"key": "a/../b", "paths": ["v"], "when": "on_failure"}]),
            &[
                "restore_cache",
                "a/../b at /cache/group/project/900ea8b7e0d8fe30857c1bb629272e28cfd7f7af61a81f7b6964b271b69dab69/cache.zip",
            ],
        ),
        with(
            "GIT_STRATEGY empty has caches of its own",
            &[("GIT_STRATEGY", "empty")],
            json!([{"key": "k", "paths": ["v"], "when": "on_failure"}]),
            &["restore_cache", "k at /cache/group/project-empty/k/cache.zip"],
        ),
    ]
}

#[tokio::test]
async fn keys_policies_and_places() {
    for case in cases() {
        let bench = Bench::start().await;
        let mut payload = job(case.caches);
        for (key, value) in case.variables {
            payload = payload.variable(key, value);
        }
        let ran = bench.run(payload).await;
        ran.assert_ending("success", "", 0);
        assert_eq!(told(&bench), case.expected, "{}", case.name);
        bench.assert_clean();
    }
}

#[tokio::test]
async fn variables_and_limits_reach_the_helpers() {
    for (name, value, field, expected) in [
        ("CACHE_REQUEST_TIMEOUT", "", "request_timeout", json!(600)),
        ("CACHE_REQUEST_TIMEOUT", "5", "request_timeout", json!(300)),
        ("CACHE_REQUEST_TIMEOUT", "0", "request_timeout", json!(600)),
        ("CACHE_REQUEST_TIMEOUT", "-3", "request_timeout", json!(600)),
        ("CACHE_REQUEST_TIMEOUT", "1h", "request_timeout", json!(600)),
        ("CACHE_REQUEST_TIMEOUT", "99999999", "request_timeout", json!(86_400)),
        ("RESTORE_CACHE_ATTEMPTS", "", "attempts", json!(1)),
        ("RESTORE_CACHE_ATTEMPTS", "4", "attempts", json!(4)),
        ("RESTORE_CACHE_ATTEMPTS", "0", "attempts", json!(1)),
        ("RESTORE_CACHE_ATTEMPTS", "11", "attempts", json!(10)),
        ("CACHE_COMPRESSION_FORMAT", "tarzstd", "format", json!("tarzstd")),
        ("CACHE_COMPRESSION_LEVEL", "slowest", "compression", json!("slowest")),
        ("MaxUploadedArchiveSize", "", "max_upload_bytes", json!(12_345)),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.cache.max_uploaded_archive_size = 12_345;
        let payload = job(json!([{"key": "k", "paths": ["v"]}])).variable(name, value);
        bench.run(payload).await.assert_ending("success", "", 0);
        let phases = [
            ("-helper-prepare", 1, "restore_cache"),
            ("-helper-finish", 0, "archive_cache"),
        ];
        let told = phases.map(|(role, at, phase)| bench.podman.plan(role)["phases"][at][phase][field].clone());
        // What concerns one direction is said in one direction.
        let told: Vec<&Value> = told.iter().filter(|value| !value.is_null()).collect();
        assert!(
            !told.is_empty() && told.iter().all(|value| **value == expected),
            "{name}={value}: {told:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_policy_ends_the_job_before_it_begins() {
    let bench = Bench::start().await;
    let ran = bench
        .run(job(json!([{"key": "k", "paths": ["v"], "policy": "sometimes"}])))
        .await;
    ran.assert_ending("failed", "runner_configuration_error", 0);
    ran.assert_log_has("ERROR: Job failed: unknown cache policy sometimes for k\n");
    bench.assert_clean();
}

#[tokio::test]
async fn the_log_has_caches_in_their_order() {
    for (code, when, saving, uploading) in [
        (
            0,
            "on_success",
            "Saving cache for successful job",
            "Uploading artifacts for successful job",
        ),
        (
            1,
            "on_failure",
            "Saving cache for failed job",
            "Uploading artifacts for failed job",
        ),
    ] {
        let bench = Bench::start().await;
        bench.podman.on_stage("step_script", [Act::Exit(code)]);
        let payload = JobBuilder::new(32)
            .script(&["x"])
            .with("/cache", json!([{"key": "k", "paths": ["v"], "when": when}]))
            .artifacts(&["out"], "always");
        let ran = bench.run(payload).await;
        let log = ran.log();
        let places: Vec<usize> = [
            "Getting source from Git repository\n",
            "Restoring cache\n",
            "Executing \"step_script\" stage of the job script\n",
            saving,
            uploading,
            "Job ",
        ]
        .iter()
        .map(|part| log.find(part).unwrap_or_else(|| panic!("{part:?} is not in:\n{log}")))
        .collect();
        assert!(places.is_sorted(), "{places:?}\n{log}");
        bench.assert_clean();
    }
}

/// What is mounted at `destination` in the container with this role: a bind's source, or a volume's name.
fn mounted(bench: &Bench, role: &str, destination: &str) -> Option<String> {
    let record = bench.podman.record();
    let created = record.created.iter().rev().find(|c| c.name.ends_with(role)).unwrap();
    let field = |list: &str, at: &str, what: &str| {
        let list = created.spec[list].as_array()?;
        let found = list.iter().find(|m| m[at] == destination)?;
        found[what].as_str().map(str::to_owned)
    };
    field("mounts", "destination", "source").or_else(|| field("volumes", "Dest", "Name"))
}

#[tokio::test]
async fn only_helpers_see_the_caches_of_their_own_project() {
    let cached = json!([{"key": "k", "paths": ["v"]}]);
    for (name, project, protected, key, directory) in [
        ("one project", 1, json!(false), "k", "runner-fake0runn/project-1"),
        ("another project", 2, Value::Null, "k", "runner-fake0runn/project-2"),
        (
            "protected ref",
            1,
            json!(true),
            "k",
            "runner-fake0runn/project-1-protected",
        ),
        (
            "protected key",
            1,
            json!(false),
            "k-protected",
            "runner-fake0runn/project-1-protected",
        ),
        (
            "non-protected key",
            1,
            json!(false),
            "k-non_protected",
            "runner-fake0runn/project-1",
        ),
    ] {
        let bench = Bench::start().await;
        let payload = job(cached.clone())
            .project(project)
            .with("/cache/0/key", json!(key))
            .with("/git_info/protected", protected);
        bench.run(payload).await.assert_ending("success", "", 0);
        let expected = bench.directory.path().join("cache").join(directory);
        let expected = Some(expected.display().to_string());
        assert_eq!(mounted(&bench, "-helper-prepare", "/cache"), expected, "{name}");
        assert_eq!(mounted(&bench, "-helper-finish", "/cache"), expected, "{name}");
        assert_eq!(mounted(&bench, "-build", "/cache"), None, "{name}");
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_job_without_caches_gets_no_directory() {
    let bench = Bench::start().await;
    bench
        .run(JobBuilder::new(33).script(&["x"]))
        .await
        .assert_ending("success", "", 0);
    assert_eq!(mounted(&bench, "-helper-prepare", "/cache"), None);
    assert!(!bench.directory.path().join("cache").exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_fails_no_job() {
    let bench = Bench::start().await;
    std::fs::write(bench.directory.path().join("cache"), "in the way").unwrap();
    let ran = bench.run(job(json!([{"key": "k", "paths": ["v"]}]))).await;
    ran.assert_ending("success", "", 0);
    assert_eq!(mounted(&bench, "-helper-prepare", "/cache"), None);
    bench.assert_clean();
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn volumes_of_the_configuration_decide_where_caches_lie() {
    let own = "OWN";
    // (name, volumes, cache_dir, disable_cache, what helpers have at /cache, the archive's place)
    for (name, volumes, cache_dir, disabled, source, archive) in [
        (
            "as registered",
            &["/cache"][..],
            "",
            false,
            Some(own),
            "/cache/group/project/k/cache.zip",
        ),
        (
            "host directory",
            &["/srv/c:/cache"],
            "",
            false,
            Some("/srv/c"),
            "/cache/group/project/k/cache.zip",
        ),
        (
            "named volume",
            &["vol:/cache:rw"],
            "",
            false,
            Some("vol"),
            "/cache/group/project/k/cache.zip",
        ),
        (
            "another cache_dir",
            &[],
            "/elsewhere/",
            false,
            Some(own),
            "/cache/group/project/k/cache.zip",
        ),
        (
            "cache_dir in a volume",
            &["/srv/c:/mnt"],
            "/mnt/a/b",
            false,
            Some("/srv/c"),
            "/cache/a/b/group/project/k/cache.zip",
        ),
        (
            "not in a volume",
            &["/srv/c:/mnt"],
            "/mnt2",
            false,
            Some(own),
            "/cache/group/project/k/cache.zip",
        ),
        (
            "cache_dir in the builds directory",
            &[],
            "/builds/.c",
            false,
            None,
            "/builds/.c/group/project/k/cache.zip",
        ),
        (
            "disable_cache",
            &["/cache"],
            "",
            true,
            None,
            "/builds/group/project.tmp/cache/group/project/k/cache.zip",
        ),
        (
            "disable_cache with a host directory",
            &["/srv/c:/cache"],
            "",
            true,
            Some("/srv/c"),
            "/cache/group/project/k/cache.zip",
        ),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.docker.volumes = volumes.iter().map(|v| (*v).to_owned()).collect();
        bench.runner.cache_dir = cache_dir.to_owned();
        bench.runner.docker.disable_cache = disabled;
        let payload = job(json!([{"key": "k", "paths": ["v"], "when": "on_failure"}]));
        bench.run(payload).await.assert_ending("success", "", 0);
        let directory = bench.directory.path().join("cache/runner-fake0runn/project-1");
        let expected = source.map(|s| s.replace(own, &directory.display().to_string()));
        assert_eq!(mounted(&bench, "-helper-prepare", "/cache"), expected, "{name}");
        assert_eq!(
            told(&bench),
            ["restore_cache".to_owned(), format!("k at {archive}")],
            "{name}"
        );
        // As gitlab-runner's default: the build container has a volume there, of this slot alone.
        let in_build = mounted(&bench, "-build", "/cache");
        if name == "as registered" {
            assert!(in_build.as_deref().is_some_and(is_reusable), "{in_build:?}");
        }
    }
}

#[tokio::test]
async fn objects_are_named_as_gitlab_runner_names_them() {
    let config = |kind: &str, path: &str, shared| CacheConfig {
        kind: kind.to_owned(),
        path: path.to_owned(),
        shared,
        ..CacheConfig::default()
    };
    for (name, config, hash, object) in [
        ("local only", config("", "p", false), "false", ""),
        (
            "plain",
            config("s3", "", false),
            "false",
            " and runner/fake0runn/project/1/a/b",
        ),
        (
            "with a path",
            config("gcs", "/p//q/", false),
            "false",
            " and p/q/runner/fake0runn/project/1/a/b",
        ),
        ("shared", config("azure", "p", true), "false", " and p/project/1/a/b"),
        (
            "hashed",
            config("s3", "", true),
            "true",
            " and project/1/c1/c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11",
        ),
    ] {
        let mut bench = Bench::start().await;
        bench.runner.cache = config;
        let payload =
            job(json!([{"key": "a/b", "paths": ["v"], "when": "on_failure"}])).variable("FF_HASH_CACHE_KEYS", hash);
        bench.run(payload).await.assert_ending("success", "", 0);
        assert!(
            told(&bench)[1].ends_with(&format!("/cache.zip{object}")),
            "{name}: {:?}",
            told(&bench)
        );
    }
}
