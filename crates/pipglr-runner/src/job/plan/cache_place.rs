//! Where a project's caches lie: in which directory of helper containers, and under which name in object storage.

use super::cache_key::Key;
use super::names::{Directories, project_slug, protected};
use super::{AcceptedJob, VolumeMount};
use crate::container_side::helper::Strategy;

/// Where caches are found in a helper container: nowhere else is a place prepared for them.
pub const CACHE_INSIDE: &str = "/cache";

/// What is mounted at [`CACHE_INSIDE`] in helper containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheMount {
    /// A directory of the project's own, relative to the engine's directory for caches.
    Directory(String),
    /// A volume of config.toml that covers `cache_dir`.
    Volume(VolumeMount),
}

/// Where one job's caches lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachePlace {
    pub(super) mount: Option<CacheMount>,
    /// Archives are only made to be uploaded (`disable_cache`).
    pub(super) temporary: bool,
    /// In helper containers; a key is the next component.
    directory: String,
    /// Start of names in object storage, if there is one.
    objects: Option<String>,
}

impl CachePlace {
    /// `volumes` are those of config.toml.
    pub(super) fn new(
        job: &AcceptedJob,
        directories: &Directories,
        volumes: &[VolumeMount],
        strategy: Strategy,
    ) -> Self {
        let configured = job.runner.cache_dir.trim_end_matches('/');
        let wanted = if configured.is_empty() {
            CACHE_INSIDE
        } else {
            configured
        };
        // The last one wins where several cover it: it is the innermost, or podman refuses them anyway.
        let covering = volumes
            .iter()
            .filter(|v| !is_automatic(job, v))
            .filter_map(|v| Some((v, below(wanted, &v.destination)?)))
            .max_by_key(|(v, _)| v.destination.len());
        let (mount, root, temporary) = match covering {
            Some((volume, rest)) => {
                let mount = VolumeMount {
                    destination: CACHE_INSIDE.to_owned(),
                    ..volume.clone()
                };
                (Some(CacheMount::Volume(mount)), format!("{CACHE_INSIDE}{rest}"), false)
            }
            None if below(wanted, &directories.builds).is_some() => (None, wanted.to_owned(), false),
            None if job.runner.docker.disable_cache => (None, format!("{}/cache", directories.temp), true),
            None => (Some(CacheMount::Directory(own(job))), CACHE_INSIDE.to_owned(), false),
        };
        // Compat: gitlab-runner keeps what belongs to an emptied work tree apart.
        let suffix = if strategy == Strategy::Empty { "-empty" } else { "" };
        Self {
            mount,
            temporary,
            directory: format!("{root}/{}{suffix}", project_slug(job)),
            objects: objects(job),
        }
    }

    /// The archive of a key in a helper container; it has this name whatever its format.
    pub(super) fn archive(&self, key: &Key) -> String {
        format!("{}/{}/cache.zip", self.directory, key.storage)
    }

    /// The name of a key in object storage.
    pub(super) fn object(&self, key: &Key) -> Option<String> {
        let start = self.objects.as_ref()?;
        // Names that begin alike are slow in some stores.
        let shard = if key.hashed {
            format!("{}/", &key.storage[..2])
        } else {
            String::new()
        };
        Some(format!("{start}{shard}{}", key.storage))
    }
}

/// Whether the runner made this volume up for an entry that names no source: such a volume belongs to one slot, while
/// the project's own directory is there for all of them.
fn is_automatic(job: &AcceptedJob, volume: &VolumeMount) -> bool {
    !job.runner
        .docker
        .volumes
        .iter()
        .any(|entry| entry.starts_with(&format!("{}:", volume.source)))
}

/// The rest of `path` below `directory`, with its slash; empty for the directory itself.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(directory.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The project's directory: no other runner's and no other project's jobs get it, and jobs of protected branches have
/// one of their own.
fn own(job: &AcceptedJob) -> String {
    let ordinary = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let runner: String = job.runner.token.short().chars().map(ordinary).collect();
    let protected = if protected(job) { "-protected" } else { "" };
    format!("runner-{runner}/project-{}{protected}", job.payload.job_info.project_id)
}

/// Compat: gitlab-runner cache/cache.go.
fn objects(job: &AcceptedJob) -> Option<String> {
    let cache = &job.runner.cache;
    if cache.kind.is_empty() {
        return None;
    }
    let mut start: String = cache
        .path
        .split('/')
        .filter(|p| !p.is_empty())
        .flat_map(|p| [p, "/"])
        .collect();
    if !cache.shared {
        start.push_str(&format!("runner/{}/", job.runner.token.short()));
    }
    Some(format!("{start}project/{}/", job.payload.job_info.project_id))
}
