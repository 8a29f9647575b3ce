//! The services of a job: images that run beside it and are found by name.
//!
//! Compat: gitlab-runner executors/docker/services.go, helpers/container/services/services.go.

use super::image::{self, ImagePlan};
use super::{AcceptedJob, AllVariables, allowed, settings};
use crate::config::{DockerConfig, ServiceConfig};
use crate::job::JobError;
use crate::job::variables::{Variables, expand};
use pipglr_protocol::Secret;
use pipglr_protocol::payload;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long services may take where config.toml does not say.
///
/// Compat: gitlab-runner common/consts.go.
const DEFAULT_WAIT: u64 = 30;

/// All services of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServicesPlan {
    pub list: Vec<ServicePlan>,
    /// How long they may take to be ready; `None`: they are not waited for.
    pub wait: Option<Duration>,
    /// Their output goes to the job's log (`CI_DEBUG_SERVICES`).
    pub show_output: bool,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    pub image: ImagePlan,
    /// `postgres:16`, as messages have it.
    pub title: String,
    /// The image's path and version, for labels.
    pub service: String,
    pub version: String,
    /// Last part of the container's name.
    pub role: String,
    /// Names by which the job's containers find it.
    pub aliases: Vec<String>,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, ServiceVariable>,
    pub privileged: bool,
    /// In podman's `--device` form.
    pub devices: Vec<String>,
}

/// A value of a service's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceVariable {
    pub value: Secret,
    /// Must not show in the container's configuration.
    pub hidden: bool,
}

impl ServiceVariable {
    /// Whether the engine is given it as a secret of its own. podman takes no empty one.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.hidden && !self.value.is_empty()
    }
}

impl ServicePlan {
    /// Variables the engine is given as secrets of their own.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let secret = self.environment.iter().filter(|(_, variable)| variable.is_secret());
        secret.map(|(key, variable)| (key.as_str(), &variable.value))
    }
}

/// A service as its author wrote it, in the job or in config.toml.
struct Wanted {
    image: payload::Image,
    is_configured: bool,
}

pub(super) fn lower(
    job: &AcceptedJob,
    all: &AllVariables,
    warnings: &mut Vec<String>,
) -> Result<ServicesPlan, JobError> {
    let docker = &job.runner.docker;
    let configured = docker.services.iter().map(from_config);
    let wanted: Vec<Wanted> = configured.chain(job.payload.services.iter().map(from_job)).collect();
    if let Some(limit) = docker.services_limit.and_then(|limit| usize::try_from(limit).ok())
        && wanted.len() > limit
    {
        return Err(JobError::Configuration(format!(
            "too many services requested: {}, only {limit} allowed",
            wanted.len()
        )));
    }
    let mut taken = BTreeSet::new();
    let mut list = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let plan = one(job, all, wanted, index, warnings)?;
        let (free, used): (Vec<String>, Vec<String>) = plan
            .aliases
            .iter()
            .cloned()
            .partition(|alias| taken.insert(alias.clone()));
        for alias in used {
            let name = &plan.image.name;
            warnings.push(format!(
                "Skipping alias {alias:?} for service {name:?} (services[{index}]): alias is already in use by another service."
            ));
        }
        if free.is_empty() {
            warnings.push(format!(
                "service {:?} (services[{index}]) is not started: it has no name left",
                plan.image.name
            ));
        } else {
            list.push(ServicePlan { aliases: free, ..plan });
        }
    }
    Ok(ServicesPlan {
        wait: match docker.wait_for_services_timeout {
            0 => Some(Duration::from_secs(DEFAULT_WAIT)),
            seconds => u64::try_from(seconds).ok().map(Duration::from_secs),
        },
        show_output: !list.is_empty() && settings::debug(job, all, "CI_DEBUG_SERVICES", warnings),
        list,
    })
}

fn one(
    job: &AcceptedJob,
    all: &AllVariables,
    wanted: &Wanted,
    index: usize,
    warnings: &mut Vec<String>,
) -> Result<ServicePlan, JobError> {
    let variables = &all.variables;
    let image = image::lower_service(job, variables, &wanted.image, wanted.is_configured, warnings)?;
    let reference = Reference::parse(&image.name)
        .ok_or_else(|| JobError::Configuration(format!("invalid service image name: {}", image.name)))?;
    let mut aliases = reference.aliases();
    let own = variables.expand(&wanted.image.alias);
    aliases.extend(
        own.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|alias| !alias.is_empty())
            .map(str::to_owned),
    );
    let mut seen = BTreeSet::new();
    aliases.retain(|alias| seen.insert(alias.clone()));
    let docker = &job.runner.docker;
    Ok(ServicePlan {
        title: reference.title(),
        role: format!("{}-{index}", reference.service.replace('/', "__")),
        service: reference.service,
        version: reference.version,
        aliases,
        command: wanted.image.command.clone(),
        environment: environment(variables, &wanted.image.variables),
        privileged: is_privileged(docker, &image.name)?,
        devices: devices(docker, &image.name)?,
        image,
    })
}

fn from_job(image: &payload::Image) -> Wanted {
    Wanted {
        image: image.clone(),
        is_configured: false,
    }
}

fn from_config(service: &ServiceConfig) -> Wanted {
    let variable = |entry: &String| {
        let (key, value) = entry.split_once('=')?;
        Some(payload::Variable {
            key: key.to_owned(),
            value: Secret::new(value),
            public: true,
            ..payload::Variable::default()
        })
    };
    Wanted {
        image: payload::Image {
            name: service.name.clone(),
            alias: service.alias.clone(),
            command: service.command.clone(),
            entrypoint: service.entrypoint.clone(),
            variables: service.environment.iter().filter_map(variable).collect(),
            ..payload::Image::default()
        },
        is_configured: true,
    }
}

/// Public variables of the job, and the service's own, which may refer to all of the job's.
fn environment(variables: &Variables, own: &[payload::Variable]) -> BTreeMap<String, ServiceVariable> {
    let value_of = |name: &str| {
        let of_service = own
            .iter()
            .rev()
            .find(|v| v.key == name)
            .map(|v| v.value.expose().to_owned());
        of_service.or_else(|| variables.get(name)).unwrap_or_default()
    };
    let of_service = own.iter().map(|v| {
        let text = v.value.expose();
        let value = if v.raw { text.to_owned() } else { expand(text, value_of) };
        (v.key.as_str(), Secret::new(value), v.masked)
    });
    let of_job = variables.for_services().map(|(key, value)| (key, value, false));
    of_job
        .chain(of_service)
        .map(|(key, value, masked)| {
            let hidden = masked || variables.holds_secret(value.expose());
            (key.to_owned(), ServiceVariable { value, hidden })
        })
        .collect()
}

/// Compat: gitlab-runner executors/docker/docker.go `isInPrivilegedServiceList`.
fn is_privileged(docker: &DockerConfig, name: &str) -> Result<bool, JobError> {
    if !docker.services_privileged.unwrap_or(docker.privileged) {
        return Ok(false);
    }
    let patterns = &docker.allowed_privileged_services;
    Ok(patterns.is_empty() || allowed::matches("allowed_privileged_services", name, patterns)?)
}

/// `services_devices`: devices by patterns of the image's name.
fn devices(docker: &DockerConfig, name: &str) -> Result<Vec<String>, JobError> {
    let mut devices = Vec::new();
    for (pattern, list) in &docker.services_devices {
        if allowed::matches("services_devices", name, std::slice::from_ref(pattern))? {
            devices.extend(list.iter().cloned());
        }
    }
    Ok(devices)
}

/// An image's name taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    /// Without port, tag and digest.
    service: String,
    /// Tag, or digest with its `@`.
    version: String,
}

impl Reference {
    /// `None` if there is no name.
    fn parse(name: &str) -> Option<Self> {
        let (path, digest) = name.split_once('@').map_or((name, None), |(p, d)| (p, Some(d)));
        let last = path.rfind('/').map_or(0, |at| at + 1);
        let (path, tag) = match path[last..].split_once(':') {
            Some((_, tag)) => (&path[..path.len() - tag.len() - 1], Some(tag)),
            None => (path, None),
        };
        let (host, rest) = path.split_once('/').map_or((path, None), |(h, r)| (h, Some(r)));
        // Only a host is left with a colon: its port.
        let host = host.split(':').next().unwrap_or_default();
        let service = rest.map_or_else(|| host.to_owned(), |rest| format!("{host}/{rest}"));
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let parts_are_fine = service
            .split('/')
            .all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
        (parts_are_fine && service.chars().all(fine)).then(|| Self {
            service,
            version: match digest {
                Some(digest) => format!("@{digest}"),
                None => tag.unwrap_or("latest").to_owned(),
            },
        })
    }

    fn title(&self) -> String {
        let sign = if self.version.starts_with('@') { "" } else { ":" };
        format!("{}{sign}{}", self.service, self.version)
    }

    fn aliases(&self) -> Vec<String> {
        vec![self.service.replace('/', "__"), self.service.replace('/', "-")]
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn names_of_services_come_from_their_images() {
        let digest = "@sha256:9e0bc8ee8f9d4d4a1c0f0aebf0b7b7dbe6d9d8c1b8a16b2e7f8d8f0a2d8c4f51";
        // (name without tag, service, aliases)
        let names = [
            ("postgres", "postgres", "postgres"),
            ("tutum/wordpress", "tutum/wordpress", "tutum__wordpress tutum-wordpress"),
            ("reg.tld/svc", "reg.tld/svc", "reg.tld__svc reg.tld-svc"),
            ("reg.tld/ns/svc", "reg.tld/ns/svc", "reg.tld__ns__svc reg.tld-ns-svc"),
            ("reg.tld:8080/svc", "reg.tld/svc", "reg.tld__svc reg.tld-svc"),
            (
                "reg.tld:8080/ns/svc",
                "reg.tld/ns/svc",
                "reg.tld__ns__svc reg.tld-ns-svc",
            ),
            ("a.reg.tld:8080/svc", "a.reg.tld/svc", "a.reg.tld__svc a.reg.tld-svc"),
            (
                "a.reg.tld:8080/ns/svc",
                "a.reg.tld/ns/svc",
                "a.reg.tld__ns__svc a.reg.tld-ns-svc",
            ),
            ("a/b/c/d", "a/b/c/d", "a__b__c__d a-b-c-d"),
            ("localhost:5000/x", "localhost/x", "localhost__x localhost-x"),
        ];
        for (name, service, aliases) in names {
            for (written, version, title) in [
                ("", "latest", ":latest"),
                (":16", "16", ":16"),
                (":v1.2-x", "v1.2-x", ":v1.2-x"),
                (digest, digest, digest),
            ] {
                let reference = Reference::parse(&format!("{name}{written}")).unwrap();
                assert_eq!(
                    (reference.service.as_str(), reference.version.as_str()),
                    (service, version),
                    "{name}{written}"
                );
                let mut found = reference.aliases();
                found.dedup();
                assert_eq!(found.join(" "), aliases, "{name}{written}");
                assert_eq!(reference.title(), format!("{service}{title}"));
            }
        }
        assert_eq!(Reference::parse(&format!("x/y:3{digest}")).unwrap().version, digest);
        for name in ["", ":16", "a b", "/x", "a//b", "-x", "$X"] {
            assert_eq!(Reference::parse(name), None, "{name}");
        }
    }
}
