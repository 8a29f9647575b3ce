//! Carrying removals out, one after the other. Nothing is removed by force, and nothing that is leased.

use super::facts::{Facts, ImageFact, gather};
use super::leases::Item;
use super::plan::{Removal, Scope, Why, plan};
use super::room::is_at_ease;
use super::{Collected, Disk, Space, uses};
use crate::containers::Engine;
use anyhow::Context as _;
use pipglr_podman::RemoveOptions;
use std::io;

impl Disk {
    /// Looks at everything that rules go by.
    pub(super) async fn facts(&self, engine: &Engine) -> anyhow::Result<Facts> {
        let shared = &self.0;
        let storage = &shared.options.storage;
        gather(engine, storage, &shared.cache, &shared.leases, &shared.uses).await
    }

    /// What would be removed now.
    ///
    /// # Errors
    /// podman does not answer.
    pub async fn would_remove(&self, engine: &Engine, scope: Scope) -> anyhow::Result<Vec<Removal>> {
        let facts = self.facts(engine).await?;
        Ok(plan(&facts, &self.rules(), scope))
    }

    /// Removes what is to go by the rules. One collection runs at a time.
    ///
    /// # Errors
    /// podman does not answer.
    pub async fn collect(&self, engine: &Engine, scope: Scope) -> anyhow::Result<Collected> {
        let shared = &self.0;
        let _one = shared.collecting.lock().await;
        let began = uses::now();
        let facts = self.facts(engine).await?;
        let mut collected = Collected::default();
        for removal in plan(&facts, &self.rules(), scope) {
            if matches!(removal.why, Why::Pressure(_)) && self.is_at_ease(&removal.item) {
                // What went already made more room than could be known.
                continue;
            }
            match self.remove(engine, &removal).await {
                Ok(()) => {
                    shared.removed.count(&removal.item);
                    collected.removed.push(removal);
                }
                Err(error) => collected.kept.push((removal, format!("{error:#}"))),
            }
        }
        let there: Vec<Item> = facts
            .images
            .iter()
            .flat_map(ImageFact::names)
            .chain(facts.volumes.iter().map(|v| Item::Volume(v.name.clone())))
            .filter(|item| !collected.removed.iter().any(|r| r.names.contains(item)))
            .collect();
        if let Err(error) = shared.uses.keep(&there) {
            tracing::warn!(%error, "when images were used last cannot be written down");
        }
        let after = Space::of(&shared.options.storage).context("look at the storage volume")?;
        collected.freed = after.free.saturating_sub(facts.storage.free);
        self.tell(&collected, began);
        Ok(collected)
    }

    /// Whether the disk a thing is on needs no more room.
    fn is_at_ease(&self, item: &Item) -> bool {
        let space = match item {
            Item::Cache(_) => self.cache(),
            Item::Image(_) | Item::Volume(_) | Item::Container(_) => self.storage(),
        };
        space.is_ok_and(|space| is_at_ease(&space, &self.rules()))
    }

    async fn remove(&self, engine: &Engine, removal: &Removal) -> anyhow::Result<()> {
        let client = &engine.client;
        let Some(_condemned) = self.0.leases.condemn(&removal.names) else {
            anyhow::bail!("a job uses it");
        };
        match &removal.item {
            Item::Image(id) => {
                let tags = removal.names.iter().filter_map(|name| match name {
                    Item::Image(name) if name != id => Some(name),
                    _ => None,
                });
                // podman removes one name at a time, and the image with the last one.
                for name in tags {
                    client.remove_image(name, false).await?;
                }
                client.remove_image(id, false).await?;
            }
            Item::Volume(name) => {
                client.remove_volume(name, false).await?;
            }
            Item::Container(id) => {
                let options = RemoveOptions {
                    volumes: true,
                    ..RemoveOptions::default()
                };
                client.remove(id, options).await?;
            }
            Item::Cache(path) => {
                let directory = self.0.cache.join(path);
                let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(directory)).await?;
                if let Err(error) = removed
                    && error.kind() != io::ErrorKind::NotFound
                {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// What was done, for the operator.
    fn tell(&self, collected: &Collected, began: i64) {
        for removal in &collected.removed {
            tracing::info!(name = removal.name, why = %removal.why, "removed from the disk");
        }
        for (removal, error) in &collected.kept {
            tracing::warn!(name = removal.name, error, "not removed, and tried again later");
        }
        if !collected.removed.is_empty() {
            tracing::info!(
                count = collected.removed.len(),
                freed = collected.freed,
                seconds = uses::now() - began,
                "disks were tidied"
            );
        }
    }
}
