//! A config.toml to show to people: without what is secret.

use super::edit::{EditError, document_of};
use toml_edit::{Formatted, Item, Table, TableLike, Value};

/// Stands for a secret.
pub const HIDDEN: &str = "[REDACTED]";

/// What tokens begin with, wherever they stand.
///
/// Compat: GitLab's authentication and registration tokens of runners, personal and job tokens.
const TOKENS: [&str; 6] = ["glrt-", "glrtr-", "GR1348941", "glpat-", "glcbt-", "gldt-"];
/// What names of secrets contain, in capitals.
const WORDS: [&str; 8] = [
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "CREDENTIAL",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "AUTH",
];
/// Shorter texts are not searched for: they could be anything.
const LONG_ENOUGH: usize = 8;

/// The text with every secret replaced: values `is_secret` says so of by their path (tables separated by dots, without
/// numbers), assignments in lists whose name says so, and whatever looks like a token, or as one of the values, in comments.
///
/// # Errors
/// [`EditError::Syntax`].
pub fn redact(text: &str, is_secret: &dyn Fn(&str) -> bool) -> Result<String, EditError> {
    let mut document = document_of(text)?;
    let mut walk = Walk {
        is_secret,
        found: Vec::new(),
    };
    walk.table("", document.as_table_mut());
    let mut shown = document.to_string();
    walk.found.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in walk.found.iter().filter(|value| value.len() >= LONG_ENOUGH) {
        shown = shown.replace(value.as_str(), HIDDEN);
    }
    Ok(without_passwords(&without_tokens(&shown)))
}

/// Whether a name says that its value is a secret.
fn says_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    WORDS.iter().any(|word| name.contains(word))
}

struct Walk<'f> {
    is_secret: &'f dyn Fn(&str) -> bool,
    found: Vec<String>,
}

impl Walk<'_> {
    fn table(&mut self, parent: &str, table: &mut dyn TableLike) {
        for (key, item) in table.iter_mut() {
            let path = if parent.is_empty() {
                key.get().to_owned()
            } else {
                format!("{parent}.{}", key.get())
            };
            match item {
                Item::Table(inner) => self.table(&path, inner),
                Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|inner: &mut Table| self.table(&path, inner)),
                Item::Value(value) => self.value(&path, value),
                Item::None => {}
            }
        }
    }

    fn value(&mut self, path: &str, value: &mut Value) {
        match value {
            Value::InlineTable(inner) => self.table(path, inner),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(path, item)),
            Value::String(text) => {
                if let Some(shown) = self.hidden(path, text.value()) {
                    let decor = text.decor().clone();
                    *text = Formatted::new(shown);
                    *text.decor_mut() = decor;
                }
            }
            _ => {}
        }
    }

    /// What to show in place of a text.
    fn hidden(&mut self, path: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if (self.is_secret)(path) {
            self.found.push(text.to_owned());
            return Some(HIDDEN.to_owned());
        }
        let (name, value) = text.split_once('=')?;
        if value.is_empty() || !says_secret(name) {
            return None;
        }
        self.found.push(value.to_owned());
        Some(format!("{name}={HIDDEN}"))
    }
}

fn without_tokens(text: &str) -> String {
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix)) = TOKENS.iter().filter_map(|t| Some((rest.find(t)?, *t))).min() {
        let after = at + prefix.len();
        let end = rest[after..]
            .find(|c| !belongs(c))
            .map_or(rest.len(), |length| after + length);
        shown.push_str(&rest[..at]);
        shown.push_str(if end > after { HIDDEN } else { prefix });
        rest = &rest[end..];
    }
    shown + rest
}

/// `scheme://user:password@host`.
fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let authority = part.find(|c: char| matches!(c, '/' | '"' | '\'' | ',') || c.is_whitespace());
        let authority = &part[..authority.unwrap_or(part.len())];
        match authority.rfind('@') {
            Some(at) if authority[..at].contains(':') => {
                shown.push_str(HIDDEN);
                shown.push_str(&part[at..]);
            }
            _ => shown.push_str(part),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let is_secret = |path: &str| matches!(path, "runners.token" | "runners.cache.s3.SecretKey");
        for (text, expected) in [
            ("a = 1 # stays\n", "a = 1 # stays\n"),
            (
                "[[runners]]\ntoken = \"abc\" # mine\n",
                "[[runners]]\ntoken = \"[REDACTED]\" # mine\n",
            ),
            ("[[runners]]\ntoken = \"\"\n", "[[runners]]\ntoken = \"\"\n"),
            (
                "# was: token-of-old\nrunners = [{ token = 'token-of-old' }]\n",
                "# was: [REDACTED]\nrunners = [{ token = \"[REDACTED]\" }]\n",
            ),
            (
                "[runners.cache.s3]\nSecretKey = \"\"\"k\"\"\"\n",
                "[runners.cache.s3]\nSecretKey = \"[REDACTED]\"\n",
            ),
            (
                "environment = [\"DOCKER_AUTH_CONFIG={}\", \"A=b\", \"my-password=x\", \"TOKEN=\"]\n",
                "environment = [\"DOCKER_AUTH_CONFIG=[REDACTED]\", \"A=b\", \"my-password=[REDACTED]\", \"TOKEN=\"]\n",
            ),
            ("# token = \"glrt-t1_abc.1.x\"\n", "# token = \"[REDACTED]\"\n"),
            ("# tokens begin with glrt- here\n", "# tokens begin with glrt- here\n"),
            (
                "proxy = \"http://me:pass@proxy:3128/x\" # or http://proxy@x\n",
                "proxy = \"http://[REDACTED]@proxy:3128/x\" # or http://proxy@x\n",
            ),
        ] {
            assert_eq!(redact(text, &is_secret).unwrap(), expected, "{text}");
        }
        assert!(redact("a = \n", &is_secret).is_err());
    }
}
