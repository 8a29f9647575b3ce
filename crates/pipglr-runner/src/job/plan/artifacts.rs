//! Artifacts of a job, and those of earlier jobs it needs. Pure.
//!
//! Compat: gitlab-runner shells/abstract.go.

use super::{AcceptedJob, AllVariables, access, git_urls, is_kept, settings};
use crate::container_side::helper::{Download, DownloadsPlan, Pauses, Phase, ProvenancePlan, UploadsPlan};
use crate::job::variables::Variables;
use pipglr_protocol::payload::Artifact;
use std::time::Duration;

const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60 * 60);
const RESPONSE_HEADER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Variables that tune what is done otherwise here.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    (
        "FASTZIP_ARCHIVER_CONCURRENCY",
        "archives are made in one stream while they are sent",
    ),
    (
        "FASTZIP_ARCHIVER_BUFFER_SIZE",
        "archives are made in one stream while they are sent",
    ),
    (
        "FASTZIP_EXTRACTOR_CONCURRENCY",
        "archives are unpacked one file after the other",
    ),
    ("TRANSFER_METER_FREQUENCY", "the progress of transfers is not shown"),
];

/// Names what the job sets in vain.
pub(super) fn warn_of_ignored(variables: &Variables, warnings: &mut Vec<String>) {
    for (key, why) in WITHOUT_EFFECT {
        if variables.get(key).is_some_and(|value| !value.is_empty()) {
            warnings.push(format!("{key} has no effect: {why}"));
        }
    }
}

/// What is fetched of earlier jobs.
pub(super) fn downloads(job: &AcceptedJob, all: &AllVariables, warnings: &mut Vec<String>) -> Option<Phase> {
    let dependencies = job.payload.dependencies.iter();
    let downloads: Vec<Download> = dependencies
        .filter(|d| !d.artifacts_file.filename.is_empty())
        .map(|d| Download {
            job: d.id,
            name: d.name.clone(),
            token: d.token.clone(),
        })
        .collect();
    if downloads.is_empty() {
        return None;
    }
    Some(Phase::DownloadArtifacts(DownloadsPlan {
        coordinator: access(job),
        project_dir: all.directories.project.clone(),
        staging_dir: all.directories.temp.clone(),
        downloads,
        attempts: settings::attempts(&all.variables, "ARTIFACT_DOWNLOAD_ATTEMPTS", warnings),
        direct: all.flags.is_on("FF_USE_DIRECT_DOWNLOAD"),
        pauses: Pauses::SECOND,
    }))
}

/// What is sent after a success or a failure.
pub(super) fn uploads(job: &AcceptedJob, all: &AllVariables, success: bool) -> Option<Phase> {
    let has_content = |a: &&Artifact| !a.paths.is_empty() || !a.exclude.is_empty() || a.untracked;
    let artifacts: Vec<_> = job
        .payload
        .artifacts
        .iter()
        .filter(has_content)
        .filter(|a| is_kept(&a.when, success))
        .cloned()
        .collect();
    if artifacts.is_empty() {
        return None;
    }
    let configured = &job.runner.artifact;
    let seconds =
        |wanted: Option<Duration>, usual: Duration| wanted.filter(|d| !d.is_zero()).unwrap_or(usual).as_secs();
    Some(Phase::UploadArtifacts(UploadsPlan {
        stage: format!("upload_artifacts_on_{}", if success { "success" } else { "failure" }),
        coordinator: access(job),
        project_dir: all.directories.project.clone(),
        job: job.payload.id,
        token: job.payload.token.clone(),
        artifacts,
        compression: all.variables.get("ARTIFACT_COMPRESSION_LEVEL").unwrap_or_default(),
        timeout: seconds(configured.upload_timeout, UPLOAD_TIMEOUT),
        response_header_timeout: seconds(configured.response_header_timeout, RESPONSE_HEADER_TIMEOUT),
        pauses: Pauses::SHORT,
        provenance: provenance(job, all),
    }))
}

fn provenance(job: &AcceptedJob, all: &AllVariables) -> Option<Box<ProvenancePlan>> {
    settings::switch(
        &all.variables,
        "RUNNER_GENERATE_ARTIFACTS_METADATA",
        false,
        &mut Vec::new(),
    )
    .then(|| {
        let source = git_urls::without_credentials(job.payload.git_info.repo_url.expose());
        Box::new(ProvenancePlan {
            source: source.strip_suffix(".git").unwrap_or(&source).to_owned(),
            commit: job.payload.git_info.sha.clone(),
            job: job.payload.id,
            job_name: job.payload.job_info.name.clone(),
            runner_id: all.variables.get("CI_RUNNER_ID").unwrap_or_default(),
            runner_name: job.runner.name.clone(),
            executor: job.runner.executor.clone(),
            started: job.seed.accepted_at,
            parameters: job.payload.variables.iter().map(|v| v.key.clone()).collect(),
        })
    })
}
