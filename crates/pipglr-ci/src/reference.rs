//! `!reference [job, key, …]`: replaced by what stands at that path of the merged and extended file.
//!
//! Compat: GitLab lib/gitlab/ci/config/yaml/tags/. A list that is put into a list stays a list of its own: flattening
//! is up to the keyword.

use crate::diagnostics::{Problems, Span};
use crate::keywords::{closest_of, did_you_mean};
use crate::yaml::Resolved as Value;
use crate::yaml::{Entry, Kind, Node, TOO_BIG};
use std::collections::HashMap;
use std::rc::Rc;

/// Compat: doc/ci/yaml/yaml_optimization.md, "you can nest `!reference` tags up to 10 levels deep".
const MAX_LEVELS: usize = 10;
/// Estimated bytes of all that references put into a file, wherever it is put.
const MAX_SIZE: usize = 128 * 1024 * 1024;

/// Resolves every reference of the file.
pub(crate) fn resolve(problems: &mut Problems, root: &mut [Entry]) {
    if !root.iter().any(|entry| entry.value.has_reference()) {
        return;
    }
    let source: Vec<Entry> = root.to_vec();
    let mut resolving = Resolving {
        problems,
        places: source
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.key_is_string)
            .map(|(place, entry)| (entry.key.as_str(), place))
            .collect(),
        source: &source,
        seen: HashMap::new(),
        trail: Vec::new(),
        size: 0,
    };
    for entry in root {
        entry.value = resolving.node(&entry.value).node;
    }
}

struct Resolving<'a> {
    problems: &'a mut Problems,
    source: &'a [Entry],
    places: HashMap<&'a str, usize>,
    /// What became of the nodes that are or hold references, by address: `source` keeps them alive.
    seen: HashMap<*const Node, Resolved>,
    /// The references that are being resolved, each for the one before it.
    trail: Vec<*const Node>,
    size: usize,
}

/// A node without references.
#[derive(Clone)]
struct Resolved {
    node: Rc<Node>,
    /// The longest chain of references that led to what is in it.
    levels: usize,
}

impl Resolving<'_> {
    fn node(&mut self, node: &Rc<Node>) -> Resolved {
        if !node.has_reference() {
            let node = Rc::clone(node);
            return Resolved { node, levels: 0 };
        }
        let address = Rc::as_ptr(node);
        if let Some(seen) = self.seen.get(&address) {
            return seen.clone();
        }
        let resolved = match &node.kind {
            Kind::Reference(path) => self.reference(node, path),
            Kind::Sequence(items) => self.items(items, node.span),
            Kind::Mapping(entries) => self.entries(entries, node.span),
            Kind::Scalar(_) | Kind::Reported => reported(node.span),
        };
        self.seen.insert(address, resolved.clone());
        resolved
    }

    fn items(&mut self, items: &[Rc<Node>], span: Span) -> Resolved {
        let mut levels = 0;
        let mut resolved = Vec::with_capacity(items.len());
        for item in items {
            let item = self.node(item);
            levels = levels.max(item.levels);
            resolved.push(item.node);
        }
        let node = self.made(Kind::Sequence(resolved), span);
        Resolved { node, levels }
    }

    fn entries(&mut self, entries: &[Entry], span: Span) -> Resolved {
        let mut levels = 0;
        let mut resolved = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = self.node(&entry.value);
            levels = levels.max(value.levels);
            resolved.push(Entry {
                value: value.node,
                ..entry.clone()
            });
        }
        let node = self.made(Kind::Mapping(resolved), span);
        Resolved { node, levels }
    }

    fn made(&mut self, kind: Kind, span: Span) -> Rc<Node> {
        let node = Node::new(kind, span);
        self.size = self.size.saturating_add(node.size());
        if self.size > MAX_SIZE {
            self.problems.error(span, TOO_BIG);
            return Node::reported(span);
        }
        Rc::new(node)
    }

    fn reference(&mut self, node: &Rc<Node>, path: &[String]) -> Resolved {
        let address = Rc::as_ptr(node);
        if self.trail.contains(&address) {
            let message = format!("!reference {path:?} is part of a circular chain");
            let hint = "what it refers to refers back to it";
            self.problems.error_with_hint(node.span, message, hint);
            return reported(node.span);
        }
        if self.trail.len() == MAX_LEVELS {
            return self.too_deep(node.span, path);
        }
        let Some(found) = self.find(path) else {
            let message = format!("!reference {path:?} could not be found");
            let hint = self.explain_missing(path);
            self.problems.error_with_hint(node.span, message, hint);
            return reported(node.span);
        };
        self.trail.push(address);
        let resolved = self.node(&found);
        self.trail.pop();
        if resolved.levels == MAX_LEVELS {
            return self.too_deep(node.span, path);
        }
        // Compat: null and false count as not there (`Reference#_resolve`).
        if matches!(resolved.node.resolve(), Some(Value::Null | Value::Bool(false))) {
            let message = format!("!reference {path:?} could not be found");
            let hint = "a value that is null or false cannot be referred to; write it here";
            self.problems.error_with_hint(node.span, message, hint);
            return reported(node.span);
        }
        Resolved {
            levels: resolved.levels + 1,
            ..resolved
        }
    }

    fn too_deep(&mut self, span: Span, path: &[String]) -> Resolved {
        let message = format!("!reference {path:?} is nested more than {MAX_LEVELS} levels deep");
        let hint = "refer to the value itself instead of to another reference";
        self.problems.error_with_hint(span, message, hint);
        reported(span)
    }

    /// Compat: a path does not lead through another reference, and not into a list.
    fn find(&self, path: &[String]) -> Option<Rc<Node>> {
        let (first, rest) = path.split_first()?;
        let mut node = &self.source[*self.places.get(first.as_str())?].value;
        for key in rest {
            node = &node.entry(key)?.value;
        }
        Some(Rc::clone(node))
    }

    /// Says how far the path leads.
    fn explain_missing(&self, path: &[String]) -> String {
        let last = (1..=path.len())
            .find(|length| self.find(&path[..*length]).is_none())
            .unwrap_or(path.len());
        let (missing, before) = (&path[last - 1], &path[..last - 1]);
        let parent = self.find(before);
        let place = before.join(":");
        let names: Vec<&str> = match (&parent, before.is_empty()) {
            (_, true) => self.source.iter().map(|entry| entry.key.as_str()).collect(),
            (Some(node), false) => match &node.kind {
                Kind::Mapping(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
                Kind::Reference(_) => return format!("`{place}` is a reference itself; refer to what it refers to"),
                _ => return format!("`{place}` is not a mapping"),
            },
            (None, false) => Vec::new(),
        };
        match closest_of(missing, names.iter().copied()) {
            Some(close) => did_you_mean(close),
            None if before.is_empty() => format!("there is no job or template `{missing}`"),
            None => format!("`{place}` has no key `{missing}`"),
        }
    }
}

/// In place of what cannot be resolved.
fn reported(span: Span) -> Resolved {
    Resolved {
        node: Node::reported(span),
        levels: 0,
    }
}
