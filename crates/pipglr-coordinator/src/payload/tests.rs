//! One whole payload against a file, and the rules around it.

use super::{PayloadContext, build};
use crate::creation::PipelineKind;
use crate::given::Given;
use crate::id_tokens::Signer;
use crate::options::ServeOptions;
use crate::pipeline::{Assignment, JobRun, Outcome, PipelineId, PipelineRun, Recipe, Source};
use crate::project::{Commit, Project, RefKind, Reference};
use crate::record::ArtifactRecord;
use crate::state::{Runner, RunnerId};
use crate::url::ExternalUrl;
use crate::variables::settings::{Level, Leveled};
use jiff::Timestamp;
use pipglr_ci::model::{
    Artifacts, Environment, Image, Job, JobInput, ParallelNode, Pipeline, Release, Service, Variable, When,
};
use pipglr_protocol::payload::{Credential, JobId, JobPayload};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

struct World {
    options: ServeOptions,
    project: Project,
    runner: Runner,
    pipeline: PipelineRun,
    settings: Vec<Leveled>,
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05.5Z".parse().unwrap()
}

fn job() -> Job {
    let variable = |key: &str, value: &str, expand| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand,
    };
    Job {
        name: "unit tests".to_owned(),
        stage: "test".to_owned(),
        script: vec!["echo before".to_owned(), "make check".to_owned()],
        after_script: vec!["echo after".to_owned()],
        image: Some(Image {
            name: "alpine:3".to_owned(),
            entrypoint: vec![String::new()],
            pull_policy: vec!["if-not-present".to_owned()],
            user: Some("1000".to_owned()),
            platform: Some("linux/amd64".to_owned()),
        }),
        services: vec![
            Service {
                image: Image {
                    name: "postgres:16".to_owned(),
                    entrypoint: vec!["entry".to_owned()],
                    pull_policy: vec!["always".to_owned(), "never".to_owned()],
                    user: Some("postgres".to_owned()),
                    platform: Some("linux/arm64".to_owned()),
                },
                alias: Some("db, $CI_JOB_NAME".to_owned()),
                command: vec!["postgres".to_owned(), "-c".to_owned()],
                variables: vec![variable("URL", "db:$PORT", true), variable("RAW", "$PORT", false)],
            },
            Service {
                image: Image {
                    name: "redis".to_owned(),
                    ..Image::default()
                },
                ..Service::default()
            },
        ],
        variables: vec![
            variable("GREETING", "hello ${CI_COMMIT_REF_NAME} of $CI_PROJECT_NAME", true),
            variable("LITERAL", "$GREETING", false),
        ],
        artifacts: Some(Artifacts {
            paths: vec!["out/".to_owned()],
            exclude: vec!["out/tmp".to_owned()],
            expire_in: Some("1 week".to_owned()),
            ..Artifacts::default()
        }),
        ..Job::default()
    }
}

fn project() -> Project {
    Project {
        repo: PathBuf::from("/repo"),
        path: "local/My.app".to_owned(),
        default_branch: "main".to_owned(),
        config_path: ".gitlab-ci.yml".to_owned(),
        object_format: "sha1".to_owned(),
        server: None,
        ssh: None,
        is_local: false,
        user_name: "Ann".to_owned(),
        user_email: "ann@test".to_owned(),
    }
}

fn runner() -> Runner {
    Runner {
        id: RunnerId(7),
        token: "glrt-x".into(),
        description: "mine".to_owned(),
        tags: vec!["a\"b".to_owned()],
        run_untagged: true,
        paused: false,
        maximum_timeout: None,
        managers: BTreeSet::new(),
    }
}

fn source(kind: RefKind, name: &str) -> Source {
    Source {
        reference: Reference {
            name: name.to_owned(),
            kind,
            tag_message: "release notes".to_owned(),
        },
        commit: Commit {
            sha: SHA.to_owned(),
            author: "Ann <ann@test>".to_owned(),
            timestamp: "2026-01-01T00:00:00+01:00".to_owned(),
            message: "Costs $5\n\nbody\n".to_owned(),
        },
        checkout: SHA.to_owned(),
        kind: PipelineKind::Push,
        base: None,
        changes_since: None,
        parent: None,
        variables: Vec::new(),
        depth: 0,
    }
}

fn archive() -> ArtifactRecord {
    ArtifactRecord {
        artifact_type: ArtifactRecord::ARCHIVE.to_owned(),
        format: "zip".to_owned(),
        filename: "artifacts.zip".to_owned(),
        size: 1234,
        sha256: [0; 32],
        path: PathBuf::from("/data/a.zip"),
        expires_at: None,
    }
}

/// Two jobs succeeded, one of them with an archive; `job` is handed out.
fn world(kind: RefKind, name: &str, job: Job) -> World {
    let mut options = ServeOptions::new("/repo", "/data", "http://10.0.2.2:8080");
    options.registry_credentials = vec![Credential {
        kind: "registry".to_owned(),
        url: "registry.test:5000".to_owned(),
        username: "me".to_owned(),
        password: "secret".into(),
    }];
    let build = Job {
        name: "build".to_owned(),
        stage: "build".to_owned(),
        ..Job::default()
    };
    let empty = Job {
        name: "no archive".to_owned(),
        ..build.clone()
    };
    let stages = vec!["build".to_owned(), "test".to_owned()];
    let definition = Recipe {
        pipeline: Pipeline {
            stages,
            jobs: vec![build, empty, job],
            ..Pipeline::default()
        },
        ..Recipe::default()
    };
    let mut next = 10;
    let identify = || {
        next += 1;
        (JobId(next), format!("glcbt-{next}").as_str().into())
    };
    let mut pipeline = PipelineRun::create(PipelineId(3), source(kind, name), &definition, now(), identify).unwrap();
    pipeline.jobs[0].artifacts.push(archive());
    pipeline.finish(0, Outcome::Success, now());
    pipeline.finish(1, Outcome::Success, now());
    let assignment = Assignment {
        runner: RunnerId(7),
        two_phase: true,
        cancel_gracefully: true,
        timeout: pipeline.jobs[2].timeout(),
        accept_by: now(),
        last_contact: now(),
        silence_limit: std::time::Duration::from_hours(1),
    };
    pipeline.assign(2, assignment, now());
    World {
        options,
        project: project(),
        runner: runner(),
        pipeline,
        settings: Vec::new(),
    }
}

fn payload(world: &World) -> JobPayload {
    let producers: Vec<&JobRun> = world.pipeline.jobs[2]
        .dependencies
        .iter()
        .map(|&index| &world.pipeline.jobs[index])
        .collect();
    build(&PayloadContext {
        producers: &producers,
        settings: &world.settings,
        signer: &Signer::generate().unwrap(),
        options: &world.options,
        url: &ExternalUrl::parse(&world.options.external_url).unwrap(),
        project: &world.project,
        pipeline: &world.pipeline,
        job: &world.pipeline.jobs[2],
        runner: &world.runner,
        now: now(),
    })
}

fn values<'a>(payload: &'a JobPayload, key: &str) -> Vec<&'a str> {
    payload
        .variables
        .iter()
        .filter(|v| v.key == key)
        .map(|v| v.value.expose())
        .collect()
}

#[test]
fn whole_payload_is_as_in_the_file() {
    let actual = serde_json::to_value(payload(&world(RefKind::Branch, "feature/X", job()))).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/payload.json");
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let pretty = serde_json::to_string_pretty(&actual).unwrap();
    assert!(actual == expected, "payload differs from {path}; it is now:\n{pretty}");
}

#[test]
fn depth_and_ref_decide_what_is_fetched() {
    let depth = |text: &str| {
        let variables = vec![Variable {
            key: "GIT_DEPTH".to_owned(),
            value: text.to_owned(),
            expand: true,
        }];
        Job { variables, ..job() }
    };
    let pipeline = "+refs/pipelines/3:refs/pipelines/3";
    let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    for (kind, name, job, expected_depth, specs) in [
        (
            RefKind::Branch,
            "b",
            job(),
            20,
            &["+refs/heads/b:refs/remotes/origin/b"][..],
        ),
        (
            RefKind::Branch,
            "b",
            depth("3"),
            3,
            &["+refs/heads/b:refs/remotes/origin/b"],
        ),
        (
            RefKind::Branch,
            "b",
            depth("no number"),
            20,
            &["+refs/heads/b:refs/remotes/origin/b"],
        ),
        (RefKind::Branch, "b", depth("0"), 0, &all),
        (RefKind::Tag, "v1", job(), 20, &["+refs/tags/v1:refs/tags/v1"]),
        (RefKind::Detached, "01234567", job(), 20, &[]),
    ] {
        let git = payload(&world(kind, name, job)).git_info;
        let expected: Vec<&str> = std::iter::once(pipeline).chain(specs.iter().copied()).collect();
        assert_eq!(
            (git.depth, git.refspecs),
            (expected_depth, expected.iter().map(|&s| s.to_owned()).collect())
        );
    }
}

#[test]
fn branch_tag_and_detached_pipelines_have_their_own_variables() {
    for (kind, name, branch, tag, message, ref_type) in [
        (RefKind::Branch, "b", vec!["b"], vec![], vec![], "branch"),
        (RefKind::Tag, "v1", vec![], vec!["v1"], vec!["release notes"], "tag"),
        (RefKind::Detached, "01234567", vec![], vec![], vec![], "branch"),
    ] {
        let payload = payload(&world(kind, name, job()));
        assert_eq!(values(&payload, "CI_COMMIT_BRANCH"), branch);
        assert_eq!(values(&payload, "CI_COMMIT_TAG"), tag);
        assert_eq!(values(&payload, "CI_COMMIT_TAG_MESSAGE"), message);
        assert_eq!(payload.git_info.ref_type, ref_type);
    }
}

#[test]
fn only_the_jobs_credentials_are_secret() {
    let payload = payload(&world(RefKind::Branch, "b", job()));
    let masked: Vec<&str> = payload
        .variables
        .iter()
        .filter(|v| v.masked)
        .map(|v| v.key.as_str())
        .collect();
    let private: Vec<&str> = payload
        .variables
        .iter()
        .filter(|v| !v.public)
        .map(|v| v.key.as_str())
        .collect();
    assert_eq!(masked, ["CI_JOB_TOKEN", "CI_REPOSITORY_URL"]);
    assert_eq!(private, masked);
}

#[test]
fn timeout_is_the_jobs_or_one_hour() {
    for (timeout, seconds) in [(None, 3600), (Some(Duration::from_secs(90)), 90)] {
        let payload = payload(&world(RefKind::Branch, "b", Job { timeout, ..job() }));
        assert_eq!(
            (payload.runner_info.timeout, payload.steps[0].timeout),
            (seconds, seconds as u64)
        );
    }
}

#[test]
fn a_job_without_extras_has_no_entries_for_them() {
    let bare = Job {
        after_script: Vec::new(),
        image: None,
        services: Vec::new(),
        artifacts: Some(Artifacts {
            exclude: vec!["x".to_owned()],
            ..Artifacts::default()
        }),
        when: When::Manual,
        dependencies: Some(Vec::new()),
        ..job()
    };
    let mut world = world(RefKind::Branch, "b", bare);
    world.options.registry_credentials.clear();
    let payload = payload(&world);
    assert_eq!(
        payload.steps.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["script"]
    );
    assert_eq!(payload.image, pipglr_protocol::payload::Image::default());
    assert!(payload.services.is_empty());
    assert!(payload.artifacts.is_empty() && payload.dependencies.is_empty() && payload.credentials.is_empty());
    assert_eq!(values(&payload, "CI_JOB_MANUAL"), ["true"]);
}

#[test]
fn expired_archives_are_no_dependencies() {
    let mut world = world(RefKind::Branch, "b", job());
    world.pipeline.jobs[0].artifacts[0].expires_at = Some(now());
    assert!(payload(&world).dependencies.is_empty());
}

#[test]
fn what_only_the_runner_understands_is_passed_on() {
    let full = Job {
        pre_get_sources_script: vec!["echo first".to_owned()],
        release: Some(Release {
            tag_name: "v1".to_owned(),
            description: "one".to_owned(),
            ..Release::default()
        }),
        secrets: serde_json::json!({ "DB": { "vault": {} } })
            .as_object()
            .unwrap()
            .clone(),
        inputs: vec![JobInput {
            key: "x".to_owned(),
            kind: "string".to_owned(),
            value: "1".into(),
        }],
        group: Some("unit".to_owned()),
        node: Some(ParallelNode { index: 2, total: 3 }),
        environment: Some(Environment {
            name: "review/feature-1".to_owned(),
            url: Some("https://$CI_ENVIRONMENT_SLUG.test".to_owned()),
            tier: "development".to_owned(),
            ..Environment::default()
        }),
        ..job()
    };
    let payload = payload(&world(RefKind::Branch, "main", full.clone()));
    let steps: Vec<&str> = payload.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, ["script", "release", "after_script"]);
    assert_eq!(payload.hooks[0].name, "pre_get_sources_script");
    assert_eq!(payload.hooks[0].script, ["echo first"]);
    assert!(payload.secrets.contains_key("DB"));
    let input = serde_json::json!({ "key": "x", "value": { "content": "1", "type": "string" } });
    assert_eq!(payload.inputs, [input]);
    for (key, value) in [
        ("CI_JOB_GROUP_NAME", "unit"),
        ("CI_NODE_INDEX", "2"),
        ("CI_NODE_TOTAL", "3"),
        ("CI_ENVIRONMENT_NAME", "review/feature-1"),
        ("CI_ENVIRONMENT_ACTION", "start"),
        ("CI_ENVIRONMENT_TIER", "development"),
        ("CI_ENVIRONMENT_SLUG", "review-feature-1-1q251u"),
        ("CI_ENVIRONMENT_URL", "https://review-feature-1-1q251u.test"),
        ("CI_ENVIRONMENT_ID", "1"),
    ] {
        assert_eq!(values(&payload, key).last(), Some(&value), "{key}");
    }
    let functions = Job {
        script: Vec::new(),
        run: Some(serde_json::json!([{ "name": "a", "script": "ok" }])),
        ..full
    };
    let payload = super::tests::payload(&world(RefKind::Branch, "main", functions));
    assert_eq!(payload.run, r#"[{"name":"a","script":"ok"}]"#);
    assert_eq!(payload.steps[0].name, "release");
}

#[test]
fn settings_beat_the_file_and_the_run_beats_settings() {
    let setting = |level, key: &str, value: &str, scope: &str| Leveled {
        level,
        variable: Given {
            environment_scope: scope.to_owned(),
            ..Given::new(key, value)
        },
    };
    let deploys = Job {
        environment: Some(Environment {
            name: "production".to_owned(),
            ..Environment::default()
        }),
        ..job()
    };
    let mut world = world(RefKind::Branch, "main", deploys);
    world.settings = vec![
        setting(Level::Group, "GREETING", "group", "*"),
        setting(Level::Group, "RUN", "group", "*"),
        setting(Level::Project, "SCOPED", "all", "*"),
        setting(Level::Project, "SCOPED", "prod", "prod*"),
        setting(Level::Project, "OTHER", "x", "staging"),
        Leveled {
            level: Level::Project,
            variable: Given {
                protected: true,
                ..Given::new("PROTECTED", "x")
            },
        },
    ];
    world.pipeline.source.variables = vec![Given::new("RUN", "run")];
    let payload = payload(&world);
    for (key, value) in [
        ("GREETING", Some("group")),
        ("RUN", Some("run")),
        ("SCOPED", Some("prod")),
        ("OTHER", None),
        ("PROTECTED", None),
    ] {
        assert_eq!(values(&payload, key).last().copied(), value, "{key}");
    }
}

#[test]
fn delayed_jobs_count_as_started_by_hand() {
    for (when, told) in [(When::Manual, 1), (When::Delayed, 1), (When::OnSuccess, 0)] {
        let payload = payload(&world(RefKind::Branch, "b", Job { when, ..job() }));
        assert_eq!(values(&payload, "CI_JOB_MANUAL").len(), told, "{when:?}");
    }
}
