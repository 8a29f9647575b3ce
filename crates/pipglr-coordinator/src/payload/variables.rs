//! The variables of a job, in GitLab's order: of a key that appears twice the last counts.
//!
//! Compat: GitLab lib/gitlab/ci/variables/builder.rb.

use super::expand::expand;
use super::slug::slugify;
use super::{PROJECT_ID, PayloadContext};
use crate::project::RefKind;
use jiff::Timestamp;
use pipglr_ci::model::When;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::Variable;

/// The GitLab version whose behaviour is followed.
const SERVER_VERSION: [&str; 3] = ["19", "4", "0"];

/// All variables of the job, expanded as far as GitLab does it.
pub(super) fn job_variables(context: &PayloadContext<'_>) -> Vec<Variable> {
    let mut list = List(Vec::new());
    persisted(context, &mut list);
    job(context, &mut list);
    server(context, &mut list);
    project(context, &mut list);
    pipeline(context, &mut list);
    commit(context, &mut list);
    runner(context, &mut list);
    for variable in &context.job.definition.variables {
        list.0.push(Variable {
            raw: !variable.expand,
            ..public(&variable.key, &variable.value)
        });
    }
    user(context, &mut list);
    let mut variables = list.0;
    expand(&mut variables);
    variables
}

/// Zeros as long as the commit's own name: no earlier pipeline is known.
pub(super) fn before_sha(sha: &str) -> String {
    "0".repeat(sha.len())
}

fn public(key: &str, value: &str) -> Variable {
    Variable {
        key: key.to_owned(),
        value: Secret::new(value),
        public: true,
        ..Variable::default()
    }
}

struct List(Vec<Variable>);

impl List {
    fn add(&mut self, key: &str, value: impl AsRef<str>) {
        self.0.push(public(key, value.as_ref()));
    }

    /// For text that people wrote: a `$` in a commit message is no reference.
    fn add_text(&mut self, key: &str, value: &str) {
        self.0.push(Variable {
            raw: true,
            ..public(key, value)
        });
    }

    fn add_secret(&mut self, key: &str, value: Secret) {
        self.0.push(Variable {
            value,
            public: false,
            masked: true,
            ..public(key, "")
        });
    }
}

fn persisted(context: &PayloadContext<'_>, list: &mut List) {
    let (base, path) = (&context.url.base, &context.project.path);
    let (pipeline, job) = (context.pipeline.id, context.job);
    let started = iso(job.times.started_at.unwrap_or(context.now));
    list.add("CI_PIPELINE_ID", pipeline.to_string());
    list.add("CI_PIPELINE_URL", format!("{base}/{path}/-/pipelines/{pipeline}"));
    list.add("CI_JOB_ID", job.id.to_string());
    list.add("CI_JOB_URL", format!("{base}/{path}/-/jobs/{}", job.id));
    list.add_secret("CI_JOB_TOKEN", job.token.clone());
    list.add("CI_JOB_STARTED_AT", &started);
    list.add("CI_JOB_STARTED_AT_SLUG", slugify(&started));
    list.add_secret("CI_REPOSITORY_URL", context.repo_url());
}

fn job(context: &PayloadContext<'_>, list: &mut List) {
    let definition = &context.job.definition;
    list.add("CI_JOB_NAME", &definition.name);
    list.add("CI_JOB_NAME_SLUG", slugify(&definition.name));
    list.add("CI_JOB_GROUP_NAME", &definition.name);
    list.add("CI_JOB_STAGE", &definition.stage);
    if definition.when == When::Manual {
        list.add("CI_JOB_MANUAL", "true");
    }
    list.add("CI_NODE_TOTAL", "1");
}

fn server(context: &PayloadContext<'_>, list: &mut List) {
    let url = context.url;
    let [major, minor, patch] = SERVER_VERSION;
    list.add("CI", "true");
    list.add("GITLAB_CI", "true");
    list.add("CI_SERVER_FQDN", &url.fqdn);
    list.add("CI_SERVER_URL", &url.base);
    list.add("CI_SERVER_HOST", &url.host);
    list.add("CI_SERVER_PORT", url.port.to_string());
    list.add("CI_SERVER_PROTOCOL", &url.protocol);
    list.add("CI_SERVER_NAME", "GitLab");
    list.add("CI_SERVER_VERSION", SERVER_VERSION.join("."));
    list.add("CI_SERVER_VERSION_MAJOR", major);
    list.add("CI_SERVER_VERSION_MINOR", minor);
    list.add("CI_SERVER_VERSION_PATCH", patch);
    list.add("CI_SERVER_REVISION", concat!("pipglr-", env!("CARGO_PKG_VERSION")));
    list.add("GITLAB_FEATURES", "");
    list.add("CI_API_V4_URL", format!("{}/api/v4", url.base));
    list.add("CI_API_GRAPHQL_URL", format!("{}/api/graphql", url.base));
}

fn project(context: &PayloadContext<'_>, list: &mut List) {
    let project = context.project;
    list.add("CI_PROJECT_ID", PROJECT_ID.to_string());
    list.add("CI_PROJECT_NAME", project.name());
    list.add("CI_PROJECT_TITLE", project.name());
    list.add("CI_PROJECT_DESCRIPTION", "");
    list.add("CI_PROJECT_TOPICS", "");
    list.add("CI_PROJECT_PATH", &project.path);
    list.add("CI_PROJECT_PATH_SLUG", slugify(&project.path));
    list.add("CI_PROJECT_NAMESPACE", project.namespace());
    list.add("CI_PROJECT_NAMESPACE_SLUG", slugify(project.namespace()));
    list.add("CI_PROJECT_NAMESPACE_ID", "1");
    list.add("CI_PROJECT_ROOT_NAMESPACE", project.root_namespace());
    list.add("CI_PROJECT_URL", format!("{}/{}", context.url.base, project.path));
    list.add("CI_PROJECT_VISIBILITY", "private");
    list.add("CI_PROJECT_REPOSITORY_LANGUAGES", "");
    list.add("CI_PROJECT_CLASSIFICATION_LABEL", "");
    list.add("CI_DEFAULT_BRANCH", &project.default_branch);
    list.add("CI_DEFAULT_BRANCH_SLUG", slugify(&project.default_branch));
    list.add("CI_CONFIG_PATH", &project.config_path);
}

fn pipeline(context: &PayloadContext<'_>, list: &mut List) {
    let pipeline = context.pipeline;
    // One project on this instance: its own count is the instance's.
    list.add("CI_PIPELINE_IID", pipeline.id.to_string());
    list.add("CI_PIPELINE_SOURCE", "push");
    list.add("CI_PIPELINE_CREATED_AT", iso(pipeline.created_at));
}

fn commit(context: &PayloadContext<'_>, list: &mut List) {
    let source = &context.pipeline.source;
    let (reference, commit) = (&source.reference, &source.commit);
    let (message, truncated) = commit.limited_message();
    list.add("CI_COMMIT_SHA", &commit.sha);
    list.add("CI_COMMIT_SHORT_SHA", commit.short_sha());
    list.add("CI_COMMIT_BEFORE_SHA", before_sha(&commit.sha));
    list.add_text("CI_COMMIT_REF_NAME", &reference.name);
    list.add("CI_COMMIT_REF_SLUG", slugify(&reference.name));
    match reference.kind {
        RefKind::Branch => list.add_text("CI_COMMIT_BRANCH", &reference.name),
        RefKind::Tag => {
            list.add_text("CI_COMMIT_TAG", &reference.name);
            list.add_text("CI_COMMIT_TAG_MESSAGE", &reference.tag_message);
        }
        RefKind::Detached => {}
    }
    list.add_text("CI_COMMIT_MESSAGE", message);
    list.add("CI_COMMIT_MESSAGE_IS_TRUNCATED", truncated.to_string());
    list.add_text("CI_COMMIT_TITLE", commit.title());
    list.add_text("CI_COMMIT_DESCRIPTION", commit.description());
    list.add("CI_COMMIT_REF_PROTECTED", "false");
    list.add("CI_COMMIT_TIMESTAMP", &commit.timestamp);
    list.add_text("CI_COMMIT_AUTHOR", &commit.author);
}

fn runner(context: &PayloadContext<'_>, list: &mut List) {
    let runner = context.runner;
    // A JSON array as text, as in GitLab; a list of strings always serializes.
    let tags = serde_json::Value::from(runner.tags.clone()).to_string();
    list.add("CI_RUNNER_ID", runner.id.0.to_string());
    list.add_text("CI_RUNNER_DESCRIPTION", &runner.description);
    list.add_text("CI_RUNNER_TAGS", &tags);
}

fn user(context: &PayloadContext<'_>, list: &mut List) {
    let project = context.project;
    let login = project.user_email.split('@').next().unwrap_or_default();
    list.add("GITLAB_USER_ID", "1");
    list.add_text("GITLAB_USER_EMAIL", &project.user_email);
    list.add_text("GITLAB_USER_LOGIN", login);
    list.add_text("GITLAB_USER_NAME", &project.user_name);
}

/// UTC with whole seconds, `2026-01-02T03:04:05Z`.
fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
