//! All variables of a job, in GitLab's order: of a key that appears twice the last counts.
//!
//! Compat: GitLab lib/gitlab/ci/variables/builder.rb.

use super::expand::expand;
use super::list::{List, public};
use super::{commit, project};
use crate::creation::PipelineKind;
use crate::payload::PayloadContext;
use crate::slug::environment_slug;
use jiff::Timestamp;
use pipglr_ci::model::When;
use pipglr_ci::{covers, slugify};
use pipglr_protocol::payload::Variable;

/// All variables of the job, expanded as far as GitLab does it.
pub(crate) fn job_variables(context: &PayloadContext<'_>) -> Vec<Variable> {
    let facts = context.facts();
    let mut list = List::default();
    persisted(context, &mut list);
    for token in &context.job.definition.id_tokens {
        list.add_secret(&token.name, context.signer.sign(&context.claims(&token.audience)));
    }
    job(context, &mut list);
    project::server(&facts, &mut list);
    project::project(&facts, &mut list);
    // One project on this instance: its own count is the instance's.
    commit::pipeline(&facts, context.pipeline.id.0, &mut list);
    list.add("CI_PIPELINE_CREATED_AT", iso(context.pipeline.created_at));
    if let Some(name) = &context.pipeline.name {
        list.add_text("CI_PIPELINE_NAME", name);
    }
    commit::commit(&facts, &mut list);
    runner(context, &mut list);
    for variable in &context.job.definition.variables {
        list.0.push(Variable {
            raw: !variable.expand,
            ..public(&variable.key, &variable.value)
        });
    }
    project::user(&facts, &mut list);
    for (key, value) in context.producers.iter().flat_map(|job| &job.dotenv) {
        list.add_text(key, value);
    }
    given(context, &mut list);
    environment(context, &mut list);
    let mut variables = list.0;
    expand(&mut variables);
    variables
}

/// What is set for the instance, the group, the project, and for this run.
fn given(context: &PayloadContext<'_>, list: &mut List) {
    let environment = context.job.definition.environment.as_ref();
    let environment = environment.map(|environment| environment.name.as_str());
    for setting in context.settings {
        let variable = &setting.variable;
        let allowed = context.options.protected_ref || !variable.protected;
        if allowed && covers(&variable.environment_scope, environment) {
            list.add_given(variable);
        }
    }
    if let PipelineKind::Trigger { payload } = &context.pipeline.source.kind
        && !payload.is_empty()
    {
        list.add_given(&crate::Given {
            file: true,
            ..crate::Given::new("TRIGGER_PAYLOAD", payload.as_str())
        });
    }
    for variable in &context.pipeline.source.variables {
        list.add_given(variable);
    }
}

/// What is known of the environment before the job runs.
fn environment(context: &PayloadContext<'_>, list: &mut List) {
    let Some(environment) = &context.job.definition.environment else {
        return;
    };
    list.add("CI_ENVIRONMENT_SLUG", environment_slug(&environment.name));
    list.add(
        "CI_ENVIRONMENT_ID",
        environment_number(context, &environment.name).to_string(),
    );
    if let Some(url) = &environment.url {
        list.add("CI_ENVIRONMENT_URL", url);
    }
}

/// Environments are numbered as the pipeline's jobs name them.
fn environment_number(context: &PayloadContext<'_>, name: &str) -> usize {
    let mut names: Vec<&str> = Vec::new();
    for environment in context
        .pipeline
        .jobs
        .iter()
        .filter_map(|j| j.definition.environment.as_ref())
    {
        if !names.contains(&environment.name.as_str()) {
            names.push(&environment.name);
        }
    }
    names
        .iter()
        .position(|known| *known == name)
        .map_or(1, |index| index + 1)
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
    list.add(
        "CI_JOB_GROUP_NAME",
        definition.group.as_ref().unwrap_or(&definition.name),
    );
    list.add("CI_JOB_STAGE", &definition.stage);
    // Compat: GitLab app/models/ci/build.rb `action?`.
    if matches!(definition.when, When::Manual | When::Delayed) {
        list.add("CI_JOB_MANUAL", "true");
    }
    if let Some(node) = definition.node {
        list.add("CI_NODE_INDEX", node.index.to_string());
    }
    list.add(
        "CI_NODE_TOTAL",
        definition.node.map_or(1, |node| node.total).to_string(),
    );
    if let Some(environment) = &definition.environment {
        list.add("CI_ENVIRONMENT_NAME", &environment.name);
        list.add("CI_ENVIRONMENT_ACTION", environment.action.as_str());
        list.add("CI_ENVIRONMENT_TIER", &environment.tier);
        if let Some(url) = &environment.url {
            list.add("CI_ENVIRONMENT_URL", url);
        }
    }
}

fn runner(context: &PayloadContext<'_>, list: &mut List) {
    let runner = context.runner;
    // A JSON array as text, as in GitLab; a list of strings always serializes.
    let tags = serde_json::Value::from(runner.tags.clone()).to_string();
    list.add("CI_RUNNER_ID", runner.id.0.to_string());
    list.add_text("CI_RUNNER_DESCRIPTION", &runner.description);
    list.add_text("CI_RUNNER_TAGS", &tags);
}

/// UTC with whole seconds, `2026-01-02T03:04:05Z`.
fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
