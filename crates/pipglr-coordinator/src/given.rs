//! A variable that somebody sets from outside the configuration.

use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};

/// A variable of a run, of the project, of a group or of the instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the switches GitLab has")]
pub struct Given {
    pub key: String,
    /// Not shown by `Debug`.
    pub value: Secret,
    /// The job gets the path of a file with the value.
    pub file: bool,
    /// The value is taken as it is, without expansion.
    pub raw: bool,
    /// The value does not appear in logs.
    pub masked: bool,
    /// Only in pipelines of protected refs.
    pub protected: bool,
    /// Environments it is for: `*`, a name, or a name with `*` in it.
    pub environment_scope: String,
}

impl Given {
    /// A plain variable for every environment.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: Secret::new(value.into()),
            environment_scope: "*".to_owned(),
            ..Self::default()
        }
    }
}
