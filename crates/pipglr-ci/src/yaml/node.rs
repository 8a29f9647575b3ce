//! The composed document: a tree whose scalars still know how they were written.

use super::scalar::{Resolved, resolve};
use crate::diagnostics::Span;
use std::rc::Rc;

/// One value with its place. Aliased values are shared, so a place is where the value was written.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Estimated size in GitLab's memory with every alias counted in full.
    pub(super) size: usize,
    /// Levels of nesting including this one.
    pub(super) height: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
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
    pub(crate) fn resolve(&self) -> Option<Resolved<'_>> {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.string => Some(Resolved::String(&scalar.text)),
            Kind::Scalar(scalar) => Some(resolve(&scalar.text)),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Reported => None,
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
            Kind::Scalar(_) | Kind::Mapping(_) | Kind::Reported => None,
        }
    }

    pub(crate) fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            Kind::Scalar(_) | Kind::Sequence(_) | Kind::Reported => None,
        }
    }
}
