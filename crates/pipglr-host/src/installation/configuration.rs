//! config.toml, as far as setting a runner up has to read and change it. Comments and everything unknown stay.

use super::wish::Registration;
use crate::config::line_of;
use std::fmt;
use toml_edit::{DocumentMut, Item, TableLike, value};

/// The text of a config.toml. It holds tokens, so it shows nothing of itself.
#[derive(Clone)]
pub struct Configuration {
    document: DocumentMut,
}

/// The stored configuration is no TOML. What a parser says could show tokens, so only the place is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret config.toml is not valid: syntax error in line {line}")]
pub struct ConfigurationError {
    pub line: usize,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").finish_non_exhaustive()
    }
}

impl Configuration {
    /// Of nothing: no runner yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            document: DocumentMut::new(),
        }
    }

    /// # Errors
    /// It is no TOML.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        text.parse()
            .map(|document| Self { document })
            .map_err(|error| ConfigurationError {
                line: line_of(text, &error),
            })
    }

    /// The whole text, with its secrets.
    #[must_use]
    pub fn expose(&self) -> String {
        self.document.to_string()
    }

    /// How many jobs may run at the same time, if it says so.
    #[must_use]
    pub fn concurrent(&self) -> Option<i64> {
        self.document.get("concurrent").and_then(Item::as_integer)
    }

    pub fn set_concurrent(&mut self, concurrent: u32) {
        self.document["concurrent"] = value(i64::from(concurrent));
    }

    /// How many `[[runners]]` there are.
    #[must_use]
    pub fn runners(&self) -> usize {
        self.tables().count()
    }

    /// Whether this runner is in it. A token that makes runners is in no file: such a runner is known by its name.
    #[must_use]
    pub fn has(&self, wanted: &Registration) -> bool {
        self.tables().any(|runner| {
            let is = |key: &str, text: &str| runner.get(key).and_then(Item::as_str) == Some(text);
            let url = runner.get("url").and_then(Item::as_str).unwrap_or_default();
            let known = if wanted.token.is_of_a_runner() {
                is("token", wanted.token.expose())
            } else {
                is("token", wanted.token.expose()) || is("name", &wanted.name)
            };
            known && same_instance(url, &wanted.url)
        })
    }

    fn tables(&self) -> impl Iterator<Item = &dyn TableLike> {
        let runners = self.document.get("runners").and_then(Item::as_array_of_tables);
        runners.into_iter().flatten().map(|table| table as &dyn TableLike)
    }
}

fn same_instance(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::super::wish::Token;
    use super::{Configuration, Registration};

    const TEXT: &str = "# mine\nconcurrent = 1\n\n[[runners]]\n  name = \"a\"\n  url = \"https://g.example/\"\n  token = \"glrt-one\"\n";

    fn registration(url: &str, token: &str, name: &str) -> Registration {
        Registration {
            url: url.into(),
            token: Token::new(token),
            name: name.into(),
            options: Vec::new(),
        }
    }

    #[test]
    fn runners_are_known_by_instance_and_token() {
        let configuration = Configuration::parse(TEXT).unwrap();
        for (url, token, name, known) in [
            ("https://g.example", "glrt-one\n", "other", true),
            ("https://g.example", "glrt-two", "a", false),
            ("https://h.example", "glrt-one", "a", false),
            ("https://g.example/", "GR1348941x", "a", true),
            ("https://g.example/", "GR1348941x", "b", false),
        ] {
            assert_eq!(
                configuration.has(&registration(url, token, name)),
                known,
                "{url} {token} {name}"
            );
        }
    }

    #[test]
    fn only_what_changes_is_changed() {
        let mut configuration = Configuration::parse(TEXT).unwrap();
        configuration.set_concurrent(4);
        assert_eq!(configuration.expose(), TEXT.replace("concurrent = 1", "concurrent = 4"));
    }

    #[test]
    fn neither_errors_nor_debug_output_show_tokens() {
        let error = Configuration::parse("a = 1\ntoken = \"glrt-secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the secret config.toml is not valid: syntax error in line 2"
        );
        let shown = format!("{:?} {:?}", Configuration::parse(TEXT).unwrap(), Token::new("glrt-one"));
        assert!(!shown.contains("glrt"), "{shown}");
    }
}
