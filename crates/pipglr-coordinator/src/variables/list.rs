//! Variables as they are collected: of a key that is there twice the last counts.

use crate::given::Given;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::Variable;

#[derive(Debug, Default)]
pub(super) struct List(pub(super) Vec<Variable>);

impl List {
    pub(super) fn add(&mut self, key: &str, value: impl AsRef<str>) {
        self.0.push(public(key, value.as_ref()));
    }

    /// For text that people wrote: a `$` in a commit message is no reference.
    pub(super) fn add_text(&mut self, key: &str, value: &str) {
        self.0.push(Variable {
            raw: true,
            ..public(key, value)
        });
    }

    pub(super) fn add_secret(&mut self, key: &str, value: Secret) {
        self.0.push(Variable {
            value,
            public: false,
            masked: true,
            ..public(key, "")
        });
    }

    /// Compat: variables of GitLab's settings and of a run are not passed on to services.
    pub(super) fn add_given(&mut self, given: &Given) {
        self.0.push(Variable {
            key: given.key.clone(),
            value: given.value.clone(),
            public: false,
            file: given.file,
            masked: given.masked,
            raw: given.raw,
        });
    }
}

/// A variable everybody may see.
pub(super) fn public(key: &str, value: &str) -> Variable {
    Variable {
        key: key.to_owned(),
        value: Secret::new(value),
        public: true,
        ..Variable::default()
    }
}
