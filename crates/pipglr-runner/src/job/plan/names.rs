//! Names of containers and volumes, labels, directories.
//!
//! Compat: gitlab-runner common/build.go `ProjectUniqueName`, executors/docker/internal/{labels,volumes}.

use super::{AcceptedJob, timeout, volumes};
use crate::job::{go_duration, parse_bool};
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

    /// The same for all jobs of this slot and project, and another one for every other.
    pub(super) fn slot(&self) -> &str {
        &self.reusable
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

    /// The volume that is mounted at `destination`: of this slot if it is reusable, else of this job.
    pub(super) fn volume(&self, destination: &str, reusable: bool, job: &AcceptedJob) -> String {
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
        let project = format!("{}/{}", projects_dir(job, &builds), project_slug(job));
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
pub struct Labels {
    all: BTreeMap<String, String>,
    protected: bool,
}

impl Labels {
    pub(super) fn new(job: &AcceptedJob) -> Self {
        let payload = &job.payload;
        let mut labels = BTreeMap::from([
            ("pipglr.managed".to_owned(), "true".to_owned()),
            ("pipglr.job".to_owned(), payload.id.to_string()),
            ("pipglr.system_id".to_owned(), job.system_id.clone()),
        ]);
        for (key, value) in [
            ("job.id", payload.id.to_string()),
            ("job.url", job_url(job)),
            ("job.sha", payload.git_info.sha.clone()),
            ("job.before_sha", payload.git_info.before_sha.clone()),
            ("job.ref", payload.git_info.reference.clone()),
            ("job.timeout", go_duration(timeout(payload))),
            ("project.id", payload.job_info.project_id.to_string()),
            ("project.runner_id", job.slot.project.to_string()),
            ("pipeline.id", payload.job_info.pipeline_id.to_string()),
            ("runner.id", job.runner.token.short()),
            ("runner.local_id", job.slot.runner.to_string()),
            ("runner.system_id", job.system_id.clone()),
            ("managed", "true".to_owned()),
        ] {
            labels.insert(label(key), value);
        }
        Self {
            all: labels,
            protected: protected(job),
        }
    }

    /// The labels of one kind of object: `build`, `helper-prepare`, `cache`.
    #[must_use]
    pub fn for_kind(&self, kind: &str) -> BTreeMap<String, String> {
        let mut labels = self.all.clone();
        labels.insert("pipglr.type".to_owned(), kind.to_owned());
        let theirs = if kind.starts_with("helper-") {
            "predefined"
        } else {
            kind
        };
        labels.insert(label("type"), theirs.to_owned());
        labels
    }

    /// The labels of a volume that is mounted at `destination`.
    #[must_use]
    pub fn for_volume(&self, destination: &str, reusable: bool) -> BTreeMap<String, String> {
        let mut labels = self.for_kind("cache");
        labels.insert(label("destination"), destination.to_owned());
        labels.insert(label("reusable"), reusable.to_string());
        labels.insert(label("protected"), self.protected.to_string());
        labels
    }
}

/// A label by gitlab-runner's name for it.
///
/// Compat: gitlab-runner executors/docker/internal/labels/labels.go.
#[must_use]
pub fn label(key: &str) -> String {
    format!("com.gitlab.gitlab-runner.{key}")
}

/// The page of the job: what its repository's URL says, without credentials.
fn job_url(job: &AcceptedJob) -> String {
    let url = crate::gitlab::without_credentials(job.payload.git_info.repo_url.expose());
    format!("{}/-/jobs/{}", url.strip_suffix(".git").unwrap_or(&url), job.payload.id)
}

/// Whether volumes and caches of this job are kept from jobs of unprotected branches.
///
/// Compat: gitlab-runner executors/docker/volume.go.
pub(super) fn protected(job: &AcceptedJob) -> bool {
    is_of_protected_ref(job) || job.payload.cache.iter().any(|c| c.key.ends_with("-protected"))
}

/// Older coordinators say it by a variable alone. Only its first occurrence is theirs: a job's own comes later.
///
/// Compat: gitlab-runner common/build.go `IsProtected`.
fn is_of_protected_ref(job: &AcceptedJob) -> bool {
    let payload = &job.payload;
    payload.git_info.protected.unwrap_or_else(|| {
        let configured = job.runner.environment.iter().filter_map(|entry| entry.split_once('='));
        let given = payload.variables.iter().map(|v| (v.key.as_str(), v.value.expose()));
        let first = configured
            .chain(given)
            .find(|(key, _)| *key == "CI_COMMIT_REF_PROTECTED");
        first.is_some_and(|(_, value)| parse_bool(value) == Some(true))
    })
}

fn builds_dir(job: &AcceptedJob) -> String {
    let dir = job.runner.builds_dir.trim_end_matches('/');
    if dir.is_empty() {
        "/builds".to_owned()
    } else {
        dir.to_owned()
    }
}

/// Where projects lie: in a builds directory that others see, too, each slot of each runner has a place of its own.
///
/// Compat: gitlab-runner common/build.go `ProjectUniqueDir`.
fn projects_dir(job: &AcceptedJob, builds: &str) -> String {
    if volumes::is_shared(&job.runner.docker.volumes, builds) {
        format!("{builds}/{}/{}", job.runner.token.short(), job.slot.project)
    } else {
        builds.to_owned()
    }
}

/// Path of the repository's URL without `.git`, or `project-<id>` if it cannot serve as a directory.
pub(super) fn project_slug(job: &AcceptedJob) -> String {
    slug_of(job.payload.git_info.repo_url.expose())
        .unwrap_or_else(|| format!("project-{}", job.payload.job_info.project_id))
}

fn slug_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let safe = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(safe).then(|| path.to_owned())
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
    use super::{dns_label, slug_of};

    #[test]
    fn names_are_dns_labels() {
        for (text, label) in [
            (
                "runner-t9Wk_yj-HG-project-1-concurrent-0",
                "runner-t9wkyj-hg-project-1-concurrent-0",
            ),
            ("tOk3_?ofTHE-Runner", "tok3ofthe-runner"),
            ("----tOk3_?ofTHE-Runner", "tok3ofthe-runner"),
            // A label may not end with a dash either.
            ("ends-with-dashes---", "ends-with-dashes"),
        ] {
            assert_eq!(dns_label(text), label, "{text}");
        }
        assert_eq!(dns_label(&"x".repeat(70)).len(), 63);
        let long = format!("very-long-token{}end", "-".repeat(47));
        assert_eq!(dns_label(&long), format!("very-long-token{}e", "-".repeat(47)));
    }

    #[test]
    fn projects_have_directories_of_their_own() {
        for (url, slug) in [
            (
                "https://gitlab-ci-token:t@gitlab.test/group/project.git",
                Some("group/project"),
            ),
            ("http://gitlab.test:8080/a/b/c.git", Some("a/b/c")),
            ("https://gitlab.test/group/project", Some("group/project")),
            ("https://gitlab.test/sub/path/project.git/", Some("sub/path/project")),
            ("https://gitlab.test/group//project.git", None),
            ("https://gitlab.test", None),
            ("https://gitlab.test/.git", None),
            ("not a URL", None),
            ("", None),
        ] {
            assert_eq!(slug_of(url).as_deref(), slug, "{url}");
        }
    }
}
