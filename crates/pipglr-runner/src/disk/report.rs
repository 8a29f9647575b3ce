//! What `pipglr disk` shows.

use super::ballast::PIECES;
use super::facts::Facts;
use super::{Disk, Room, Space};
use crate::containers::Engine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the disks are. Times are seconds ago, sizes bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub spaces: Vec<Place>,
    /// Percent.
    pub high_water: u64,
    pub low_water: u64,
    /// Free bytes below which no jobs are asked for.
    pub min_free: u64,
    /// Whether jobs are asked for.
    pub has_room: bool,
    /// Pieces of the reserve that are there, of four, and the size of each.
    pub ballast: u64,
    pub ballast_piece: u64,
    pub containers: usize,
    pub images: Vec<Used>,
    pub volumes: Vec<Used>,
    /// By project.
    pub caches: Vec<Caches>,
}

/// A volume of the runner's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub name: String,
    pub space: Space,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub name: String,
    pub bytes: Option<u64>,
    /// Seconds since the last use; `None` while it is used.
    pub idle: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caches {
    pub project: String,
    pub keys: usize,
    pub bytes: u64,
}

impl Disk {
    /// Looks at the disks and what is on them.
    ///
    /// # Errors
    /// podman does not answer.
    pub async fn report(&self, engine: &Engine) -> anyhow::Result<Report> {
        let facts = self.facts(engine).await?;
        let place = |name: &str, space| Place {
            name: name.to_owned(),
            space,
        };
        let rules = self.rules();
        Ok(Report {
            spaces: vec![
                place("storage", facts.storage),
                place("cache", facts.cache),
                place("state", self.state()?),
            ],
            high_water: rules.high_water(),
            low_water: rules.low_water(),
            min_free: rules.min_free(facts.storage.total),
            has_room: Room::of(&facts.storage, &rules).is_enough(),
            ballast: self.ballast_pieces(),
            ballast_piece: rules.ballast(facts.storage.total) / PIECES,
            containers: facts.containers.len(),
            images: images(&facts),
            volumes: volumes(&facts),
            caches: caches(&facts),
        })
    }
}

fn images(facts: &Facts) -> Vec<Used> {
    let used = facts.images.iter().map(|image| Used {
        name: image
            .tags
            .first()
            .or(image.digests.first())
            .unwrap_or(&image.id)
            .clone(),
        bytes: Some(image.bytes),
        idle: facts.idle(image.in_use, image.last_use),
    });
    by_use(used.collect())
}

fn volumes(facts: &Facts) -> Vec<Used> {
    let used = facts.volumes.iter().map(|volume| Used {
        name: volume.name.clone(),
        bytes: None,
        idle: facts.idle(volume.in_use, volume.last_use),
    });
    by_use(used.collect())
}

fn by_use(mut all: Vec<Used>) -> Vec<Used> {
    all.sort_by(|a, b| (a.idle, &a.name).cmp(&(b.idle, &b.name)));
    all
}

fn caches(facts: &Facts) -> Vec<Caches> {
    let mut projects: BTreeMap<&str, Caches> = BTreeMap::new();
    for cache in &facts.caches {
        let entry = projects.entry(&cache.project).or_default();
        entry.project.clone_from(&cache.project);
        entry.keys += 1;
        entry.bytes += cache.bytes;
    }
    projects.into_values().collect()
}
