//! What rules see, by the pipeline's kind and the project's home.

use super::{Facts, before_pipeline};
use crate::creation::{MergeRequest, PipelineKind};
use crate::options::ServeOptions;
use crate::pipeline::{Parent, PipelineId, Source};
use crate::project::{Commit, Project, RefKind, Reference};
use crate::url::ExternalUrl;
use pipglr_protocol::payload::JobId;
use std::path::PathBuf;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn source(kind: RefKind, name: &str) -> Source {
    Source {
        reference: Reference {
            name: name.to_owned(),
            kind,
            tag_message: "notes".to_owned(),
        },
        commit: Commit {
            sha: SHA.to_owned(),
            author: "Ann <ann@test>".to_owned(),
            timestamp: "2026-01-01T00:00:00+01:00".to_owned(),
            message: "Title\n\nbody\n".to_owned(),
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

fn project() -> Project {
    Project {
        repo: PathBuf::from("/repo"),
        path: "Group/sub/App".to_owned(),
        default_branch: "main".to_owned(),
        config_path: ".gitlab-ci.yml".to_owned(),
        object_format: "sha1".to_owned(),
        server: Some(ExternalUrl::parse("https://git.test:8443").unwrap()),
        ssh: Some(("ssh.git.test".to_owned(), 2222)),
        is_local: true,
        user_name: "Ann".to_owned(),
        user_email: "ann@test".to_owned(),
    }
}

/// Checks `KEY=value` pairs; `KEY` alone is for a variable that is not there.
#[track_caller]
fn check(project: &Project, source: &Source, expected: &[&str]) {
    let variables = before_pipeline(
        &Facts {
            url: &ExternalUrl::parse("http://10.0.2.2:8080").unwrap(),
            project,
            options: &ServeOptions::new("/repo", "/data", "http://10.0.2.2:8080"),
            source,
        },
        7,
    );
    for wanted in expected {
        let (key, value) = wanted.split_once('=').map_or((*wanted, None), |(k, v)| (k, Some(v)));
        let found = variables.iter().rfind(|v| v.key == key).map(|v| v.value.expose());
        assert_eq!(found, value, "{key}");
    }
}

#[test]
fn branches_tags_and_commits_have_their_own_variables() {
    let zeros = format!("CI_COMMIT_BEFORE_SHA={}", "0".repeat(40));
    check(
        &project(),
        &source(RefKind::Branch, "feature/A"),
        &[
            "CI_COMMIT_BRANCH=feature/A",
            "CI_COMMIT_TAG",
            "CI_COMMIT_REF_NAME=feature/A",
            "CI_COMMIT_REF_SLUG=feature-a",
            "CI_COMMIT_SHORT_SHA=01234567",
            "CI_COMMIT_TITLE=Title",
            "CI_COMMIT_DESCRIPTION=body",
            "CI_PIPELINE_SOURCE=push",
            "CI_PIPELINE_IID=7",
            "CI_PIPELINE_ID",
            "CI_JOB_ID",
            "CI_MERGE_REQUEST_IID",
            "CI_CONFIG_REF_URI=git.test:8443/Group/sub/App//.gitlab-ci.yml@refs/heads/feature/A",
            &zeros,
        ],
    );
    check(
        &project(),
        &source(RefKind::Tag, "v1"),
        &["CI_COMMIT_BRANCH", "CI_COMMIT_TAG=v1", "CI_COMMIT_TAG_MESSAGE=notes"],
    );
    check(
        &project(),
        &source(RefKind::Detached, "01234567"),
        &["CI_COMMIT_BRANCH", "CI_COMMIT_TAG"],
    );
    let compared = Source {
        base: Some("f".repeat(40)),
        ..source(RefKind::Branch, "main")
    };
    let base = format!("CI_COMMIT_BEFORE_SHA={}", "f".repeat(40));
    check(&project(), &compared, &[&base]);
}

#[test]
fn a_merge_request_has_a_source_a_target_and_no_branch() {
    let request = MergeRequest {
        target: Some("main".to_owned()),
        iid: 3,
        labels: vec!["a".to_owned(), "b".to_owned()],
        description: "x".repeat(2701),
        draft: true,
        ..MergeRequest::default()
    };
    let source = Source {
        kind: PipelineKind::MergeRequest(request),
        base: Some("f".repeat(40)),
        ..source(RefKind::MergeRequest, "topic")
    };
    let base = format!("CI_MERGE_REQUEST_DIFF_BASE_SHA={}", "f".repeat(40));
    let description = format!("CI_MERGE_REQUEST_DESCRIPTION={}", "x".repeat(2700));
    let zeros = format!("CI_COMMIT_BEFORE_SHA={}", "0".repeat(40));
    check(
        &project(),
        &source,
        &[
            "CI_PIPELINE_SOURCE=merge_request_event",
            "CI_COMMIT_BRANCH",
            "CI_COMMIT_REF_NAME=topic",
            "CI_MERGE_REQUEST_IID=3",
            "CI_MERGE_REQUEST_REF_PATH=refs/merge-requests/3/head",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=topic",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main",
            "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED=true",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=",
            "CI_MERGE_REQUEST_TITLE=Title",
            "CI_MERGE_REQUEST_LABELS=a,b",
            "CI_MERGE_REQUEST_DRAFT=true",
            "CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED=true",
            "CI_MERGE_REQUEST_EVENT_TYPE=detached",
            "CI_MERGE_REQUEST_PROJECT_PATH=Group/sub/App",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_URL=https://git.test:8443/Group/sub/App",
            "CI_OPEN_MERGE_REQUESTS=Group/sub/App!3",
            &base,
            &description,
            &zeros,
        ],
    );
}

#[test]
fn other_causes_have_their_words() {
    for (kind, expected) in [
        (
            PipelineKind::Schedule {
                description: "nightly".to_owned(),
            },
            &[
                "CI_PIPELINE_SOURCE=schedule",
                "CI_PIPELINE_SCHEDULE_DESCRIPTION=nightly",
            ][..],
        ),
        (PipelineKind::Web, &["CI_PIPELINE_SOURCE=web", "CI_PIPELINE_TRIGGERED"]),
        (PipelineKind::Api, &["CI_PIPELINE_SOURCE=api"]),
        (
            PipelineKind::Trigger { payload: String::new() },
            &["CI_PIPELINE_SOURCE=trigger", "CI_PIPELINE_TRIGGERED=true"],
        ),
    ] {
        let source = Source {
            kind,
            ..source(RefKind::Branch, "main")
        };
        check(&project(), &source, expected);
    }
    let child = Source {
        kind: PipelineKind::Parent,
        parent: Some(Parent {
            pipeline: PipelineId(5),
            job: JobId(9),
        }),
        ..source(RefKind::Branch, "main")
    };
    check(
        &project(),
        &child,
        &[
            "CI_PIPELINE_SOURCE=parent_pipeline",
            "CI_UPSTREAM_PIPELINE_ID=5",
            "CI_UPSTREAM_JOB_ID=9",
        ],
    );
}

#[test]
fn a_local_run_shows_the_project_of_the_remote() {
    let branch = source(RefKind::Branch, "main");
    check(
        &project(),
        &branch,
        &[
            "PIPGLR_LOCAL=true",
            "GITLAB_CI=true",
            "CI_SERVER_URL=https://git.test:8443",
            "CI_SERVER_HOST=git.test",
            "CI_SERVER_PORT=8443",
            "CI_SERVER_FQDN=git.test:8443",
            "CI_SERVER_SHELL_SSH_HOST=ssh.git.test",
            "CI_SERVER_SHELL_SSH_PORT=2222",
            "CI_API_V4_URL=https://git.test:8443/api/v4",
            "CI_PROJECT_URL=https://git.test:8443/Group/sub/App",
            "CI_PROJECT_PATH=Group/sub/App",
            "CI_PROJECT_NAMESPACE=Group/sub",
            "CI_PROJECT_ROOT_NAMESPACE=Group",
            "CI_PROJECT_NAME=App",
            "CI_PROJECT_PATH_SLUG=group-sub-app",
            "CI_REGISTRY=registry.git.test",
            "CI_REGISTRY_IMAGE=registry.git.test/group/sub/app",
            "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX=git.test:8443/group/dependency_proxy/containers",
            "GITLAB_USER_LOGIN=ann",
        ],
    );
    let served = Project {
        server: None,
        ssh: None,
        is_local: false,
        ..project()
    };
    check(
        &served,
        &branch,
        &[
            "PIPGLR_LOCAL",
            "CI_SERVER_URL=http://10.0.2.2:8080",
            "CI_REGISTRY",
            "CI_REGISTRY_IMAGE",
        ],
    );
}
