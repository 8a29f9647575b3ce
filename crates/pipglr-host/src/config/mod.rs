//! The runner's config.toml as the host keeps it: the podman secret, the copy a container has of it, and its text.
//!
//! `secret` reads and replaces the secret; `live` brings a new text to a running container; `edit` reads and changes
//! values by their path; [`redact`] is for showing. What a key means is for the engine to say, so callers bring that along.

mod difference;
mod edit;
mod live;
mod redact;
mod secret;

pub use difference::difference;
pub(crate) use edit::line_of;
pub use edit::{Document, EditError, Path, Wanted};
pub use live::{Reached, bring};
pub use redact::{HIDDEN, redact};
pub use secret::{ConfigSecret, SecretError};
