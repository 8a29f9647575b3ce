//! What is on the disks at a moment, as plain data.

use super::leases::{Item, Leases};
use super::{Space, Uses};
use crate::containers::Engine;
use pipglr_podman::Filters;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Everything a plan is made of. Times are seconds since 1970, sizes bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub now: i64,
    pub storage: Space,
    pub cache: Space,
    pub containers: Vec<ContainerFact>,
    pub images: Vec<ImageFact>,
    pub volumes: Vec<VolumeFact>,
    pub caches: Vec<CacheFact>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerFact {
    pub id: String,
    pub name: String,
    /// It belongs to a job.
    pub of_job: bool,
    /// Neither running nor about to.
    pub ended: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFact {
    pub id: String,
    /// With tags and with digests; none of a dangling image.
    pub tags: Vec<String>,
    pub digests: Vec<String>,
    /// Layers shared with other images are counted in full.
    pub bytes: u64,
    pub last_use: i64,
    /// By a job or a container.
    pub in_use: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeFact {
    pub name: String,
    pub last_use: i64,
    pub in_use: bool,
}

/// The archive of one cache key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheFact {
    /// `runner-…/project-…`: whose quota it counts for.
    pub project: String,
    /// The key's directory, relative to the directory for caches.
    pub path: String,
    pub bytes: u64,
    pub last_use: i64,
    pub in_use: bool,
}

impl ImageFact {
    /// All names a job may know it by.
    #[must_use]
    pub fn names(&self) -> Vec<Item> {
        let names = self.tags.iter().chain(&self.digests).cloned();
        std::iter::once(self.id.clone()).chain(names).map(Item::Image).collect()
    }
}

impl Facts {
    /// Seconds since a thing was used; nothing while it is.
    pub(super) fn idle(&self, in_use: bool, last_use: i64) -> Option<i64> {
        (!in_use).then_some((self.now - last_use).max(0))
    }
}

/// Looks at everything.
///
/// # Errors
/// podman does not answer, or a directory is not there.
pub async fn gather(
    engine: &Engine,
    storage: &Path,
    cache: &Path,
    leases: &Leases,
    uses: &Uses,
) -> anyhow::Result<Facts> {
    let client = &engine.client;
    let containers = client.containers(&Filters::default(), true).await?;
    let in_containers: BTreeSet<&str> = containers.iter().map(|c| c.image_id.as_str()).collect();
    let mut images = Vec::new();
    for image in client.images(&Filters::default()).await? {
        let mut fact = ImageFact {
            tags: image.repo_tags,
            digests: image.repo_digests,
            bytes: u64::try_from(image.size).unwrap_or(0),
            in_use: in_containers.contains(image.id.as_str()),
            id: image.id,
            last_use: 0,
        };
        let names = fact.names();
        fact.in_use |= names.iter().any(|name| leases.has(name));
        fact.last_use = uses.last(&names);
        images.push(fact);
    }
    let volumes = client.volumes(&Filters::default()).await?;
    let volumes = volumes.into_iter().filter(|v| is_made_up(&v.name)).map(|volume| {
        let item = Item::Volume(volume.name.clone());
        VolumeFact {
            last_use: uses.last(std::slice::from_ref(&item)),
            in_use: leases.has(&item),
            name: volume.name,
        }
    });
    // A tree of files, whose reading would hold up the logs of jobs.
    let (root, leased) = (cache.to_owned(), leases.clone());
    let caches = tokio::task::spawn_blocking(move || caches(&root, &leased)).await?;
    Ok(Facts {
        now: super::uses::now(),
        storage: Space::of(storage)?,
        cache: Space::of(cache).unwrap_or_default(),
        volumes: volumes.collect(),
        containers: containers
            .iter()
            .map(|c| ContainerFact {
                id: c.id.clone(),
                name: c.names.first().cloned().unwrap_or_default(),
                of_job: c.labels.contains_key("pipglr.job"),
                ended: matches!(
                    c.state.as_str(),
                    "exited" | "created" | "configured" | "stopped" | "dead"
                ),
            })
            .collect(),
        images,
        caches,
    })
}

/// Whether a volume is one of those this program makes for a slot, and not one somebody gave a name to.
fn is_made_up(name: &str) -> bool {
    let middle = name
        .strip_prefix("runner-")
        .and_then(|rest| Some(rest.split_once("-cache-")?.0));
    middle.is_some_and(|digest| digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The archives below the directory for caches. What cannot be read is left out: then it is not removed either.
fn caches(root: &Path, leases: &Leases) -> Vec<CacheFact> {
    let mut found = Vec::new();
    for runner in directories(root).filter(|name| name.starts_with("runner-")) {
        for project in directories(&root.join(&runner)).filter(|name| name.starts_with("project-")) {
            keys(root, &format!("{runner}/{project}"), &mut |directory, archive| {
                let path = directory.to_owned();
                found.push(CacheFact {
                    project: format!("{runner}/{project}"),
                    in_use: leases.has(&Item::Cache(path.clone())),
                    path,
                    bytes: archive.blocks() * 512,
                    last_use: archive.mtime().max(archive.atime()),
                });
            });
        }
    }
    found
}

/// Calls `found` for each directory at or below `path` that has an archive.
fn keys(root: &Path, path: &str, found: &mut impl FnMut(&str, &std::fs::Metadata)) {
    for name in directories(&root.join(path)) {
        let below = format!("{path}/{name}");
        match std::fs::symlink_metadata(root.join(&below).join("cache.zip")) {
            Ok(archive) => found(&below, &archive),
            Err(_) => keys(root, &below, found),
        }
    }
}

/// The names of the directories in a directory; links are none.
fn directories(path: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(path).ok().into_iter().flatten().flatten();
    let directories = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    directories.filter_map(|e| e.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::{caches, is_made_up};
    use crate::disk::Leases;

    #[test]
    fn only_volumes_of_slots_are_ours_to_remove() {
        let digest = "0123456789abcdef0123456789abcdef";
        for (name, ours) in [
            (format!("runner-{digest}-cache-{digest}"), true),
            (format!("runner-{digest}-cache-{digest}-protected"), true),
            ("maven".to_owned(), false),
            ("runner-x-cache-y".to_owned(), false),
            (format!("runner-{digest}"), false),
            (
                format!("runner-abc-project-1-concurrent-0-{digest}-cache-{digest}"),
                false,
            ),
        ] {
            assert_eq!(is_made_up(&name), ours, "{name}");
        }
    }

    #[test]
    fn archives_are_found_by_project() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "runner-a/project-1/g/p/key-1/cache.zip",
            "runner-a/project-1/g/p/key-2/cache.zip",
            "runner-a/project-2-protected/g/q/k/cache.zip",
            "other/project-1/g/p/k/cache.zip",
            "runner-a/project-1/g/p/empty/metadata.json",
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x".repeat(5000)).unwrap();
        }
        let mut found = caches(root.path(), &Leases::default());
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let told: Vec<_> = found.iter().map(|c| (c.project.as_str(), c.path.as_str())).collect();
        assert_eq!(
            told,
            [
                ("runner-a/project-1", "runner-a/project-1/g/p/key-1"),
                ("runner-a/project-1", "runner-a/project-1/g/p/key-2"),
                ("runner-a/project-2-protected", "runner-a/project-2-protected/g/q/k"),
            ]
        );
        assert!(found.iter().all(|c| c.bytes >= 5000 && c.last_use > 0));
    }
}
