//! The job's image: which one, by which policies, with which credentials, as whom.

use super::{AcceptedJob, allowed, platform, registry};
use crate::job::JobError;
use crate::job::variables::Variables;
use pipglr_protocol::{Secret, payload};
use std::fmt;

/// What is to be known about the job's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlan {
    /// As its author wrote it, variables expanded.
    pub name: String,
    /// The full reference: short names mean Docker Hub, no tag means `latest`.
    pub reference: String,
    /// Whether the runner's default is used.
    pub is_default: bool,
    /// Tried in order.
    pub policies: Vec<PullPolicy>,
    /// Replaces the image's own unless empty.
    pub entrypoint: Vec<String>,
    /// The override was dropped by `disable_entrypoint_overwrite`.
    pub entrypoint_refused: bool,
    /// `user[:group]`; `None` is the image's own.
    pub user: Option<String>,
    pub platform: Option<String>,
    pub credentials: Option<RegistryCredentials>,
    /// TLS is not verified for this registry.
    pub insecure: bool,
}

/// Username and password for the image's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    pub username: String,
    pub password: Secret,
    /// Named in the log.
    pub origin: String,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "always" | "" => Some(Self::Always),
            "if-not-present" => Some(Self::IfNotPresent),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::IfNotPresent => "if-not-present",
            Self::Never => "never",
        })
    }
}

pub(super) fn lower(
    job: &AcceptedJob,
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<ImagePlan, JobError> {
    let docker = &job.runner.docker;
    let wanted = &job.payload.image;
    let is_default = wanted.name.is_empty();
    let name = variables.expand(if is_default { &docker.image } else { &wanted.name });
    if name.is_empty() {
        return Err(JobError::Configuration(
            "no image: the job names none, and config.toml has no `image` in [runners.docker]".to_owned(),
        ));
    }
    if !is_default {
        allowed::check("allowed_images", &name, &docker.allowed_images)?;
    }
    let user = user(job, variables)?;
    Ok(ImagePlan {
        is_default,
        user,
        ..described(job, variables, wanted, name, warnings)?
    })
}

/// The image of a service. Those of config.toml are always allowed, and the user is not checked.
///
/// Compat: gitlab-runner executors/docker/docker.go `expandAndGetDockerImage`, services.go.
pub(super) fn lower_service(
    job: &AcceptedJob,
    variables: &Variables,
    wanted: &payload::Image,
    is_configured: bool,
    warnings: &mut Vec<String>,
) -> Result<ImagePlan, JobError> {
    let name = variables.expand(&wanted.name);
    if !is_configured {
        allowed::check("allowed_services", &name, &job.runner.docker.allowed_services)?;
    }
    Ok(ImagePlan {
        user: option(wanted, "user")
            .map(|u| variables.expand(&u))
            .filter(|u| !u.is_empty()),
        ..described(job, variables, wanted, name, warnings)?
    })
}

/// What is the same for images of jobs and of services.
fn described(
    job: &AcceptedJob,
    variables: &Variables,
    wanted: &payload::Image,
    name: String,
    warnings: &mut Vec<String>,
) -> Result<ImagePlan, JobError> {
    let docker = &job.runner.docker;
    let reference = full_reference(&name);
    let entrypoint_refused = docker.disable_entrypoint_overwrite && !wanted.entrypoint.is_empty();
    Ok(ImagePlan {
        policies: policies(&name, &wanted.pull_policy, docker)?,
        entrypoint: if entrypoint_refused {
            Vec::new()
        } else {
            wanted.entrypoint.clone()
        },
        entrypoint_refused,
        user: None,
        platform: option(wanted, "platform")
            .map(|p| variables.expand(&p))
            .filter(|p| !p.is_empty())
            .map(|p| platform::normalized(&p, warnings))
            .transpose()?,
        credentials: registry::credentials(job, variables, &reference, warnings),
        insecure: job
            .runner
            .podman
            .insecure_registries
            .iter()
            .any(|r| Some(r.as_str()) == reference.split('/').next()),
        name,
        reference,
        is_default: false,
    })
}

/// `alpine` → `docker.io/library/alpine:latest`. Podman would ask which registry a short name means; nobody is there
/// to answer.
pub(super) fn full_reference(name: &str) -> String {
    let (first, rest) = name.split_once('/').map_or((name, None), |(f, r)| (f, Some(r)));
    let has_registry = rest.is_some() && (first.contains(['.', ':']) || first == "localhost");
    let mut reference = match (has_registry, rest) {
        (true, _) => name.to_owned(),
        (false, Some(_)) => format!("docker.io/{name}"),
        (false, None) => format!("docker.io/library/{name}"),
    };
    let last = reference.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@']) {
        reference.push_str(":latest");
    }
    reference
}

fn policies(image: &str, wanted: &[String], docker: &crate::config::DockerConfig) -> Result<Vec<PullPolicy>, JobError> {
    let parse = |source: &str, texts: &[String]| {
        texts
            .iter()
            .map(|t| {
                PullPolicy::parse(t).ok_or_else(|| {
                    JobError::Configuration(format!(
                        "unsupported pull_policy {t:?} in {source}: use always, if-not-present or never"
                    ))
                })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let mut configured = parse("config.toml", &docker.pull_policy)?;
    let mut configured_by = "Runner config";
    if configured.is_empty() {
        configured.push(PullPolicy::Always);
        configured_by = "Runner config (default)";
    }
    let mut allowed = parse("allowed_pull_policies of config.toml", &docker.allowed_pull_policies)?;
    if allowed.is_empty() {
        allowed.clone_from(&configured);
    }
    let (origin, requested) = if wanted.is_empty() {
        (configured_by, configured)
    } else {
        ("GitLab pipeline config", parse("the job", wanted)?)
    };
    let effective: Vec<PullPolicy> = requested.iter().copied().filter(|p| allowed.contains(p)).collect();
    if effective.is_empty() {
        return Err(JobError::Configuration(format!(
            "invalid pull policy for image {image:?}: pull_policy ([{}]) defined in {origin} is not one of the allowed_pull_policies ([{}])",
            join(&requested),
            join(&allowed)
        )));
    }
    Ok(effective)
}

/// Policies as messages list them.
pub(super) fn join(policies: &[PullPolicy]) -> String {
    policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl ImagePlan {
    /// The policies as messages list them.
    #[must_use]
    pub fn policy_list(&self) -> String {
        join(&self.policies)
    }
}

/// `user` of config.toml wins; the job's must be allowed.
fn user(job: &AcceptedJob, variables: &Variables) -> Result<Option<String>, JobError> {
    let docker = &job.runner.docker;
    let asked = option(&job.payload.image, "user")
        .map(|u| variables.expand(&u))
        .filter(|u| !u.is_empty());
    if let Some(user) = &asked {
        let only = [docker.user.clone()];
        let allowed: &[String] = if docker.allowed_users.is_empty() && !docker.user.is_empty() {
            &only
        } else {
            &docker.allowed_users
        };
        if !allowed.is_empty() && !allowed.contains(user) {
            return Err(JobError::Configuration(format!(
                "user {user:?} is not an allowed user: {allowed:?}"
            )));
        }
    }
    Ok(if docker.user.is_empty() {
        asked
    } else {
        Some(docker.user.clone())
    })
}

/// Options of an image nobody knows.
///
/// Compat: gitlab-runner common/spec/spec.go `UnsupportedOptions`.
pub(super) fn unknown_options(image: &payload::Image) -> Vec<String> {
    let known = |executor: &str| match executor {
        "docker" => &["platform", "user"][..],
        "kubernetes" => &["user"],
        _ => &[],
    };
    let mut unknown = Vec::new();
    for (executor, options) in &image.executor_opts {
        if known(executor).is_empty() {
            unknown.push(executor.clone());
            continue;
        }
        let keys = options.as_object().into_iter().flat_map(|o| o.keys());
        let strange = keys.filter(|key| !known(executor).contains(&key.as_str()));
        unknown.extend(strange.map(|key| format!("{executor}.{key}")));
    }
    unknown
}

/// A value of `image: docker:`; numbers are taken as text.
fn option(image: &payload::Image, key: &str) -> Option<String> {
    match image.executor_opts.get("docker")?.get(key)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::full_reference;

    #[test]
    fn short_names_mean_docker_hub() {
        for (name, reference) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("10.0.2.2:5000/ci/x", "10.0.2.2:5000/ci/x:latest"),
            ("host:5000/x:1", "host:5000/x:1"),
            ("reg.example/x@sha256:abc", "reg.example/x@sha256:abc"),
        ] {
            assert_eq!(full_reference(name), reference);
        }
    }
}
