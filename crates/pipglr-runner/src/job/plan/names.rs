//! Names of containers and volumes, labels, directories.
//!
//! Compat: gitlab-runner common/build.go `ProjectUniqueName`, executors/docker/internal/{labels,volumes}.

use super::{AcceptedJob, BuildsVolume, VolumeMount};
use crate::container_side::helper::Strategy;
use crate::job::variables::Variables;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names of one job's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `runner-<short token>-project-<id>-concurrent-<n>`: host name, and start of all names.
    pub base: String,
    /// `base` and 64 random bits: unique.
    pub unique: String,
    /// Same for all jobs of this slot and project; names of volumes that are kept.
    reusable: String,
}

impl Names {
    pub(super) fn new(job: &AcceptedJob) -> Self {
        let project = job.payload.job_info.project_id;
        let raw = format!(
            "runner-{}-project-{project}-concurrent-{}",
            job.runner.token.short(),
            job.slot.runner
        );
        let base = dns_label(&raw);
        let key = format!(
            "{}-{}-{project}-{}",
            job.runner.token.expose(),
            job.system_id,
            job.slot.project
        );
        let digest = Sha256::digest(key.as_bytes());
        Self {
            unique: format!("{base}-{}", job.seed.unique),
            base,
            reusable: format!("runner-{}", hex(&digest[..16])),
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests(unique: &str) -> Self {
        Self {
            base: unique.to_owned(),
            unique: unique.to_owned(),
            reusable: "reusable".to_owned(),
        }
    }

    /// The container that has this role.
    #[must_use]
    pub fn container(&self, role: &str) -> String {
        format!("{}-{role}", self.unique)
    }

    /// The volume that holds the project directory: kept for strategy `fetch`, else removed after the job.
    pub(super) fn builds_volume(&self, job: &AcceptedJob, strategy: Strategy) -> BuildsVolume {
        let directory = builds_dir(job);
        let reusable = strategy == Strategy::Fetch && !job.runner.docker.disable_cache;
        BuildsVolume {
            name: self.volume(&directory, reusable, job),
            directory,
            reusable,
        }
    }

    /// Volumes of config.toml: `/path` is a volume of this slot, `source:/path[:options]` is taken as it is.
    pub(super) fn volumes(
        &self,
        job: &AcceptedJob,
        variables: &Variables,
        warnings: &mut Vec<String>,
    ) -> Vec<VolumeMount> {
        let mut mounts = Vec::new();
        for entry in &job.runner.docker.volumes {
            let parts: Vec<&str> = entry.split(':').collect();
            let mount = match parts.as_slice() {
                [destination] => {
                    let destination = variables.expand(destination);
                    let source = self.volume(&destination, !job.runner.docker.disable_cache, job);
                    VolumeMount {
                        source,
                        destination,
                        options: Vec::new(),
                    }
                }
                [source, destination, options @ ..] => VolumeMount {
                    source: (*source).to_owned(),
                    destination: variables.expand(destination),
                    options: options.iter().flat_map(|o| o.split(',')).map(str::to_owned).collect(),
                },
                [] => continue,
            };
            if mount.destination.starts_with('/') && mount.destination != "/" {
                mounts.push(mount);
            } else {
                warnings.push(format!(
                    "volume {entry:?} of config.toml is ignored: its path inside the container must be absolute"
                ));
            }
        }
        mounts
    }

    fn volume(&self, destination: &str, reusable: bool, job: &AcceptedJob) -> String {
        let digest = Sha256::digest(destination.as_bytes());
        let protected = if protected(job) { "-protected" } else { "" };
        let prefix = if reusable { &self.reusable } else { &self.unique };
        format!("{prefix}-cache-{}{protected}", hex(&digest[..16]))
    }
}

/// Directories inside the job's containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directories {
    pub(crate) builds: String,
    pub(crate) project: String,
    pub(crate) temp: String,
}

impl Directories {
    pub(super) fn new(job: &AcceptedJob) -> Self {
        let builds = builds_dir(job);
        let project = format!("{builds}/{}", project_slug(job));
        Self::of(builds, project)
    }

    fn of(builds: String, project: String) -> Self {
        let temp = format!("{project}.tmp");
        Self { builds, project, temp }
    }

    /// The same with the project at `path`, which must be below the builds directory: beside it there has to be room
    /// for the temporary directory.
    pub(super) fn at(&self, path: &str) -> Option<Self> {
        let mut parts = Vec::new();
        for part in path.strip_prefix('/')?.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let project = format!("/{}", parts.join("/"));
        let below = project.strip_prefix(&self.builds)?;
        (below.starts_with('/') && !project.ends_with(".tmp")).then(|| Self::of(self.builds.clone(), project))
    }

    /// The same with a longer name for the project's directory.
    pub(super) fn suffixed(&self, suffix: &str) -> Self {
        Self::of(self.builds.clone(), format!("{}{suffix}", self.project))
    }
}

/// Labels of every object of a job, for people and for reaping what a crash left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    pub(super) fn new(job: &AcceptedJob) -> Self {
        let payload = &job.payload;
        let upstream = "com.gitlab.gitlab-runner";
        let mut labels = BTreeMap::from([
            ("pipglr.managed".to_owned(), "true".to_owned()),
            ("pipglr.job".to_owned(), payload.id.to_string()),
            ("pipglr.system_id".to_owned(), job.system_id.clone()),
        ]);
        for (key, value) in [
            ("job.id", payload.id.to_string()),
            ("job.sha", payload.git_info.sha.clone()),
            ("job.ref", payload.git_info.reference.clone()),
            ("project.id", payload.job_info.project_id.to_string()),
            ("pipeline.id", payload.job_info.pipeline_id.to_string()),
            ("runner.id", job.runner.token.short()),
            ("runner.system_id", job.system_id.clone()),
            ("managed", "true".to_owned()),
        ] {
            labels.insert(format!("{upstream}.{key}"), value);
        }
        Self(labels)
    }

    /// The labels of one kind of object: `build`, `helper`, `cache`.
    #[must_use]
    pub fn for_kind(&self, kind: &str) -> BTreeMap<String, String> {
        let mut labels = self.0.clone();
        labels.insert("pipglr.type".to_owned(), kind.to_owned());
        labels.insert("com.gitlab.gitlab-runner.type".to_owned(), kind.to_owned());
        labels
    }
}

/// Whether volumes and caches of this job are kept from jobs of unprotected branches.
///
/// Compat: gitlab-runner executors/docker/volume.go.
pub(super) fn protected(job: &AcceptedJob) -> bool {
    let payload = &job.payload;
    payload.git_info.protected == Some(true) || payload.cache.iter().any(|c| c.key.ends_with("-protected"))
}

fn builds_dir(job: &AcceptedJob) -> String {
    let dir = job.runner.builds_dir.trim_end_matches('/');
    if dir.is_empty() {
        "/builds".to_owned()
    } else {
        dir.to_owned()
    }
}

/// Path of the repository's URL without `.git`, or `project-<id>` if it cannot serve as a directory.
pub(super) fn project_slug(job: &AcceptedJob) -> String {
    let fallback = || format!("project-{}", job.payload.job_info.project_id);
    let Ok(url) = reqwest::Url::parse(job.payload.git_info.repo_url.expose()) else {
        return fallback();
    };
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let safe = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.is_empty() || !path.split('/').all(safe) {
        fallback()
    } else {
        path.to_owned()
    }
}

/// Lower case, only `[-a-z0-9]`, at most 63 characters.
///
/// Compat: gitlab-runner helpers/dns.
fn dns_label(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    let label: String = text
        .to_lowercase()
        .chars()
        .filter(allowed)
        .skip_while(|c| *c == '-')
        .take(63)
        .collect();
    label.trim_end_matches('-').to_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::dns_label;

    #[test]
    fn names_are_dns_labels() {
        assert_eq!(
            dns_label("runner-t9Wk_yj-HG-project-1-concurrent-0"),
            "runner-t9wkyj-hg-project-1-concurrent-0"
        );
        assert_eq!(dns_label(&"x".repeat(70)).len(), 63);
    }
}
