//! The composed document: a tree whose scalars still know how they were written.

use super::scalar::{Resolved, resolve};
use crate::diagnostics::Span;
use std::rc::Rc;

/// Size of a value in GitLab's memory before its text; short texts are free.
const VALUE_SIZE: usize = 40;
const FREE_TEXT: usize = 23;

/// One value with its place. Aliased values are shared, so a place is where the value was written.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Estimated size in GitLab's memory with every alias counted in full.
    pub(super) size: usize,
    /// Levels of nesting including this one.
    pub(super) height: usize,
    /// It is a reference, or one is in it.
    has_reference: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
    /// `!reference [job, key, …]`, at least one key long. Gone before keywords are read.
    Reference(Vec<String>),
    /// Something that was reported already; whoever meets it stays silent.
    Reported,
}

/// A scalar as written; what it means is decided when it is asked for.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Never anything but a string: quoted, a block scalar, or tagged `!!str`.
    pub(crate) string: bool,
}

/// One key with its value. Keys are unique in a mapping, in order of first appearance.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// `false` for keys such as `true` or `12`, which are not strings unless quoted.
    pub(crate) key_is_string: bool,
    pub(crate) key_span: Span,
    pub(crate) value: Rc<Node>,
}

impl Node {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        let text_size = |text: &str| if text.len() > FREE_TEXT { text.len() } else { 0 };
        let (size, height, has_reference) = match &kind {
            Kind::Scalar(scalar) => (text_size(&scalar.text), 0, false),
            Kind::Sequence(items) => measure(items.iter()),
            Kind::Mapping(entries) => measure(entries.iter().map(|entry| &entry.value)),
            Kind::Reference(path) => (VALUE_SIZE * path.len(), 0, true),
            Kind::Reported => (0, 0, false),
        };
        Self {
            kind,
            span,
            size: size.saturating_add(VALUE_SIZE),
            height: height + 1,
            has_reference,
        }
    }

    pub(crate) fn reported(span: Span) -> Rc<Self> {
        Rc::new(Self::new(Kind::Reported, span))
    }

    /// Estimated bytes in GitLab's memory, shared values counted wherever they are used.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn has_reference(&self) -> bool {
        self.has_reference
    }

    /// The entry of a mapping with this key, which has to be a string.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        let entries = self.as_mapping()?;
        entries.iter().find(|entry| entry.key_is_string && entry.key == key)
    }

    pub(crate) fn resolve(&self) -> Option<Resolved<'_>> {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.string => Some(Resolved::String(&scalar.text)),
            Kind::Scalar(scalar) => Some(resolve(&scalar.text)),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Reference(_) | Kind::Reported => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self.resolve() {
            Some(Resolved::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.resolve() {
            Some(Resolved::Bool(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.resolve() == Some(Resolved::Null)
    }

    pub(crate) fn is_reported(&self) -> bool {
        matches!(self.kind, Kind::Reported)
    }

    pub(crate) fn as_sequence(&self) -> Option<&[Rc<Node>]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Size and height of a collection without the collection itself, and whether a reference is in it.
fn measure<'n>(children: impl Iterator<Item = &'n Rc<Node>>) -> (usize, usize, bool) {
    children.fold(
        (0, 0, false),
        |(size, height, has_reference): (usize, usize, bool), child| {
            let size = size.saturating_add(child.size);
            (size, height.max(child.height), has_reference || child.has_reference)
        },
    )
}
