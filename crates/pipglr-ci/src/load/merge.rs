//! Deep merge, the one way in which GitLab puts files and templates together.

use crate::yaml::{Entry, Node};
use std::collections::HashMap;
use std::rc::Rc;

/// Entries that may be looked at in one evaluation: a guard against files that multiply each other.
const MAX_WORK: usize = 5_000_000;
/// From this many entries on, looking them up costs less than going through them.
const WORTH_AN_INDEX: usize = 16;

/// Merges mappings, as long as there is not too much of it.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    work: usize,
}

impl Merger {
    /// Whether merging was given up: what came out is not complete.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.work > MAX_WORK
    }

    /// `over` laid over `base`: mappings are merged key by key, everything else is replaced.
    ///
    /// Compat: ci-yaml.md 30.5, `Hash#deep_merge` of `ActiveSupport`.
    pub(crate) fn merge(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        if Rc::ptr_eq(base, over) {
            return Rc::clone(over);
        }
        match (base.as_mapping(), over.as_mapping()) {
            (Some(base), Some(entries)) if !base.is_empty() => {
                let mut merged = Merged::of(base);
                merged.lay(self, entries);
                Rc::new(merged.into_node(over))
            }
            _ => Rc::clone(over),
        }
    }
}

/// A mapping that others are laid over.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    entries: Vec<Entry>,
    /// Place of each key that is a string; empty as long as there are few. Other keys are few anyway.
    places: HashMap<String, usize>,
}

impl Merged {
    fn of(entries: &[Entry]) -> Self {
        let mut merged = Self {
            entries: entries.to_vec(),
            places: HashMap::new(),
        };
        merged.index();
        merged
    }

    /// Its keys are put in their place or behind those that are there.
    pub(crate) fn lay(&mut self, merger: &mut Merger, entries: &[Entry]) {
        for entry in entries {
            merger.work += 1;
            if merger.is_exhausted() {
                return;
            }
            match self.place(entry) {
                Some(place) => {
                    let value = merger.merge(&self.entries[place].value, &entry.value);
                    self.entries[place] = Entry { value, ..entry.clone() };
                }
                None => self.append(entry.clone()),
            }
        }
        merger.work += self.entries.len() / WORTH_AN_INDEX;
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn into_node(self, over: &Node) -> Node {
        Node::new(crate::yaml::Kind::Mapping(self.entries), over.span)
    }

    fn append(&mut self, entry: Entry) {
        if !self.places.is_empty() && entry.key_is_string {
            self.places.insert(entry.key.clone(), self.entries.len());
        }
        self.entries.push(entry);
        if self.places.is_empty() {
            self.index();
        }
    }

    fn index(&mut self) {
        if self.entries.len() < WORTH_AN_INDEX {
            return;
        }
        let keys = self.entries.iter().enumerate().filter(|(_, entry)| entry.key_is_string);
        self.places = keys.map(|(place, entry)| (entry.key.clone(), place)).collect();
    }

    fn place(&self, entry: &Entry) -> Option<usize> {
        if self.places.is_empty() || !entry.key_is_string {
            let same = |other: &Entry| other.key_is_string == entry.key_is_string && other.key == entry.key;
            self.entries.iter().position(same)
        } else {
            self.places.get(&entry.key).copied()
        }
    }
}
