//! YAML as GitLab loads it: libyaml's grammar, Psych's scalars and merge keys, with the place of everything.
//!
//! Does not know any keyword of `.gitlab-ci.yml`.

mod compose;
#[expect(unsafe_code, reason = "libyaml is a C-shaped library; this module is its safe face")]
mod events;
mod hints;
mod mapping;
mod node;
mod passage;
mod scalar;

pub(crate) use compose::TOO_BIG;
pub(crate) use compose::compose;
pub(crate) use node::{Entry, Kind, Node};
pub(crate) use passage::Passage;
pub(crate) use scalar::Resolved;
