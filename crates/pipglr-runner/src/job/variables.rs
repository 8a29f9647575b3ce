//! The job's variables: where they come from, which wins, how `$NAME` is expanded.
//!
//! Compat: gitlab-runner common/build.go `GetAllVariables`, common/spec/variables.go.

use pipglr_protocol::{Secret, payload};
use std::collections::HashMap;

/// One variable of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as on the wire")]
pub(super) struct Variable {
    pub key: String,
    pub value: Secret,
    pub public: bool,
    pub file: bool,
    pub masked: bool,
    pub raw: bool,
}

impl Variable {
    /// A variable the runner itself sets.
    #[must_use]
    pub(super) fn internal(key: &str, value: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            value: Secret::new(value),
            public: true,
            file: false,
            masked: false,
            raw: false,
        }
    }
}

impl From<&payload::Variable> for Variable {
    fn from(v: &payload::Variable) -> Self {
        Self {
            key: v.key.clone(),
            value: v.value.clone(),
            public: v.public,
            file: v.file,
            masked: v.masked,
            raw: v.raw,
        }
    }
}

/// An ordered list; the last entry of a key wins.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    list: Vec<Variable>,
    temp_dir: String,
}

impl Variables {
    /// Takes the list in order; file variables live below `temp_dir`.
    #[must_use]
    pub(super) fn new(list: Vec<Variable>, temp_dir: &str) -> Self {
        Self {
            list,
            temp_dir: temp_dir.to_owned(),
        }
    }

    /// The value scripts see: of a file variable its path.
    #[must_use]
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.list.iter().rev().find(|v| v.key == key).map(|v| self.visible(v))
    }

    /// The value itself: of a file variable its content.
    #[must_use]
    pub(super) fn value(&self, key: &str) -> Option<Secret> {
        self.list.iter().rev().find(|v| v.key == key).map(|v| v.value.clone())
    }

    /// Expands `$NAME` in `text`.
    #[must_use]
    pub(super) fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name).unwrap_or_default())
    }

    /// Every non-raw value expanded once against the unexpanded list.
    #[must_use]
    pub(super) fn expanded(&self) -> Self {
        let lookup: HashMap<&str, String> = self.list.iter().map(|v| (v.key.as_str(), self.visible(v))).collect();
        let list = self.list.iter().map(|v| {
            let mut v = v.clone();
            if !v.raw && v.value.expose().contains('$') {
                v.value = Secret::new(expand(v.value.expose(), |name| {
                    lookup.get(name).cloned().unwrap_or_default()
                }));
            }
            v
        });
        Self {
            list: list.collect(),
            temp_dir: self.temp_dir.clone(),
        }
    }

    /// The environment of the job's processes, duplicates included in order.
    pub(super) fn environment(&self) -> impl Iterator<Item = (String, Secret)> + '_ {
        self.list.iter().map(|v| {
            (
                v.key.clone(),
                if v.file {
                    Secret::new(self.visible(v))
                } else {
                    v.value.clone()
                },
            )
        })
    }

    /// The variables services get: public ones and the runner's own.
    ///
    /// Compat: gitlab-runner common/build.go `GetServiceVariables`.
    pub(super) fn for_services(&self) -> impl Iterator<Item = (&str, Secret)> + '_ {
        let public = self.list.iter().filter(|v| v.public);
        public.map(|v| {
            let value = if v.file {
                Secret::new(self.visible(v))
            } else {
                v.value.clone()
            };
            (v.key.as_str(), value)
        })
    }

    /// Whether a text must not be shown: it holds a masked value.
    pub(super) fn holds_secret(&self, text: &str) -> bool {
        self.masked_values()
            .any(|value| !value.is_empty() && text.contains(value))
    }

    /// Path and content of file variables, the winning ones only.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, Secret)> + '_ {
        self.list
            .iter()
            .enumerate()
            .filter(|(i, v)| v.file && !self.list[i + 1..].iter().any(|later| later.key == v.key))
            .map(|(_, v)| (self.visible(v), v.value.clone()))
    }

    /// Values that must not appear in the log.
    pub(super) fn masked_values(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter(|v| v.masked).map(|v| v.value.expose())
    }

    /// A switch as Go's `ParseBool` reads it; an unreadable value is `Err` with that value.
    pub(super) fn switch(&self, key: &str) -> Option<Result<bool, String>> {
        let value = self.get(key).filter(|v| !v.is_empty())?;
        Some(parse_bool(&value).ok_or(value))
    }

    fn visible(&self, variable: &Variable) -> String {
        if variable.file {
            format!("{}/{}", self.temp_dir, variable.key)
        } else {
            variable.value.expose().to_owned()
        }
    }
}

/// Go's `strconv.ParseBool`.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `os.Expand`: `$NAME`, `${NAME}`; `$$` is `$`; special parameters are empty; a broken `${` is swallowed.
///
/// Compat: gitlab-runner common/spec/variables.go.
#[must_use]
pub fn expand(text: &str, lookup: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.is_empty() {
            out.push('$');
            break;
        }
        if let Some(inner) = rest.strip_prefix('{') {
            match inner.find('}') {
                Some(0) => rest = &inner[1..],
                Some(end) => {
                    out.push_str(&value_of(&inner[..end], &lookup));
                    rest = &inner[end + 1..];
                }
                None => rest = inner,
            }
            continue;
        }
        let first = rest.chars().next().unwrap_or_default();
        if matches!(first, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9') {
            out.push_str(&value_of(&rest[..1], &lookup));
            rest = &rest[1..];
            continue;
        }
        let len = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        if len == 0 {
            out.push('$');
        } else {
            out.push_str(&lookup(&rest[..len]));
            rest = &rest[len..];
        }
    }
    out.push_str(rest);
    out
}

fn value_of(name: &str, lookup: &impl Fn(&str) -> String) -> String {
    match name {
        "$" => "$".to_owned(),
        "*" | "#" | "@" | "!" | "?" | "-" => String::new(),
        digit if digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit() => String::new(),
        name => lookup(name),
    }
}

#[cfg(test)]
mod tests {
    use super::{Variable, Variables, expand};

    #[test]
    fn expansion_follows_go() {
        let lookup = |name: &str| match name {
            "A" => "1".to_owned(),
            "LONG_2" => "two".to_owned(),
            _ => String::new(),
        };
        for (text, expected) in [
            ("$A", "1"),
            ("${A}x", "1x"),
            ("a$LONG_2.b", "atwo.b"),
            ("$UNDEFINED|", "|"),
            ("$$A $$", "$A $"),
            ("$* $# $@ $! $? $0 $9 ${1}", "       "),
            ("$-x", "x"),
            ("${A:-x}", ""),
            ("$/x end$", "$/x end$"),
            ("${}x", "x"),
            ("a${A", "aA"),
            ("%A%", "%A%"),
            ("é$A", "é1"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    fn variable(key: &str, value: &str) -> Variable {
        Variable {
            public: false,
            ..Variable::internal(key, value)
        }
    }

    #[test]
    fn values_are_expanded_once_and_the_last_one_wins() {
        let vars = Variables::new(
            vec![
                variable("A", "first"),
                variable("A", "$B"),
                variable("B", "$C"),
                variable("C", "c"),
                Variable {
                    raw: true,
                    ..variable("R", "$C")
                },
                Variable {
                    file: true,
                    ..variable("F", "content $C")
                },
                variable("P", "at $F"),
            ],
            "/builds/g/p.tmp",
        )
        .expanded();
        let get = |key: &str| vars.get(key).unwrap();
        assert_eq!((get("A"), get("B"), get("R")), ("$C".into(), "c".into(), "$C".into()));
        assert_eq!(
            (get("F"), get("P")),
            ("/builds/g/p.tmp/F".into(), "at /builds/g/p.tmp/F".into())
        );
        let files: Vec<_> = vars.files().map(|(p, c)| (p, c.expose().to_owned())).collect();
        assert_eq!(files, [("/builds/g/p.tmp/F".to_owned(), "content c".to_owned())]);
    }
}
