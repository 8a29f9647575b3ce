//! `extends`: bases laid under the jobs, and under the templates, that name them.
//!
//! Compat: GitLab lib/gitlab/ci/config/extendable/entry.rb. The key `extends` stays in the result; a value that came
//! from a base is the base's own node.

use crate::diagnostics::{Problems, Span};
use crate::keywords::{closest_of, did_you_mean, wrong_type};
use crate::load::merge::{Merged, Merger};
use crate::yaml::{Entry, Kind, Node, Resolved, TOO_BIG};
use std::collections::HashMap;
use std::rc::Rc;

/// Compat: `MAX_NESTING_LEVELS`, which an entry may reach but not exceed.
const MAX_LEVELS: usize = 10;

/// Extends every entry of the merged file.
pub(crate) fn extend(problems: &mut Problems, merger: &mut Merger, root: &mut [Entry]) {
    if !root.iter().any(|entry| entry.value.entry("extends").is_some()) {
        return;
    }
    let places = root
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.key_is_string)
        .map(|(place, entry)| (entry.key.clone(), place))
        .collect();
    let mut extending = Extending {
        problems,
        merger,
        places,
        done: vec![None; root.len()],
        root,
        trail: Vec::new(),
    };
    for place in 0..extending.root.len() {
        let extended = extending.extended(place);
        if extending.merger.is_exhausted() {
            let span = extending.root[place].key_span;
            extending.problems.error(span, TOO_BIG);
            break;
        }
        extending.done[place] = Some(extended);
    }
    let Extending { done, root, .. } = extending;
    for (entry, extended) in root.iter_mut().zip(done) {
        if let Some(extended) = extended {
            entry.value = extended.value;
        }
    }
}

struct Extending<'a> {
    problems: &'a mut Problems,
    merger: &'a mut Merger,
    places: HashMap<String, usize>,
    done: Vec<Option<Extended>>,
    root: &'a mut [Entry],
    /// The entries that are being extended, each for the one before it.
    trail: Vec<usize>,
}

/// An entry with its bases under it.
#[derive(Clone)]
struct Extended {
    value: Rc<Node>,
    /// Levels of entries below this one that extend others themselves.
    levels: usize,
    /// The lowest of those.
    deepest: usize,
}

/// One item of `extends`.
struct Base {
    name: String,
    span: Span,
}

impl Extending<'_> {
    fn extended(&mut self, place: usize) -> Extended {
        if let Some(done) = &self.done[place] {
            return done.clone();
        }
        let entry = self.root[place].clone();
        let Some(extends) = entry.value.entry("extends").cloned() else {
            let value = entry.value;
            return Extended {
                value,
                levels: 0,
                deepest: place,
            };
        };
        if self.trail.len() > MAX_LEVELS {
            self.report_depth(place, extends.key_span);
            return failed(&entry);
        }
        self.trail.push(place);
        let bases = self.bases(&entry, &extends);
        let extended = match bases {
            Some(bases) => self.lay_over(&entry, &extends, &bases),
            None => failed(&entry),
        };
        self.trail.pop();
        self.done[place] = Some(extended.clone());
        extended
    }

    /// The bases, if all of them can be extended.
    fn bases(&mut self, entry: &Entry, extends: &Entry) -> Option<Vec<Base>> {
        let bases = names(self.problems, entry, extends)?;
        let unknown: Vec<&Base> = bases
            .iter()
            .filter(|base| !self.places.contains_key(&base.name))
            .collect();
        if !unknown.is_empty() {
            for base in unknown {
                let message = format!("{}: unknown keys in `extends` ({})", entry.key, base.name);
                let known = self.root.iter().map(|entry| entry.key.as_str());
                match closest_of(&base.name, known) {
                    Some(close) => {
                        let hint = did_you_mean(close);
                        self.problems.error_with_hint(base.span, message, hint);
                    }
                    None => self.problems.error(base.span, message),
                }
            }
            return None;
        }
        let value = |base: &Base| {
            self.places
                .get(&base.name)
                .map(|place| Rc::clone(&self.root[*place].value))
        };
        let mut valid = true;
        for base in &bases {
            let Some(node) = value(base) else { continue };
            valid &= node.as_mapping().is_some();
            if node.as_mapping().is_none() && !node.is_reported() {
                let message = format!("{}: invalid base hashes in `extends` ({})", entry.key, base.name);
                let hint = format!("`{}` is not a mapping of keywords", base.name);
                self.problems.error_with_hint(base.span, message, hint);
            }
        }
        valid.then_some(bases)
    }

    fn lay_over(&mut self, entry: &Entry, extends: &Entry, bases: &[Base]) -> Extended {
        let mut merged = Merged::default();
        let mut levels = 0;
        let mut deepest = 0;
        for base in bases {
            let Some(&place) = self.places.get(&base.name) else {
                continue;
            };
            if let Some(start) = self.trail.iter().position(|open| *open == place) {
                self.report_circle(start, base);
                return failed(entry);
            }
            let extended = self.extended(place);
            let Some(entries) = extended.value.as_mapping() else {
                return failed(entry);
            };
            let extends_others = self.root[place].value.entry("extends").is_some();
            if extends_others && extended.levels + 1 > levels {
                levels = extended.levels + 1;
                deepest = if extended.levels == 0 { place } else { extended.deepest };
            }
            merged.lay(self.merger, entries);
        }
        if levels > MAX_LEVELS {
            self.report_depth(deepest, extends.key_span);
            return failed(entry);
        }
        merged.lay(self.merger, entry.value.as_mapping().unwrap_or_default());
        let value = Rc::new(Node::new(Kind::Mapping(merged.into_entries()), entry.value.span));
        Extended { value, levels, deepest }
    }

    /// Compat: it is the lowest entry that GitLab names.
    fn report_depth(&mut self, lowest: usize, span: Span) {
        let message = format!("{}: nesting too deep in `extends`", self.root[lowest].key);
        let hint = "at most 11 templates may stand on each other; three are enough for most";
        self.problems.error_with_hint(span, message, hint);
    }

    fn report_circle(&mut self, start: usize, base: &Base) {
        let names: Vec<&str> = self.trail[start..]
            .iter()
            .map(|place| self.root[*place].key.as_str())
            .chain([base.name.as_str()])
            .collect();
        let hint = format!("they extend each other: {}", names.join(" → "));
        let message = format!("{}: circular dependency detected in `extends`", base.name);
        self.problems.error_with_hint(base.span, message, hint);
    }
}

/// In place of an entry whose bases are not to be had: what it lacks would only be reported again.
fn failed(entry: &Entry) -> Extended {
    Extended {
        value: Node::reported(entry.value.span),
        levels: 0,
        deepest: 0,
    }
}

fn names(problems: &mut Problems, entry: &Entry, extends: &Entry) -> Option<Vec<Base>> {
    let node = &extends.value;
    let items: &[Rc<Node>] = match &node.kind {
        Kind::Sequence(items) => items,
        Kind::Scalar(_) if node.is_null() => &[],
        Kind::Scalar(_) => std::slice::from_ref(node),
        Kind::Reference(_) => {
            let message = format!("{}: `extends` cannot be a `!reference`", entry.key);
            let hint = "GitLab resolves `extends` before references; write the names here";
            problems.error_with_hint(node.span, message, hint);
            return None;
        }
        Kind::Mapping(_) | Kind::Reported => {
            let subject = format!("jobs:{} extends", entry.key);
            wrong_type(problems, node, &subject, "an array of strings or a string");
            return None;
        }
    };
    let mut bases = Vec::with_capacity(items.len());
    for item in items {
        // Compat: names are what `to_s` makes of an item.
        let Some(name) = item.resolve().as_ref().map(Resolved::to_text) else {
            let subject = format!("jobs:{} extends", entry.key);
            wrong_type(problems, item, &subject, "an array of strings or a string");
            return None;
        };
        bases.push(Base { name, span: item.span });
    }
    Some(bases)
}
