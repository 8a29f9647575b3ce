//! Whole pipelines: attempts, delays, resource groups, newer commits, children, dotenv variables.

use crate::support::{Taken, World, git, header, job, job_request};
use flate2::Compression;
use flate2::write::GzEncoder;
use pipglr_ci::model::{
    Artifacts, AutoCancel, ChildInclude, Environment, IdToken, Job, Need, OnNewCommit, Pipeline, Report, Retry,
    Trigger, TriggerTarget, Variable, When,
};
use pipglr_coordinator::{
    Error, Event, Given, JobState, PipelineId, PipelineOptions, RefName, Revision, Selection, VariableFile,
    VariableFormat,
};
use pipglr_protocol::payload::JobId;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;

fn states(world: &World, pipeline: PipelineId) -> String {
    let record = world.coordinator.pipeline(pipeline).unwrap();
    let jobs: Vec<String> = record.jobs.iter().map(|job| job.state.to_string()).collect();
    format!("{} | {}", jobs.join(" "), record.state)
}

fn variable<'p>(payload: &'p Value, key: &str) -> Option<&'p str> {
    let variables = payload["variables"].as_array().unwrap();
    variables.iter().rfind(|v| v["key"] == key)?["value"].as_str()
}

async fn upload(world: &World, job: &Taken, artifact_type: &str, format: &str, name: &str, bytes: Vec<u8>) -> u16 {
    let file = Part::bytes(bytes).file_name(name.to_owned());
    let form = Form::new()
        .text("artifact_type", artifact_type.to_owned())
        .text("artifact_format", format.to_owned())
        .part("file", file);
    let call = world.call(Method::POST, &format!("jobs/{}/artifacts", job.id));
    let response = call
        .header("JOB-TOKEN", &job.token)
        .multipart(form)
        .send()
        .await
        .unwrap();
    response.status().as_u16()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_failed_job_is_tried_again_under_a_new_number() {
    let world = World::start().await;
    let mut events = world.coordinator.subscribe();
    let again = Job {
        retry: Retry {
            max: 1,
            when: vec!["script_failure".to_owned()],
            exit_codes: Vec::new(),
        },
        ..job("build", "a")
    };
    let pipeline = world.create(vec![again, job("test", "b")]).await;
    let first = world.take_and_accept().await;
    let failure = json!({ "state": "failed", "failure_reason": "script_failure", "exit_code": 1 });
    let answer = world.put_with(&first, failure.clone()).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "job-status")),
        (200, "failed")
    );
    let second = world.take_and_accept().await;
    assert_eq!(second.payload["job_info"]["name"], "a");
    assert_ne!((second.id, &second.token), (first.id, &first.token));
    assert_eq!(world.put(&first, "running").await.status(), 403);
    world.put_with(&second, failure).await;
    let record = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(states(&world, pipeline), "failed skipped | failed");
    assert_eq!(record.retried.len(), 1);
    assert_eq!(record.retried[0].id, JobId(first.id));
    assert_eq!(
        (record.jobs[0].attempt, record.jobs[0].retry_of),
        (2, Some(JobId(first.id)))
    );
    let (old, new) = (JobId(first.id), JobId(second.id));
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    assert!(seen.contains(&Event::JobRetried { pipeline, old, new }), "{seen:?}");
    let third = world.coordinator.retry_job(new).unwrap();
    assert_eq!(world.take().await.id, third.0);
    assert_eq!(states(&world, pipeline), "pending created | running");
    assert!(matches!(
        world.coordinator.retry_job(new),
        Err(Error::WrongState { .. })
    ));
}

#[tokio::test]
async fn a_delayed_job_comes_by_itself() {
    let world = World::start().await;
    let delayed = Job {
        when: When::Delayed,
        start_in: Some(Duration::from_millis(1)),
        ..job("build", "a")
    };
    let later = Job {
        when: When::Delayed,
        start_in: Some(Duration::from_hours(1)),
        ..job("build", "b")
    };
    let pipeline = world.create(vec![delayed, later]).await;
    assert_eq!(world.take_when_there().await.payload["job_info"]["name"], "a");
    let later = world.coordinator.pipeline(pipeline).unwrap().jobs[1].clone();
    assert!(later.starts_at.is_some());
    world.coordinator.play_job(later.id).unwrap();
    assert_eq!(world.take().await.id, later.id.0);
}

#[tokio::test]
async fn a_resource_group_has_one_job_at_a_time_in_all_pipelines() {
    let world = World::start().await;
    let exclusive = |name: &str| Job {
        resource_group: Some("production".to_owned()),
        ..job("build", name)
    };
    let one = world.create(vec![exclusive("a"), exclusive("b")]).await;
    let other = world.create(vec![exclusive("c"), job("build", "d")]).await;
    assert_eq!(states(&world, one), "pending waiting_for_resource | running");
    assert_eq!(states(&world, other), "waiting_for_resource pending | running");
    let a = world.take_and_accept().await;
    assert_eq!(world.take_and_accept().await.payload["job_info"]["name"], "d");
    assert_eq!(world.ask(None).await.status(), 204);
    world.put(&a, "success").await;
    assert_eq!(world.take_and_accept().await.payload["job_info"]["name"], "b");
    assert_eq!(states(&world, other), "waiting_for_resource running | running");
    world.coordinator.cancel_pipeline(one).unwrap();
    assert_eq!(
        world.ask(None).await.status(),
        204,
        "a job that is being canceled still has it"
    );
}

#[tokio::test]
async fn a_newer_commit_cancels_the_pipeline_of_the_older_one() {
    let world = World::start().await;
    let pipeline = |on_new_commit| Pipeline {
        stages: vec!["build".to_owned()],
        jobs: vec![job("build", "a")],
        auto_cancel: AutoCancel {
            on_new_commit,
            on_job_failure: false,
        },
        ..Pipeline::default()
    };
    let head = Revision::Head;
    let first = world
        .coordinator
        .start_pipeline(&head, &pipeline(OnNewCommit::Conservative))
        .await
        .unwrap();
    let same = world
        .coordinator
        .start_pipeline(&head, &pipeline(OnNewCommit::None))
        .await
        .unwrap();
    assert_eq!(states(&world, first), "pending | pending", "the commit is the same");
    git(&world.repo, &["commit", "--quiet", "--allow-empty", "-m", "new"]);
    let newest = world
        .coordinator
        .start_pipeline(&head, &pipeline(OnNewCommit::None))
        .await
        .unwrap();
    assert_eq!(states(&world, first), "canceled | canceled");
    assert_eq!(states(&world, same), "pending | pending");
    assert_eq!(states(&world, newest), "pending | pending");
}

#[tokio::test]
async fn dotenv_variables_reach_the_jobs_that_depend_on_the_reporter() {
    let world = World::start().await;
    let reporter = Job {
        artifacts: Some(Artifacts {
            reports: vec![Report {
                kind: "dotenv".to_owned(),
                paths: vec!["build.env".to_owned()],
            }],
            ..Artifacts::default()
        }),
        environment: Some(Environment {
            name: "review".to_owned(),
            url: Some("https://x.test/$B".to_owned()),
            ..Environment::default()
        }),
        ..job("build", "a")
    };
    let apart = Job {
        needs: Some(Vec::new()),
        ..job("test", "c")
    };
    world.create(vec![reporter, job("test", "b"), apart]).await;
    let mut request = job_request(true);
    request["info"]["features"]["upload_multiple_artifacts"] = true.into();
    let response = world.send_json(Method::POST, "jobs/request", &request).await;
    let a = crate::support::taken(response).await;
    world.put(&a, "running").await;
    assert_eq!(
        upload(&world, &a, "dotenv", "gzip", ".env.gz", gzip("A=1\n# no\n")).await,
        400
    );
    assert_eq!(
        upload(&world, &a, "dotenv", "gzip", ".env.gz", gzip("URL=$HOME/x\nB = 2\n")).await,
        201
    );
    let c = world.take_and_accept().await;
    assert_eq!(variable(&c.payload, "URL"), None);
    world.put(&a, "success").await;
    let environment = world.coordinator.job(JobId(a.id)).unwrap().environment.unwrap();
    assert_eq!(environment.url.as_deref(), Some("https://x.test/2"));
    let b = world.take().await;
    assert_eq!(variable(&b.payload, "URL"), Some("$HOME/x"));
    assert_eq!(variable(&b.payload, "B"), Some("2"));
}

fn bridge(name: &str, wait: bool, include: ChildInclude) -> Job {
    Job {
        script: Vec::new(),
        trigger: Some(Trigger {
            target: TriggerTarget::Child(vec![include]),
            wait,
            forward_yaml_variables: true,
            ..Trigger::default()
        }),
        variables: vec![Variable {
            key: "FROM".to_owned(),
            value: "pipeline $CI_PIPELINE_ID".to_owned(),
            expand: true,
        }],
        ..job("test", name)
    }
}

fn commit(world: &World, path: &str, text: &str) {
    std::fs::write(world.repo.join(path), text).unwrap();
    git(&world.repo, &["add", path]);
    git(&world.repo, &["commit", "--quiet", "-m", path]);
}

#[tokio::test]
async fn a_bridge_starts_a_child_and_takes_its_result() {
    let world = World::start().await;
    commit(&world, "child.yml", "inner:\n  script: ok\n");
    let file = || ChildInclude::Include(json!({ "local": "child.yml" }));
    for (end, expected) in [("success", "success"), ("failed", "failed")] {
        let mut events = world.coordinator.subscribe();
        let parent = world.create(vec![bridge("waits", true, file())]).await;
        let child = loop {
            if let Event::PipelineCreated { pipeline, .. } = events.recv().await.unwrap() {
                break pipeline;
            }
        };
        let inner = world.take_when_there().await;
        world.put(&inner, "running").await;
        assert_eq!(variable(&inner.payload, "CI_PIPELINE_SOURCE"), Some("parent_pipeline"));
        assert_eq!(
            variable(&inner.payload, "FROM"),
            Some(format!("pipeline {parent}").as_str())
        );
        assert_eq!(
            variable(&inner.payload, "CI_UPSTREAM_PIPELINE_ID"),
            Some(parent.to_string().as_str())
        );
        assert_eq!(states(&world, parent), "running | running");
        assert_eq!(world.coordinator.pipeline(parent).unwrap().children, [child]);
        world.put(&inner, end).await;
        let record = world.coordinator.wait(parent).await.unwrap();
        assert_eq!(record.state.to_string(), expected);
        assert_eq!(record.jobs[0].downstream, Some(child));
    }
    let parent = world.create(vec![bridge("goes on", false, file())]).await;
    let inner = world.take_when_there().await;
    world.put(&inner, "running").await;
    world.put(&inner, "failed").await;
    let record = world.coordinator.wait(parent).await.unwrap();
    assert_eq!((record.state, record.children.len()), (JobState::Success, 1));
}

#[tokio::test]
async fn a_child_is_canceled_with_its_parent() {
    let world = World::start().await;
    commit(&world, "child.yml", "inner:\n  script: ok\n");
    let include = ChildInclude::Include(json!("child.yml"));
    let parent = world.create(vec![bridge("b", true, include)]).await;
    let inner = world.take_when_there().await;
    world.put(&inner, "running").await;
    world.coordinator.cancel_pipeline(parent).unwrap();
    assert_eq!(world.state(&inner), JobState::Canceling);
    assert_eq!(states(&world, parent), "canceled | canceled");
    let include = ChildInclude::Include(json!("child.yml"));
    let parent = world.create(vec![bridge("b", true, include)]).await;
    let inner = world.take_when_there().await;
    world.put(&inner, "running").await;
    let bridge = world.coordinator.pipeline(parent).unwrap().jobs[0].id;
    world.coordinator.cancel_job(bridge).unwrap();
    assert_eq!(
        world.state(&inner),
        JobState::Canceling,
        "the bridge alone was canceled"
    );
}

#[tokio::test]
async fn a_child_is_made_of_a_file_that_a_job_made() {
    let world = World::start().await;
    let include = ChildInclude::Artifact {
        job: "generate".to_owned(),
        path: "out/child.yml".to_owned(),
        inputs: serde_json::Map::new(),
    };
    let parent = world
        .create(vec![job("build", "generate"), bridge("b", true, include)])
        .await;
    let generate = world.take_and_accept().await;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("out/child.yml", options).unwrap();
    archive.write_all(b"made:\n  script: ok\n").unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    assert_eq!(
        upload(&world, &generate, "archive", "zip", "artifacts.zip", bytes).await,
        201
    );
    world.put(&generate, "success").await;
    let made = world.take_when_there().await;
    assert_eq!(made.payload["job_info"]["name"], "made");
    world.put(&made, "running").await;
    world.put(&made, "success").await;
    let record = world.coordinator.wait(parent).await.unwrap();
    assert_eq!(record.state, JobState::Success);
}

/// Compat: GitLab spec/services/ci/create_downstream_pipeline_service_spec.rb: the second level has no children.
#[tokio::test]
async fn children_have_children_but_those_have_none() {
    let world = World::start().await;
    let file = "again:\n  trigger: { include: child.yml, strategy: depend }\n";
    commit(&world, "child.yml", file);
    let include = ChildInclude::Include(json!("child.yml"));
    let mut pipeline = world.create(vec![bridge("again", true, include)]).await;
    let first = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(first.state, JobState::Failed);
    let mut shown = Vec::new();
    loop {
        let record = world.coordinator.pipeline(pipeline).unwrap();
        let job = &record.jobs[0];
        let reason = job.failure_reason.as_ref().map(ToString::to_string).unwrap_or_default();
        shown.push(format!("{reason}: {}", job.message.as_deref().unwrap_or_default()));
        match job.downstream {
            Some(child) => pipeline = child,
            None => break,
        }
    }
    assert_eq!(
        shown,
        [
            "unknown_failure: ",
            "unknown_failure: ",
            "reached_max_descendant_pipelines_depth: You reached the maximum depth of child pipelines: this one is 2 \
             levels below the first, and may not have children",
        ]
    );
}

#[tokio::test]
async fn a_bridge_that_cannot_be_says_why() {
    let world = World::start().await;
    let missing = bridge("missing", true, ChildInclude::Include(json!("nowhere.yml")));
    let elsewhere = Job {
        trigger: Some(Trigger {
            target: TriggerTarget::Project {
                path: "group/other".to_owned(),
                branch: None,
            },
            ..Trigger::default()
        }),
        ..job("test", "elsewhere")
    };
    let artifact = ChildInclude::Artifact {
        job: "nobody".to_owned(),
        path: "x.yml".to_owned(),
        inputs: serde_json::Map::new(),
    };
    let pipeline = world
        .create(vec![missing, elsewhere, bridge("artifact", true, artifact)])
        .await;
    let record = world.coordinator.wait(pipeline).await.unwrap();
    let shown: Vec<String> = record
        .jobs
        .iter()
        .map(|job| {
            let reason = job.failure_reason.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {reason}: {}", job.state, job.message.as_deref().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "failed downstream_pipeline_creation_failed: Local file `nowhere.yml` does not exist!",
            "skipped : pipelines of other projects are not started here, so group/other was not triggered",
            "failed downstream_pipeline_creation_failed: job nobody has no artifacts, so x.yml cannot be included",
        ]
    );
}

#[tokio::test]
async fn a_job_that_needs_another_pipeline_fails_if_there_is_none() {
    let world = World::start().await;
    let need = |pipeline: &str| Job {
        needs: Some(vec![Need {
            job: "build".to_owned(),
            artifacts: true,
            optional: false,
            pipeline: Some(pipeline.to_owned()),
        }]),
        ..job("test", "uses")
    };
    let pipeline = world.create(vec![need("$NO_SUCH_VARIABLE")]).await;
    assert_eq!(world.ask(None).await.status(), 204);
    let record = world.coordinator.wait(pipeline).await.unwrap();
    assert_eq!(
        record.jobs[0].failure_reason.as_ref().unwrap().as_str(),
        "missing_dependency_failure"
    );
}

#[tokio::test]
async fn an_id_token_says_which_job_it_is_and_can_be_verified() {
    let world = World::start().await;
    let wants = Job {
        id_tokens: vec![IdToken {
            name: "TOKEN".to_owned(),
            audience: vec!["https://vault.test".to_owned()],
        }],
        ..job("build", "a")
    };
    world.create(vec![wants]).await;
    let taken = world.take().await;
    let token = variable(&taken.payload, "TOKEN").unwrap().to_owned();
    let keys = world.client.get(format!("{}/oauth/discovery/keys", world.base));
    let keys: Value = keys.send().await.unwrap().json().await.unwrap();
    let claims = crate::support::verified_claims(&token, &keys);
    assert_eq!(claims["iss"], world.base);
    assert_eq!(claims["aud"], "https://vault.test");
    assert_eq!(claims["sub"], "project_path:local/sample:ref_type:branch:ref:main");
    assert_eq!(claims["job_id"], taken.id.to_string());
    let discovery = world
        .client
        .get(format!("{}/.well-known/openid-configuration", world.base));
    let discovery: Value = discovery.send().await.unwrap().json().await.unwrap();
    assert_eq!(discovery["jwks_uri"], format!("{}/oauth/discovery/keys", world.base));
}

#[tokio::test]
async fn variables_of_a_run_beat_those_of_the_file() {
    let world = World::start().await;
    commit(
        &world,
        ".gitlab-ci.yml",
        "a:\n  variables: {A: file, B: file}\n  script: ok\n",
    );
    let options = PipelineOptions {
        variables: vec![
            Given::new("A", "given"),
            Given {
                masked: true,
                ..Given::new("S", "secret")
            },
        ],
        ref_name: RefName::Branch("feature".to_owned()),
        ..PipelineOptions::default()
    };
    world.coordinator.create(&options).await.unwrap();
    let job = world.take().await;
    assert_eq!(variable(&job.payload, "A"), Some("given"));
    assert_eq!(variable(&job.payload, "B"), Some("file"));
    assert_eq!(variable(&job.payload, "CI_COMMIT_BRANCH"), Some("feature"));
    let secret = job.payload["variables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["key"] == "S")
        .unwrap();
    assert_eq!((&secret["masked"], &secret["public"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_job_that_is_left_out_stands_with_its_earlier_result() {
    let world = World::start().await;
    commit(
        &world,
        ".gitlab-ci.yml",
        "stages: [build, test]\na:\n  stage: build\n  script: ok\nb:\n  stage: test\n  script: ok\n",
    );
    let all = world.coordinator.create(&PipelineOptions::default()).await.unwrap();
    let a = world.take_and_accept().await;
    assert_eq!(
        upload(&world, &a, "archive", "zip", "artifacts.zip", b"archive".to_vec()).await,
        201
    );
    world.put(&a, "success").await;
    let b = world.take_and_accept().await;
    world.put(&b, "failed").await;
    world.coordinator.wait(all).await.unwrap();
    let only = |selection| PipelineOptions {
        selection,
        ..PipelineOptions::default()
    };
    let again = only(Selection {
        only_failed: true,
        ..Selection::default()
    });
    let pipeline = world.coordinator.create(&again).await.unwrap();
    let b = world.take_and_accept().await;
    assert_eq!(b.payload["job_info"]["name"], "b");
    let from = &b.payload["dependencies"][0];
    assert_eq!(from["name"], "a");
    let path = format!("jobs/{}/artifacts", from["id"]);
    let archive = world
        .call(Method::GET, &path)
        .header("JOB-TOKEN", &b.token)
        .send()
        .await
        .unwrap();
    assert_eq!(archive.bytes().await.unwrap().as_ref(), b"archive");
    let record = world.coordinator.pipeline(pipeline).unwrap();
    assert_eq!(
        record.jobs.iter().map(|job| job.reused).collect::<Vec<_>>(),
        [true, false]
    );
    let nobody = only(Selection {
        jobs: vec!["x".to_owned()],
        ..Selection::default()
    });
    let error = world.coordinator.create(&nobody).await.unwrap_err();
    assert_eq!(error.to_string(), "this pipeline has no job x; it has a, b");
}

#[tokio::test]
async fn files_with_variables_are_read_for_each_pipeline() {
    let world = World::start_with(|options| {
        options.sources.variable_files = vec![VariableFile {
            path: options.repo.join(".pipglr/variables.yml"),
            format: VariableFormat::Pipglr,
        }];
    })
    .await;
    commit(&world, ".gitlab-ci.yml", "a:\n  script: ok\n");
    std::fs::create_dir(world.repo.join(".pipglr")).unwrap();
    let file = world.repo.join(".pipglr/variables.yml");
    for value in ["one", "two"] {
        std::fs::write(&file, format!("project:\n  SETTING: {value}\n")).unwrap();
        world.coordinator.create(&PipelineOptions::default()).await.unwrap();
        assert_eq!(variable(&world.take().await.payload, "SETTING"), Some(value));
    }
    std::fs::write(&file, "projects: {}\n").unwrap();
    let error = world.coordinator.create(&PipelineOptions::default()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.ends_with("variables.yml: unknown key `projects`; there are `project`, `group` and `instance`"),
        "{said}"
    );
}
