//! When things were used last, beyond the life of this process.

use super::Item;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Below the state directory.
const FILE: &str = "disk.json";

/// A record of uses. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Uses(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    known: Record,
    changed: bool,
    file: Option<PathBuf>,
}

/// Seconds since 1970, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    images: BTreeMap<String, i64>,
    volumes: BTreeMap<String, i64>,
}

impl Record {
    fn of(&mut self, item: &Item) -> Option<(&mut BTreeMap<String, i64>, String)> {
        match item {
            Item::Image(name) => Some((&mut self.images, name.clone())),
            Item::Volume(name) => Some((&mut self.volumes, name.clone())),
            // Files tell by themselves, and a container is used until it ends.
            Item::Cache(_) | Item::Container(_) => None,
        }
    }
}

/// Now, in seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Uses {
    /// Goes on with the record in a state directory, and keeps it there from now on. One that cannot be read is begun anew:
    /// then everything counts as used just now.
    pub(super) fn load(&self, state_dir: &Path) {
        let file = state_dir.join(FILE);
        let known = match std::fs::read(&file).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                tracing::warn!(path = %file.display(), %error, "the record of used images is begun anew");
                Record::default()
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %file.display(), %error, "the record of used images cannot be read");
                }
                Record::default()
            }
        };
        let mut state = self.state();
        state.known = known;
        state.file = Some(file);
    }

    /// It is used now.
    pub(super) fn touch(&self, item: &Item) {
        self.set(item, now());
    }

    fn set(&self, item: &Item, time: i64) {
        let mut state = self.state();
        if let Some((map, name)) = state.known.of(item)
            && map.insert(name, time) != Some(time)
        {
            state.changed = true;
        }
    }

    /// When a thing was used last under any of its names. What was never seen before counts from now on.
    pub(super) fn last(&self, names: &[Item]) -> i64 {
        let mut state = self.state();
        let mut latest = None;
        for name in names {
            if let Some((map, name)) = state.known.of(name) {
                latest = latest.max(map.get(&name).copied());
            }
        }
        latest.unwrap_or_else(|| {
            drop(state);
            let now = now();
            if let Some(first) = names.first() {
                self.set(first, now);
            }
            now
        })
    }

    /// Forgets everything but what is there, and writes the record if it changed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&self, there: &[Item]) -> io::Result<()> {
        let Some((file, text)) = self.changed(there)? else {
            return Ok(());
        };
        let new = file.with_extension("json.new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file));
        if written.is_err() {
            self.state().changed = true;
        }
        written
    }

    /// The record to write, and where, if it changed. Jobs that begin and end wait for what is done in here.
    fn changed(&self, there: &[Item]) -> io::Result<Option<(PathBuf, Vec<u8>)>> {
        let mut images = BTreeSet::new();
        let mut volumes = BTreeSet::new();
        for item in there {
            match item {
                Item::Image(name) => images.insert(name),
                Item::Volume(name) => volumes.insert(name),
                Item::Cache(_) | Item::Container(_) => continue,
            };
        }
        let mut state = self.state();
        let before = state.known.images.len() + state.known.volumes.len();
        state.known.images.retain(|name, _| images.contains(name));
        state.known.volumes.retain(|name, _| volumes.contains(name));
        let after = state.known.images.len() + state.known.volumes.len();
        if !state.changed && before == after {
            return Ok(None);
        }
        let Some(file) = state.file.clone() else {
            return Ok(None);
        };
        let text = serde_json::to_vec_pretty(&state.known)?;
        state.changed = false;
        Ok(Some((file, text)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Uses};

    #[test]
    fn uses_survive_the_process_and_what_is_gone_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let item = |name: &str| Item::Image(name.to_owned());
        let uses = Uses::default();
        uses.load(directory.path());
        for (name, time) in [("a", 10), ("b", 20), ("gone", 30)] {
            uses.set(&item(name), time);
        }
        uses.keep(&[item("a"), item("b"), Item::Volume("gone".to_owned())])
            .unwrap();
        let next = Uses::default();
        next.load(directory.path());
        assert_eq!(next.last(&[item("a"), item("b")]), 20, "the latest of all names");
        assert!(next.last(&[item("gone")]) > 30, "never seen before");
        std::fs::write(directory.path().join("disk.json"), "no JSON").unwrap();
        let broken = Uses::default();
        broken.load(directory.path());
        assert!(broken.last(&[item("a")]) > 10);
    }
}
