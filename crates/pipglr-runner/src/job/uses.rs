//! What a job uses of the disks, before it looks for any of it. Pure.

use super::plan::{CACHE_INSIDE, CacheMount, JobPlan};
use crate::container_side::helper::Phase;
use crate::disk::Item;
use std::path::Path;

/// Images, volumes and caches of a job.
pub(super) fn items(plan: &JobPlan) -> Vec<Item> {
    let services = plan.services.list.iter().map(|service| &service.image);
    let images = std::iter::once(&plan.image).chain(services);
    let mut items: Vec<Item> = images.map(|image| Item::Image(image.reference.clone())).collect();
    let volumes = plan.volumes.iter().map(|v| &v.source);
    let volumes = std::iter::once(&plan.builds.name).chain(volumes);
    items.extend(volumes.filter(|v| !v.starts_with('/')).cloned().map(Item::Volume));
    if let Some(CacheMount::Directory(project)) = &plan.cache {
        items.extend(archives(plan).filter_map(|archive| {
            let key = Path::new(archive).parent()?.strip_prefix(CACHE_INSIDE).ok()?;
            Some(Item::Cache(format!("{project}/{}", key.display())))
        }));
    }
    items.sort();
    items.dedup();
    items
}

/// The archives a job reads or writes, as its helper containers see them.
fn archives(plan: &JobPlan) -> impl Iterator<Item = &str> {
    let phases = plan.prepare_phases.iter();
    let phases = phases.chain(&plan.uploads_on_success).chain(&plan.uploads_on_failure);
    phases.flat_map(|phase| -> Vec<&str> {
        match phase {
            Phase::RestoreCache(restore) => {
                let sources = restore.entries.iter().flat_map(|entry| &entry.sources);
                sources.map(|source| source.archive.as_str()).collect()
            }
            Phase::ArchiveCache(archive) => {
                let targets = archive.entries.iter().filter_map(|entry| entry.target.as_ref());
                targets.map(|target| target.archive.as_str()).collect()
            }
            _ => Vec::new(),
        }
    })
}
