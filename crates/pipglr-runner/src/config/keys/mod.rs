//! Every key of config.toml as data: its place, its kind, and what this runner does about it.
//!
//! This table drives the check of a file ([`super::check`]), the report of `pipglr config check`, docs/configuration.md
//! and the rows of docs/compatibility.md. A field of the model and its key's state go together: a test compares them.
//!
//! Compat: gitlab-runner common/config.go, cache/cacheconfig/cacheconfig.go.

mod cache;
mod docker;
mod global;
mod runner;

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Tables are separated by dots; `runners` and `runners.docker.services` are arrays of tables.
    pub path: &'static str,
    pub kind: Kind,
    pub state: State,
    /// What an honoured key means, how another one differs, why it has no effect.
    pub note: &'static str,
}

/// What a key's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Whole,
    /// A whole number below which there is nothing: negative ones count as 0, as in gitlab-runner.
    Count,
    /// A whole number of at least 1.
    Positive,
    Switch,
    /// `"15m"` or a number of nanoseconds.
    Duration,
    /// A date with a time.
    Time,
    Texts,
    TextOrTexts,
    TextMap,
    SwitchMap,
    /// A map of lists of text.
    TextsMap,
    /// A table with keys of its own in this table.
    Table,
    /// An array of such tables.
    Tables,
    /// Not looked into.
    Anything,
}

/// What this runner does about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Honoured,
    /// Done, but otherwise than by gitlab-runner.
    Differs,
    /// Without effect here.
    Ignored,
}

impl State {
    /// The word of docs/compatibility.md.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Differs => "differs",
            Self::Ignored => "ignored",
        }
    }
}

impl Kind {
    /// The value in words, for errors and documents.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "a text",
            Self::Whole | Self::Count | Self::Positive => "a whole number",
            Self::Switch => "true or false",
            Self::Duration => "a duration such as \"15m\"",
            Self::Time => "a date and time",
            Self::Texts => "a list of texts",
            Self::TextOrTexts => "a text or a list of texts",
            Self::TextMap => "a table of texts",
            Self::SwitchMap => "a table of true or false",
            Self::TextsMap => "a table of lists of texts",
            Self::Table => "a table",
            Self::Tables => "a list of tables",
            Self::Anything => "anything",
        }
    }
}

impl Key {
    const fn new(path: &'static str, kind: Kind, state: State, note: &'static str) -> Self {
        Self {
            path,
            kind,
            state,
            note,
        }
    }

    /// The path of the table the key stands in; empty at the top.
    #[must_use]
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The key itself.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
}

const fn honoured(path: &'static str, kind: Kind, note: &'static str) -> Key {
    Key::new(path, kind, State::Honoured, note)
}

const fn differs(path: &'static str, kind: Kind, note: &'static str) -> Key {
    Key::new(path, kind, State::Differs, note)
}

const fn ignored(path: &'static str, kind: Kind, note: &'static str) -> Key {
    Key::new(path, kind, State::Ignored, note)
}

/// All keys, in the order of documents.
pub fn all() -> impl Iterator<Item = &'static Key> {
    global::KEYS
        .iter()
        .chain(&runner::KEYS)
        .chain(&docker::KEYS)
        .chain(&cache::KEYS)
}

/// The key `name` of the table at `parent`. Letter case does not matter.
///
/// Compat: gitlab-runner's TOML library compares names that way.
#[must_use]
pub fn find(parent: &str, name: &str) -> Option<&'static Key> {
    children(parent).find(|key| key.name().eq_ignore_ascii_case(name))
}

/// Keys whose values are [`pipglr_protocol::Secret`]s in the model: a test compares them.
const SECRETS: [&str; 6] = [
    "runners.token",
    "runners.cache.s3.AccessKey",
    "runners.cache.s3.SecretKey",
    "runners.cache.s3.SessionToken",
    "runners.cache.gcs.PrivateKey",
    "runners.cache.azure.AccountKey",
];

/// Whether the value at a path (tables separated by dots) must not be shown. What the table does not know, or does not
/// look into, is judged by its name.
#[must_use]
pub fn is_secret(path: &str) -> bool {
    if SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(path)) {
        return true;
    }
    if all().any(|key| key.path.eq_ignore_ascii_case(path) && key.state != State::Ignored) {
        return false;
    }
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let words = ["token", "password", "passwd", "secret", "credential", "dsn", "auth"];
    words.iter().any(|word| name.contains(word)) || name.ends_with("key")
}

/// The keys of the table at `parent`.
pub fn children(parent: &str) -> impl Iterator<Item = &'static Key> {
    all().filter(move |key| key.parent() == parent)
}

#[cfg(test)]
mod tests;
