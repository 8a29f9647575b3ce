//! A job as the runner gets it. Pure: same input, same payload.

mod cache;
mod claims;
mod release;
pub(crate) mod reports;
#[cfg(test)]
mod tests;

use crate::creation::PipelineKind;
use crate::id_tokens::Signer;
use crate::options::ServeOptions;
use crate::pipeline::{JobRun, PipelineRun};
use crate::project::{Project, RefKind};
use crate::record::ArtifactRecord;
use crate::state::Runner;
use crate::url::ExternalUrl;
use crate::variables::settings::Leveled;
use crate::variables::{Facts, before_sha, job_variables};
use jiff::Timestamp;
use pipglr_ci::model::{self, ArtifactsWhen};
use pipglr_protocol::Secret;
use pipglr_protocol::payload::{
    Artifact, ArtifactsFile, Dependency, GitInfo, Hook, Image, JobFeatures, JobInfo, JobPayload, RunnerInfo, Step,
    Variable,
};

/// The one project has a fixed number.
pub(crate) const PROJECT_ID: u64 = 1;

/// Failure reasons GitLab knows. Runners replace others before they report.
///
/// Compat: GitLab app/models/concerns/enums/ci/commit_status.rb.
pub(crate) const FAILURE_REASONS: &[&str] = &[
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "missing_dependency_failure",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
    "forward_deployment_failure",
    "user_blocked",
    "project_deleted",
    "ci_quota_exceeded",
    "pipeline_loop_detected",
    "no_matching_runner",
    "trace_size_exceeded",
    "builds_disabled",
    "environment_creation_failure",
    "deployment_rejected",
    "failed_outdated_deployment_job",
    "job_execution_server_timeout",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "server_timeout_running",
    "server_timeout_canceling",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "downstream_pipeline_creation_failed",
    "downstream_bridge_project_not_found",
    "upstream_bridge_project_not_found",
    "invalid_bridge_trigger",
    "insufficient_bridge_permissions",
    "insufficient_upstream_permissions",
    "reached_max_descendant_pipelines_depth",
    "reached_max_pipeline_hierarchy_size",
    "downstream_project_trigger_resolved_to_empty",
    "secrets_provider_not_found",
    "job_token_expired",
    "job_router_failure",
];

/// Everything a payload is made from.
#[derive(Debug)]
pub(crate) struct PayloadContext<'a> {
    pub(crate) options: &'a ServeOptions,
    pub(crate) url: &'a ExternalUrl,
    pub(crate) project: &'a Project,
    pub(crate) pipeline: &'a PipelineRun,
    pub(crate) job: &'a JobRun,
    pub(crate) runner: &'a Runner,
    /// The jobs it downloads from and whose dotenv variables it gets.
    pub(crate) producers: &'a [&'a JobRun],
    /// Variables of instance, group and project, weakest first.
    pub(crate) settings: &'a [Leveled],
    pub(crate) signer: &'a Signer,
    pub(crate) now: Timestamp,
}

impl PayloadContext<'_> {
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            url: self.url,
            project: self.project,
            options: self.options,
            source: &self.pipeline.source,
        }
    }

    /// The repository with the job's credentials.
    pub(crate) fn repo_url(&self) -> Secret {
        let (protocol, fqdn, path) = (&self.url.protocol, &self.url.fqdn, &self.project.path);
        Secret::new(format!(
            "{protocol}://gitlab-ci-token:{}@{fqdn}/{path}.git",
            self.job.token.expose()
        ))
    }

    fn timeout_seconds(&self) -> u64 {
        self.job
            .assignment
            .as_ref()
            .map_or(self.job.timeout(), |a| a.timeout)
            .as_secs()
    }
}

/// Builds the payload.
pub(crate) fn build(context: &PayloadContext<'_>) -> JobPayload {
    let variables = job_variables(context);
    let definition = &context.job.definition;
    JobPayload {
        id: context.job.id,
        token: context.job.token.clone(),
        allow_git_fetch: true,
        job_info: job_info(context),
        git_info: git_info(context, &variables),
        runner_info: RunnerInfo {
            timeout: i64::try_from(context.timeout_seconds()).unwrap_or(i64::MAX),
        },
        steps: steps(context),
        image: definition.image.as_ref().map(image).unwrap_or_default(),
        services: definition.services.iter().map(service).collect(),
        artifacts: definition.artifacts.as_ref().map(artifacts).unwrap_or_default(),
        cache: cache::caches(definition, context.options.protected_ref),
        credentials: context.options.registry_credentials.clone(),
        dependencies: dependencies(context),
        features: JobFeatures {
            trace_sections: true,
            token_mask_prefixes: ["glpat-", "glrt-", "glcbt-"].map(str::to_owned).to_vec(),
            failure_reasons: FAILURE_REASONS.iter().map(|&r| r.to_owned()).collect(),
        },
        variables,
        secrets: definition.secrets.clone().into_iter().collect(),
        hooks: hooks(definition),
        inputs: definition.inputs.iter().map(input).collect(),
        run: definition.run.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..JobPayload::default()
    }
}

fn hooks(definition: &model::Job) -> Vec<Hook> {
    let script = &definition.pre_get_sources_script;
    let hook = (!script.is_empty()).then(|| Hook {
        name: "pre_get_sources_script".to_owned(),
        script: script.clone(),
    });
    hook.into_iter().collect()
}

fn input(input: &model::JobInput) -> serde_json::Value {
    serde_json::json!({ "key": input.key, "value": { "content": input.value, "type": input.kind } })
}

fn job_info(context: &PayloadContext<'_>) -> JobInfo {
    let job = context.job;
    let queued = job
        .times
        .queued_at
        .map_or(0, |at| context.now.duration_since(at).as_millis().max(0));
    JobInfo {
        id: job.id,
        name: job.definition.name.clone(),
        stage: job.definition.stage.clone(),
        pipeline_id: context.pipeline.id.0,
        project_id: PROJECT_ID,
        project_name: context.project.name().to_owned(),
        project_full_path: context.project.path.clone(),
        time_in_queue_seconds: std::time::Duration::from_millis(u64::try_from(queued).unwrap_or(0)).as_secs_f64(),
        // Compat: what GitLab says to runners that do not belong to the whole instance.
        project_jobs_running_on_instance_runners_count: "+Inf".to_owned(),
        ..JobInfo::default()
    }
}

fn git_info(context: &PayloadContext<'_>, variables: &[Variable]) -> GitInfo {
    let source = &context.pipeline.source;
    let wished = variables
        .iter()
        .rfind(|v| v.key == "GIT_DEPTH")
        .and_then(|v| v.value.expose().trim().parse().ok());
    let depth = wished.unwrap_or(context.options.git_depth);
    GitInfo {
        repo_url: context.repo_url(),
        repo_object_format: context.project.object_format.clone(),
        reference: match &source.kind {
            PipelineKind::MergeRequest(request) => format!("refs/merge-requests/{}/head", request.iid),
            _ => source.reference.name.clone(),
        },
        sha: source.checkout.clone(),
        before_sha: before_sha(source),
        ref_type: if source.reference.kind == RefKind::Tag {
            "tag"
        } else {
            "branch"
        }
        .to_owned(),
        refspecs: refspecs(context.pipeline, depth),
        depth,
        protected: Some(context.options.protected_ref),
    }
}

/// The pipeline's own ref first, because it keeps the commit reachable whatever happens to the branch.
fn refspecs(pipeline: &PipelineRun, depth: u64) -> Vec<String> {
    let reference = &pipeline.source.reference;
    let (id, name) = (pipeline.id, &reference.name);
    let mut specs = vec![format!("+refs/pipelines/{id}:refs/pipelines/{id}")];
    match (depth, reference.kind) {
        (0, _) => {
            specs.push("+refs/heads/*:refs/remotes/origin/*".to_owned());
            specs.push("+refs/tags/*:refs/tags/*".to_owned());
        }
        (_, RefKind::Branch) => {
            specs.push(format!("+refs/heads/{name}:refs/remotes/origin/{name}"));
        }
        (_, RefKind::Tag) => specs.push(format!("+refs/tags/{name}:refs/tags/{name}")),
        // Nothing but the pipeline's own ref leads to a merge request here.
        (_, RefKind::MergeRequest | RefKind::Detached) => {}
    }
    specs
}

fn steps(context: &PayloadContext<'_>) -> Vec<Step> {
    let definition = &context.job.definition;
    let timeout = context.timeout_seconds();
    let step = |name: &str, script: &[String], when: &str, allow_failure| Step {
        name: name.to_owned(),
        script: script.to_vec(),
        timeout,
        when: when.to_owned(),
        allow_failure,
    };
    let mut steps = Vec::new();
    if definition.run.is_none() {
        steps.push(step("script", &definition.script, "on_success", false));
    }
    if let Some(release) = &definition.release {
        steps.push(step("release", &release::script(release), "on_success", false));
    }
    if !definition.after_script.is_empty() {
        steps.push(step("after_script", &definition.after_script, "always", true));
    }
    steps
}

fn image(image: &model::Image) -> Image {
    let mut docker = serde_json::Map::new();
    for (key, value) in [("platform", &image.platform), ("user", &image.user)] {
        if let Some(value) = value {
            docker.insert(key.to_owned(), value.clone().into());
        }
    }
    let mut executor_opts = serde_json::Map::new();
    if !docker.is_empty() {
        executor_opts.insert("docker".to_owned(), docker.into());
    }
    Image {
        name: image.name.clone(),
        entrypoint: image.entrypoint.clone(),
        pull_policy: image.pull_policy.clone(),
        executor_opts,
        ..Image::default()
    }
}

/// Compat: variables of services carry no mark of being public; the runner takes them for the service that names them.
fn service(service: &model::Service) -> Image {
    let variable = |variable: &model::Variable| Variable {
        key: variable.key.clone(),
        value: Secret::new(variable.value.as_str()),
        raw: !variable.expand,
        ..Variable::default()
    };
    Image {
        alias: service.alias.clone().unwrap_or_default(),
        command: service.command.clone(),
        variables: service.variables.iter().map(variable).collect(),
        ..image(&service.image)
    }
}

/// The archive and the reports, each an upload of its own.
fn artifacts(artifacts: &model::Artifacts) -> Vec<Artifact> {
    let expire_in = artifacts.expire_in.clone().unwrap_or_default();
    let report = |report: &model::Report| Artifact {
        name: reports::file_name(&report.kind),
        paths: report.paths.clone(),
        // Whatever came of the job.
        when: "always".to_owned(),
        artifact_type: report.kind.clone(),
        artifact_format: reports::format(&report.kind).to_owned(),
        expire_in: expire_in.clone(),
        ..Artifact::default()
    };
    let archive = archive(artifacts).into_iter();
    archive.chain(artifacts.reports.iter().map(report)).collect()
}

/// The archive's entry; a job that names no files gets none.
fn archive(artifacts: &model::Artifacts) -> Option<Artifact> {
    let when = match artifacts.when {
        ArtifactsWhen::OnSuccess => "on_success",
        ArtifactsWhen::OnFailure => "on_failure",
        ArtifactsWhen::Always => "always",
    };
    (artifacts.untracked || !artifacts.paths.is_empty()).then(|| Artifact {
        name: artifacts.name.clone().unwrap_or_default(),
        untracked: artifacts.untracked,
        paths: artifacts.paths.clone(),
        exclude: artifacts.exclude.clone(),
        when: when.to_owned(),
        artifact_type: ArtifactRecord::ARCHIVE.to_owned(),
        artifact_format: "zip".to_owned(),
        expire_in: artifacts.expire_in.clone().unwrap_or_default(),
    })
}

/// The archives that are there; jobs without one are left out.
fn dependencies(context: &PayloadContext<'_>) -> Vec<Dependency> {
    let jobs = context.producers.iter();
    let archives = jobs.filter_map(|job| {
        let archive = job.archive()?;
        archive.is_available(context.now).then(|| Dependency {
            id: job.id,
            // Compat: the downloading job authenticates with its own token.
            token: context.job.token.clone(),
            name: job.definition.name.clone(),
            artifacts_file: ArtifactsFile {
                filename: archive.filename.clone(),
                size: archive.size,
            },
        })
    });
    archives.collect()
}
