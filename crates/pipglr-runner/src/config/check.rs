//! Comparing a file with the table of keys: unknown keys, wrong values, keys without effect, each with its place.

use super::duration;
use super::keys::{self, Key, Kind, State};
use std::borrow::Cow;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something to be said about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub place: Place,
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong.
    Note,
    Warning,
    /// As a warning; a strict check refuses the file.
    UnknownKey,
    /// The file cannot be used.
    Error,
}

impl Severity {
    /// As compilers call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning | Self::UnknownKey => "warning",
            Self::Error => "error",
        }
    }
}

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The place of a byte in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        Self {
            line: before.iter().filter(|b| **b == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// `line:column: severity: message`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity.word(), self.message)
    }
}

/// A key that a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedKey {
    pub key: &'static Key,
    pub place: Place,
}

/// One walk through a file.
#[derive(Debug)]
pub(super) struct Walk<'t> {
    text: &'t str,
    pub(super) findings: Vec<Finding>,
    pub(super) used: Vec<UsedKey>,
    /// Where the `[[runners]]` stand.
    pub(super) runners: Vec<Place>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            findings: Vec::new(),
            used: Vec::new(),
            runners: Vec::new(),
        }
    }

    fn say(&mut self, severity: Severity, offset: usize, message: String) {
        let place = Place::of(self.text, offset);
        self.findings.push(Finding {
            severity,
            place,
            message,
        });
    }

    /// Checks the table at `parent` and gives it back with names as the model has them, without what cannot be used.
    pub(super) fn table(&mut self, parent: &str, table: DeTable<'t>) -> DeTable<'t> {
        let mut known = DeTable::new();
        for (name, value) in table {
            let Some(key) = keys::find(parent, name.get_ref()) else {
                self.say(Severity::UnknownKey, name.span().start, unknown(parent, name.get_ref()));
                continue;
            };
            let place = Place::of(self.text, name.span().start);
            self.used.push(UsedKey { key, place });
            if key.state == State::Ignored && says_something(value.get_ref()) {
                let message = format!("`{}` has no effect: {}", key.path, key.note);
                self.say(Severity::Warning, name.span().start, message);
            }
            if let Some(value) = self.value(key, value) {
                known.insert(Spanned::new(name.span(), Cow::Borrowed(key.name())), value);
            }
        }
        known
    }

    /// A value that its key can have; `None` is the same as if it were not there.
    fn value(&mut self, key: &'static Key, value: Spanned<DeValue<'t>>) -> Option<Spanned<DeValue<'t>>> {
        let span = value.span();
        let value = match (key.kind, value.into_inner()) {
            (Kind::Table, DeValue::Table(inner)) => DeValue::Table(self.table(key.path, inner)),
            (Kind::Tables, DeValue::Array(items)) => return self.tables(key, span, items),
            // An empty text is the same as none in gitlab-runner.
            (Kind::Text | Kind::Word(_) | Kind::Duration, DeValue::String(text)) if text.is_empty() => return None,
            (Kind::Count, DeValue::Integer(number)) if number.as_str().starts_with('-') => {
                let message = format!("`{}` is negative, which counts as 0", key.path);
                self.say(Severity::Warning, span.start, message);
                return None;
            }
            (_, other) => other,
        };
        match wrong(key.kind, &value) {
            None => Some(Spanned::new(span, value)),
            Some(reason) => {
                // What has no effect cannot do harm either.
                let severity = match key.state {
                    State::Ignored => Severity::Warning,
                    State::Honoured | State::Differs => Severity::Error,
                };
                self.say(severity, span.start, format!("`{}` {reason}", key.path));
                None
            }
        }
    }

    fn tables(
        &mut self,
        key: &'static Key,
        span: std::ops::Range<usize>,
        items: toml::de::DeArray<'t>,
    ) -> Option<Spanned<DeValue<'t>>> {
        let mut checked = toml::de::DeArray::new();
        for item in items {
            let inner = item.span();
            match item.into_inner() {
                DeValue::Table(table) => {
                    if key.path == "runners" {
                        self.runners.push(Place::of(self.text, inner.start));
                    }
                    checked.push(Spanned::new(inner, DeValue::Table(self.table(key.path, table))));
                }
                other => {
                    let message = format!("`{}` must be {}, not {}", key.path, key.kind.words(), shape(&other));
                    self.say(Severity::Error, inner.start, message);
                    return None;
                }
            }
        }
        Some(Spanned::new(span, DeValue::Array(checked)))
    }
}

/// What is wrong with a value of this kind. Values are never shown: one may be a secret in the wrong place.
fn wrong(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    let is_text = |v: &DeValue<'_>| v.is_str();
    let all = |v: &DeValue<'_>, fits: &dyn Fn(&DeValue<'_>) -> bool| match v {
        DeValue::Array(items) => items.iter().all(|i| fits(i.get_ref())),
        DeValue::Table(items) => items.values().all(|i| fits(i.get_ref())),
        _ => false,
    };
    let fits = match kind {
        Kind::Anything => true,
        Kind::Text | Kind::Word(_) => value.is_str(),
        Kind::Whole | Kind::Count | Kind::Positive => value.is_integer(),
        Kind::Switch => value.is_bool(),
        Kind::Duration => value.is_integer() || value.as_str().is_some_and(|t| duration::of_config(t).is_some()),
        Kind::Time => value.is_datetime(),
        Kind::Texts => value.is_array() && all(value, &is_text),
        Kind::TextOrTexts => value.is_str() || (value.is_array() && all(value, &is_text)),
        Kind::TextMap => value.is_table() && all(value, &is_text),
        Kind::SwitchMap => value.is_table() && all(value, &|v| v.is_bool()),
        Kind::TextsMap => value.is_table() && all(value, &|v| v.is_array() && all(v, &is_text)),
        Kind::Table => value.is_table(),
        Kind::Tables => value.is_array(),
    };
    if !fits {
        return Some(format!("must be {}, not {}", kind.words(), shape(value)));
    }
    match (kind, value) {
        (Kind::Word(words), DeValue::String(text)) if !words.iter().any(|w| text.eq_ignore_ascii_case(w)) => {
            Some(format!("must be one of {}", words.join(", ")))
        }
        (Kind::Positive, DeValue::Integer(number))
            if i64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|n| n < 1) =>
        {
            Some("must be at least 1".to_owned())
        }
        _ => None,
    }
}

fn shape(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "this text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "this list",
        DeValue::Table(_) => "a table",
    }
}

/// Values that say "nothing" (gitlab-runner writes many) need no warning.
fn says_something(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Boolean(on) => *on,
        DeValue::Integer(number) => number.as_str() != "0",
        DeValue::String(text) => !text.is_empty(),
        DeValue::Array(items) => !items.is_empty(),
        DeValue::Table(inner) => inner.values().any(|v| says_something(v.get_ref())),
        DeValue::Float(_) | DeValue::Datetime(_) => true,
    }
}

/// What to say about a key that nobody knows.
fn unknown(parent: &str, name: &str) -> String {
    let path = if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    };
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let near = keys::children(parent)
        .map(|key| (strsim::damerau_levenshtein(&plain(name), &plain(key.name())), key))
        .filter(|(distance, key)| *distance <= 2 && *distance < key.name().len())
        .min_by_key(|(distance, _)| *distance);
    let elsewhere = || keys::all().find(|key| key.name().eq_ignore_ascii_case(name));
    match near.map(|(_, key)| key).or_else(elsewhere) {
        Some(key) => format!("there is no key `{path}`: did you mean `{}`?", key.path),
        None => format!("there is no key `{path}`: remove it"),
    }
}
