//! Lowering: the accepted job becomes plain data that says everything that will be done. Pure.

mod accepted;
mod allowed;
mod artifacts;
mod cache;
mod cache_key;
mod cache_place;
mod git_urls;
mod image;
mod limits;
mod names;
mod nested;
mod network;
mod options;
mod platform;
mod registry;
mod services;
pub(super) mod settings;
mod sources;
mod steps;
mod timeouts;
mod variables;
mod volumes;

pub use accepted::{AcceptedJob, ClientIdentity, RegistriesFile, Seed, SlotNumbers};
pub use cache_place::{CACHE_INSIDE, CacheMount};
pub use image::{ImagePlan, PullPolicy};
pub use names::{Labels, Names, label};
pub use network::{NetworkPlan, OwnNetwork, Reach};
pub use options::{ContainerOptions, Limit};
pub use registry::RegistryAuth;
pub use services::{ServicePlan, ServiceVariable, ServicesPlan};
pub(crate) use steps::for_image;
pub use timeouts::Timeouts;

use super::JobError;
use super::feature_flags::FeatureFlags;
use super::variables::Variables;
use crate::cache_storage::CacheStorage;
use crate::container_side::helper::{
    CoordinatorAccess, Pauses, Phase, SourcesPlan, Strategy, external_config, external_file,
};
use crate::container_side::init::{FileVariable, InitPlan};
use crate::trace::TraceSettings;
use crate::trace::mask::Masker;
use cache::Caches;
use cache_place::CachePlace;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::JobPayload;
use std::time::Duration;

/// Everything that will be done for a job.
#[derive(Debug, Clone)]
pub struct JobPlan {
    pub names: Names,
    pub labels: Labels,
    pub timeouts: Timeouts,
    /// Tries of a stage whose container vanished.
    pub section_attempts: u32,
    /// A failing `after_script` does not fail the job.
    pub ignore_after_script: bool,
    pub image: ImagePlan,
    pub services: ServicesPlan,
    pub network: NetworkPlan,
    pub options: ContainerOptions,
    pub builds: BuildsVolume,
    pub volumes: Vec<VolumeMount>,
    /// Where helper containers find the project's caches; `None` if the job has none or they lie among its sources.
    pub cache: Option<CacheMount>,
    /// Where the project's caches are kept besides this machine.
    pub cache_storage: Option<CacheStorage>,
    /// Phases of the first helper container; none for jobs that need neither git nor artifacts.
    pub prepare_phases: Vec<Phase>,
    pub build: InitPlan,
    /// Phases after the scripts: caches, then artifacts.
    pub uploads_on_success: Vec<Phase>,
    pub uploads_on_failure: Vec<Phase>,
    /// Tidies the project directory at the very end.
    pub clean_up: Option<Phase>,
    /// The strategy of a job that needs no helper for its sources.
    pub skipped_sources: Option<Strategy>,
    pub pauses: Pauses,
    /// Whether the job's container gets what building images inside needs.
    pub privileged: bool,
    /// Sentences for the job's author, printed before the first phase.
    pub warnings: Vec<String>,
}

/// The volume that holds the project directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildsVolume {
    /// A volume's name, or an absolute path outside the job's containers.
    pub name: String,
    /// Where it is mounted.
    pub directory: String,
    pub options: Vec<String>,
    /// Kept for the next job of this slot.
    pub reusable: bool,
    /// Tells the slots apart that see the same volume; empty if it is one slot's alone.
    pub slot: String,
}

/// A further volume of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// A volume's name, or an absolute path outside the job's containers.
    pub source: String,
    pub destination: String,
    pub options: Vec<String>,
}

/// First lines of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub runner_name: String,
    pub short_token: String,
    pub system_id: String,
    pub feature_flags: Vec<String>,
}

/// The first lines of a job's log. Never fails, so that even a job that cannot be planned says who refused it.
#[must_use]
pub fn header(job: &AcceptedJob) -> Header {
    Header {
        runner_name: job.runner.name.clone(),
        short_token: job.runner.token.short(),
        system_id: job.system_id.clone(),
        feature_flags: variables::all(job, &mut Vec::new()).flags.changed(),
    }
}

/// Whether the log may hold what is better not shown to everybody: the coordinator restricts who can read it.
#[must_use]
pub fn debug_trace(job: &AcceptedJob) -> bool {
    let all = variables::all(job, &mut Vec::new());
    ["CI_DEBUG_TRACE", "CI_DEBUG_SERVICES"]
        .iter()
        .any(|key| settings::debug(job, &all, key, &mut Vec::new()))
}

/// The variables of a job.
pub(super) fn variables_of(job: &AcceptedJob) -> Variables {
    variables::all(job, &mut Vec::new()).variables
}

/// Whether a feature flag is on.
pub(crate) fn flag_of(job: &AcceptedJob, name: &str) -> bool {
    variables::all(job, &mut Vec::new()).flags.is_on(name)
}

/// Pauses between tries of what comes before the plan.
pub(super) fn pauses_of(job: &AcceptedJob) -> Pauses {
    pauses(&variables::all(job, &mut Vec::new()).flags)
}

/// How the log of a job is written. Never fails, so that even a job that cannot be planned has a log without secrets.
#[must_use]
pub fn trace_settings(job: &AcceptedJob) -> TraceSettings {
    let all = variables::all(job, &mut Vec::new());
    let flags = &all.flags;
    let mut prefixes: Vec<String> = vec!["glpat-".to_owned()];
    if flags.is_on("FF_MASK_ALL_DEFAULT_TOKENS") {
        let more =
            "gloas- gldt- glrt- glcbt- glrtr- glptt- glft- glimt- glagent- glsoat- glffct- _gitlab_session= gltok-";
        prefixes.extend(more.split(' ').map(str::to_owned));
    }
    prefixes.extend(job.payload.features.token_mask_prefixes.iter().cloned());
    // The job's own token is masked even if the coordinator forgot to say so.
    let own = [job.payload.token.expose()];
    TraceSettings {
        timestamps: flags.is_on("FF_TIMESTAMPS"),
        sections: job.payload.features.trace_sections,
        limit: job.runner.output_limit_bytes(),
        masker: Masker::new(all.variables.masked_values().chain(own), &prefixes),
    }
}

/// The job's whole time, from the payload; two hours if it names none.
#[must_use]
pub fn timeout(payload: &JobPayload) -> Duration {
    Duration::from_secs(
        u64::try_from(payload.runner_info.timeout)
            .ok()
            .filter(|&s| s > 0)
            .unwrap_or(7200),
    )
}

/// What names of the job's objects begin with.
#[must_use]
pub fn unique_name(job: &AcceptedJob) -> String {
    Names::new(job).unique
}

/// Lowers a job.
///
/// # Errors
/// [`JobError::Configuration`]: what the job asks for is not allowed or not possible on this runner.
pub fn lower(job: &AcceptedJob) -> Result<JobPlan, JobError> {
    let mut warnings = Vec::new();
    refuse_unsupported(&job.payload)?;
    let all = variables::all(job, &mut warnings);
    if let Some(reason) = all.misplaced {
        return Err(JobError::Configuration(reason));
    }
    let names = Names::new(job);
    let image = image::lower(job, &all.variables, &mut warnings)?;
    let services = services::lower(job, &all, &mut warnings)?;
    let options = options::lower(job, &all.variables, &mut warnings)?;
    let privileged = is_privileged(job, &image)?;
    let strategy = sources::strategy(&job.payload, &all.variables, &mut warnings);
    let sources = sources::lower(job, &all, strategy, &mut warnings)?;
    let files = files(&all, &sources);
    all.flags.warn_of_ignored(&mut warnings);
    artifacts::warn_of_ignored(&all.variables, &mut warnings);
    let timeouts = Timeouts::new(job, &all, &mut warnings);
    let volumes = volumes::lower(job, &names, &all.variables, &all.directories, strategy)?;
    let caches = Caches {
        job,
        all: &all,
        place: &CachePlace::new(job, &all.directories, &volumes.further, strategy),
    };
    let (uploads_on_success, uploads_on_failure) = (finish_phases(&caches, true)?, finish_phases(&caches, false)?);
    let mut build = steps::lower(job, &all, &image, files, &timeouts, &mut warnings)?;
    build.groups.clone_from(&options.groups);
    nested::tell(job, privileged, &mut build);
    build.open_directories = volumes.open;
    build.hand_on_gitlab_env = !uploads_on_success.is_empty() || !uploads_on_failure.is_empty();
    let prepare_phases = prepare_phases(&caches, sources, &mut warnings)?;
    Ok(JobPlan {
        labels: Labels::new(job),
        timeouts,
        section_attempts: settings::attempts(&all.variables, "EXECUTOR_JOB_SECTION_ATTEMPTS", &mut warnings),
        ignore_after_script: settings::switch(&all.variables, "AFTER_SCRIPT_IGNORE_ERRORS", true, &mut warnings),
        image,
        network: network::lower(
            &job.runner.docker,
            &names,
            !services.list.is_empty(),
            all.flags.is_on("FF_NETWORK_PER_BUILD"),
            &mut warnings,
        ),
        services,
        options,
        builds: volumes.builds,
        skipped_sources: prepare_phases.is_empty().then_some(strategy),
        prepare_phases,
        build,
        uploads_on_success,
        uploads_on_failure,
        clean_up: sources::clean_up(&all, strategy).map(Phase::CleanUp),
        pauses: pauses(&all.flags),
        privileged,
        cache: caches.mount(),
        cache_storage: caches.storage(),
        volumes: volumes.further,
        warnings,
        names,
    })
}

/// Compat: gitlab-runner executors/docker/docker.go `isInPrivilegedImageList`.
fn is_privileged(job: &AcceptedJob, image: &ImagePlan) -> Result<bool, JobError> {
    let docker = &job.runner.docker;
    let patterns = &docker.allowed_privileged_images;
    Ok(docker.privileged
        && (patterns.is_empty() || allowed::matches("allowed_privileged_images", &image.name, patterns)?))
}

/// File variables, and git's access for a job whose helper does not write it.
fn files(all: &AllVariables, sources: &SourcesPlan) -> Vec<FileVariable> {
    let variables = all.variables.files();
    let mut files: Vec<FileVariable> = variables
        .map(|(path, content)| FileVariable { path, content })
        .collect();
    if sources.access.credential_helper && !sources.strategy.uses_git() {
        files.push(FileVariable {
            path: external_file(&all.directories.temp).display().to_string(),
            content: Secret::new(external_config(&sources.access)),
        });
    }
    files
}

/// Pauses between tries of a job's stage.
fn pauses(flags: &FeatureFlags) -> Pauses {
    if flags.is_on("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY") {
        Pauses::default()
    } else {
        Pauses::SHORT
    }
}

/// The job's variables with what was worked out on the way.
pub(super) struct AllVariables {
    pub(super) variables: Variables,
    pub(super) flags: FeatureFlags,
    pub(super) directories: names::Directories,
    /// Why the project cannot be where the job wants it.
    pub(super) misplaced: Option<String>,
}

/// What the engine cannot do yet ends the job with a clear word instead of a half-done job.
fn refuse_unsupported(payload: &JobPayload) -> Result<(), JobError> {
    let refuse = |what: &str| {
        Err(JobError::Configuration(format!(
            "this version of pipglr does not support {what}"
        )))
    };
    if !payload.run.is_empty() {
        return refuse("`run`: there is no step-runner, write a `script`");
    }
    if !payload.inputs.is_empty() {
        return refuse("job inputs");
    }
    let images = std::iter::once(&payload.image).chain(&payload.services);
    let unknown: Vec<String> = images.flat_map(image::unknown_options).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        refuse(&format!("these options of an image: {}", unknown.join(", ")))
    }
}

fn prepare_phases(
    caches: &Caches<'_>,
    sources: SourcesPlan,
    warnings: &mut Vec<String>,
) -> Result<Vec<Phase>, JobError> {
    let Caches { job, all, .. } = *caches;
    let mut phases: Vec<Phase> = caches.restore(warnings)?.into_iter().collect();
    phases.extend(artifacts::downloads(job, all, warnings));
    // Without git there is nothing to do for the sources: the builds volume is new.
    if sources.strategy.uses_git() || !phases.is_empty() {
        phases.insert(0, Phase::GetSources(Box::new(sources)));
    }
    Ok(phases)
}

/// What is kept after a success or a failure: caches, then artifacts.
fn finish_phases(caches: &Caches<'_>, success: bool) -> Result<Vec<Phase>, JobError> {
    let cache = caches.archive(success)?;
    let artifacts = artifacts::uploads(caches.job, caches.all, success);
    Ok(cache.into_iter().chain(artifacts).collect())
}

/// What `when` of caches and artifacts says for this outcome of the scripts.
fn is_kept(when: &str, success: bool) -> bool {
    match when {
        "always" => true,
        "on_failure" => !success,
        _ => success,
    }
}

fn access(job: &AcceptedJob) -> CoordinatorAccess {
    CoordinatorAccess {
        url: job.runner.url.clone(),
        ca: job.ca_certificates.clone(),
        identity: job.client_identity.as_ref().map(ClientIdentity::pem),
    }
}
