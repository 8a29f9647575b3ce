//! Which things go, and in which order. Pure: facts and rules in, a list of removals out.

use super::facts::{CacheFact, Facts, ImageFact, VolumeFact};
use super::leases::Item;
use super::room::{bytes_wanted, is_short};
use crate::config::DiskConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a collection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What the rules call stale, and more only if space is short.
    Rules,
    /// Only if space is short.
    Pressure,
    /// Everything nobody uses.
    All,
}

/// One thing that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub item: Item,
    /// As people know it.
    pub name: String,
    /// All names by which somebody may use it.
    pub names: Vec<Item>,
    pub why: Why,
    /// What that frees at most, where it is known.
    pub bytes: Option<u64>,
}

/// Why a thing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A container that ended and belongs to no job.
    Ended,
    /// An image without a name.
    Dangling,
    /// Not used for as long as the rules say; seconds.
    Unused(i64),
    /// Its project keeps more caches than it may.
    Quota,
    /// The disk is filling up, and this was not used for the longest time; seconds.
    Pressure(i64),
    /// Everything unused was asked for.
    Asked,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended => f.write_str("ended, and of no job"),
            Self::Dangling => f.write_str("has no name any more"),
            Self::Unused(seconds) => write!(f, "not used for {}", age(*seconds)),
            Self::Quota => f.write_str("over the project's cache_limit"),
            Self::Pressure(seconds) => write!(f, "space is short; not used for {}", age(*seconds)),
            Self::Asked => f.write_str("not used at the moment"),
        }
    }
}

/// A time span for people, in its largest unit.
#[must_use]
pub fn age(seconds: i64) -> String {
    match seconds {
        s if s >= 2 * 86400 => format!("{} days", s / 86400),
        s if s >= 2 * 3600 => format!("{} hours", s / 3600),
        s if s >= 120 => format!("{} minutes", s / 60),
        s => format!("{} seconds", s.max(0)),
    }
}

/// The removals, in the order in which they are done.
#[must_use]
pub fn plan(facts: &Facts, rules: &DiskConfig, scope: Scope) -> Vec<Removal> {
    let mut plan = Plan {
        facts,
        rules,
        scope,
        removals: Vec::new(),
    };
    if scope != Scope::Pressure {
        plan.ended_containers();
        plan.dangling_images();
        plan.stale_volumes();
        plan.quotas();
        plan.stale_images();
    }
    plan.pressure();
    plan.removals
}

struct Plan<'f> {
    facts: &'f Facts,
    rules: &'f DiskConfig,
    scope: Scope,
    removals: Vec<Removal>,
}

impl Plan<'_> {
    fn ended_containers(&mut self) {
        for container in self.facts.containers.iter().filter(|c| c.ended && !c.of_job) {
            self.removals.push(Removal {
                item: Item::Container(container.id.clone()),
                name: container.name.clone(),
                names: Vec::new(),
                why: Why::Ended,
                bytes: None,
            });
        }
    }

    fn dangling_images(&mut self) {
        // One that was pulled by its digest has a name.
        let nameless = |image: &&ImageFact| image.tags.is_empty() && image.digests.is_empty();
        for image in self.facts.images.iter().filter(|i| !i.in_use).filter(nameless) {
            self.add_image(image, Why::Dangling);
        }
    }

    fn stale_volumes(&mut self) {
        for volume in self.facts.volumes.iter().filter(|v| !v.in_use) {
            if let Some(why) = self.stale(volume.last_use, self.rules.volumes_unused_for()) {
                self.removals.push(volume_removal(volume, why));
            }
        }
    }

    /// Of each project that keeps too much, the caches that were not used for the longest time.
    fn quotas(&mut self) {
        let mut projects: BTreeMap<&str, Vec<&CacheFact>> = BTreeMap::new();
        for cache in &self.facts.caches {
            projects.entry(&cache.project).or_default().push(cache);
        }
        let limit = self.rules.cache_limit();
        for (_, mut caches) in projects {
            caches.sort_by_key(|c| (c.last_use, c.path.clone()));
            let mut kept: u64 = caches.iter().map(|c| c.bytes).sum();
            for cache in caches.into_iter().filter(|c| !c.in_use) {
                let why = match (self.scope, limit) {
                    (Scope::All, _) => Why::Asked,
                    (_, Some(limit)) if kept > limit => Why::Quota,
                    _ => break,
                };
                kept -= cache.bytes;
                self.removals.push(cache_removal(cache, why));
            }
        }
    }

    fn stale_images(&mut self) {
        for image in self.facts.images.iter().filter(|i| !i.in_use) {
            if let Some(why) = self.stale(image.last_use, self.rules.images_unused_for()) {
                self.add_image(image, why);
            }
        }
    }

    /// Above the high mark, down to the low one: what was not used for the longest time goes first, whatever it is.
    fn pressure(&mut self) {
        let facts = self.facts;
        let (storage, cache) = (&facts.storage, &facts.cache);
        let one_disk = storage.id == cache.id && storage.total == cache.total;
        if is_short(storage, self.rules) {
            let mut candidates: Vec<(i64, Removal)> = Vec::new();
            for image in facts.images.iter().filter(|i| !i.in_use) {
                let why = Why::Pressure(facts.now - image.last_use);
                candidates.push((image.last_use, image_removal(image, why)));
            }
            for volume in facts.volumes.iter().filter(|v| !v.in_use) {
                let why = Why::Pressure(facts.now - volume.last_use);
                candidates.push((volume.last_use, volume_removal(volume, why)));
            }
            if one_disk {
                candidates.extend(self.caches_by_use());
            }
            self.take(candidates, bytes_wanted(storage, self.rules));
        }
        if !one_disk && cache.percent_used() > self.rules.high_water() {
            let candidates = self.caches_by_use();
            let files_are_short = cache.percent_of_files() > self.rules.high_water();
            let over = cache.bytes_over(self.rules.low_water());
            self.take(candidates, if files_are_short { u64::MAX } else { over });
        }
    }

    fn caches_by_use(&self) -> Vec<(i64, Removal)> {
        let unused = self.facts.caches.iter().filter(|c| !c.in_use);
        let removal = |cache: &CacheFact| {
            let why = Why::Pressure(self.facts.now - cache.last_use);
            (cache.last_use, cache_removal(cache, why))
        };
        unused.map(removal).collect()
    }

    /// Takes candidates in the order of their last use until enough would be freed. What is planned already counts.
    fn take(&mut self, mut candidates: Vec<(i64, Removal)>, bytes: u64) {
        candidates.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        let mut freed: u64 = self.removals.iter().filter_map(|r| r.bytes).sum();
        for (_, removal) in candidates {
            if freed >= bytes {
                return;
            }
            if self.removals.iter().any(|r| r.item == removal.item) {
                continue;
            }
            freed = freed.saturating_add(removal.bytes.unwrap_or(0));
            self.removals.push(removal);
        }
    }

    fn stale(&self, last_use: i64, limit: i64) -> Option<Why> {
        let idle = self.facts.now - last_use;
        match self.scope {
            Scope::All => Some(Why::Asked),
            _ => (idle >= limit).then_some(Why::Unused(idle)),
        }
    }

    fn add_image(&mut self, image: &ImageFact, why: Why) {
        let removal = image_removal(image, why);
        if !self.removals.iter().any(|r| r.item == removal.item) {
            self.removals.push(removal);
        }
    }
}

fn image_removal(image: &ImageFact, why: Why) -> Removal {
    let name = image.tags.first().or(image.digests.first());
    Removal {
        item: Item::Image(image.id.clone()),
        name: name.cloned().unwrap_or_else(|| image.id.chars().take(12).collect()),
        names: image.names(),
        why,
        bytes: Some(image.bytes),
    }
}

fn volume_removal(volume: &VolumeFact, why: Why) -> Removal {
    let item = Item::Volume(volume.name.clone());
    Removal {
        name: volume.name.clone(),
        names: vec![item.clone()],
        item,
        why,
        bytes: None,
    }
}

fn cache_removal(cache: &CacheFact, why: Why) -> Removal {
    let item = Item::Cache(cache.path.clone());
    Removal {
        name: cache.path.clone(),
        names: vec![item.clone()],
        item,
        why,
        bytes: Some(cache.bytes),
    }
}

#[cfg(test)]
mod tests;
