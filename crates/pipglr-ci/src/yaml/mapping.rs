//! Keys of a mapping and merge keys, by Psych's rules.

use super::compose::{Composer, Stop, TOO_BIG};
use super::node::{Entry, Kind, Node};
use super::scalar::Resolved;
use crate::diagnostics::Span;
use std::collections::HashMap;
use std::rc::Rc;

/// Entries copied by merge keys in one file; a guard against many merges that overwrite each other.
const MAX_MERGED: usize = 200_000;

impl Composer<'_, '_> {
    pub(super) fn entry(&mut self, building: &mut Building, key: &Rc<Node>, value: Rc<Node>) -> Result<(), Stop> {
        let Some(resolved) = key.resolve() else {
            if !key.is_reported() {
                self.problems.error(key.span, "a mapping's key should be a string");
            }
            return Ok(());
        };
        let key_is_string = matches!(resolved, Resolved::String(_));
        if let Some(sources) = resolved_merge(&resolved, &value) {
            return self.merge(building, &sources, key.span);
        }
        let name = match (&key.kind, &resolved) {
            (Kind::Scalar(scalar), Resolved::Null) => scalar.text.clone(),
            _ => resolved.to_text(),
        };
        let entry = Entry {
            key: name,
            key_is_string,
            key_span: key.span,
            value,
        };
        if let Some(Written::Here) = building.put(entry, Written::Here) {
            let message = format!(
                "key `{}` is written twice in this mapping; the last one wins",
                resolved.to_text()
            );
            self.problems.warning(key.span, message, "rename or remove one of them");
        }
        Ok(())
    }

    /// Compat: Psych merges at the place of `<<`, so it replaces what was written before it (`revive_hash`).
    fn merge(&mut self, building: &mut Building, sources: &[Rc<Node>], span: Span) -> Result<(), Stop> {
        let mut replaced = Vec::new();
        // The first of a list wins, hence is applied last, but only among the list's own.
        let mut combined = Building::default();
        for source in sources.iter().rev() {
            for entry in source.as_mapping().unwrap_or_default() {
                self.merged += 1;
                if self.merged > MAX_MERGED {
                    return Err(Stop {
                        span,
                        message: TOO_BIG.to_owned(),
                        hint: None,
                    });
                }
                combined.put(entry.clone(), Written::Merged);
            }
        }
        for entry in combined.entries {
            let name = entry.key.clone();
            if let Some(Written::Here) = building.put(entry, Written::Merged) {
                replaced.push(format!("`{name}`"));
            }
        }
        if !replaced.is_empty() {
            let message = format!("`<<` replaces what is written before it: {}", replaced.join(", "));
            self.problems.warning(
                span,
                message,
                "move `<<` to the top of the mapping to let its own keys win",
            );
        }
        Ok(())
    }
}

/// The mappings a `<<` brings in; `None` for any other key, and for a `<<` whose value cannot be merged.
fn resolved_merge(key: &Resolved<'_>, value: &Rc<Node>) -> Option<Vec<Rc<Node>>> {
    if *key != Resolved::String("<<") {
        return None;
    }
    match &value.kind {
        Kind::Mapping(_) => Some(vec![Rc::clone(value)]),
        Kind::Reported => Some(Vec::new()),
        Kind::Sequence(items) => items
            .iter()
            .all(|item| matches!(item.kind, Kind::Mapping(_) | Kind::Reported))
            .then(|| items.clone()),
        Kind::Scalar(_) | Kind::Reference(_) => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Here,
    Merged,
}

/// A mapping under construction: insertion order, the last value of a key wins.
#[derive(Default)]
pub(super) struct Building {
    pub(super) entries: Vec<Entry>,
    written: Vec<Written>,
    places: HashMap<(bool, String), usize>,
}

impl Building {
    /// Sets a key and says how its former value had come, if there was one.
    fn put(&mut self, entry: Entry, written: Written) -> Option<Written> {
        let identity = (entry.key_is_string, entry.key.clone());
        if let Some(&place) = self.places.get(&identity) {
            self.entries[place] = entry;
            return Some(std::mem::replace(&mut self.written[place], written));
        }
        self.places.insert(identity, self.entries.len());
        self.entries.push(entry);
        self.written.push(written);
        None
    }
}
