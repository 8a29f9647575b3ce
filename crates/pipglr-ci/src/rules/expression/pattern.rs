//! `/…/flags`: what GitLab gives to RE2, given to the `regex` crate.

use regex::{Regex, RegexBuilder};
use std::fmt;
use std::sync::LazyLock;

/// Compat: `Lexeme::Pattern::PATTERN`. As it is tried with backtracking there and leftmost-first here, lengths agree.
#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static LITERAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A/([^/]|\\/)+[^\\]/[ismU]*").expect("the pattern of patterns is valid"));

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// As written, with its slashes.
    text: String,
    regex: Regex,
}

/// How long the pattern is that a text starts with.
pub(super) fn length(text: &str) -> Option<usize> {
    if !text.starts_with('/') {
        return None;
    }
    LITERAL.find(text).map(|found| found.end())
}

impl Pattern {
    /// A literal of an expression, with its slashes and flags.
    ///
    /// # Errors
    /// What RE2 would not take, and why.
    pub(super) fn literal(text: &str) -> Result<Self, String> {
        Pattern::new(text, &text.replace("\\/", "/"))
    }

    /// The value of a variable, or an entry of `only:refs`. `None` unless it is `/…/flags` and RE2 takes it.
    pub(crate) fn of_value(text: &str) -> Option<Self> {
        Pattern::new(text, text).ok()
    }

    /// Whether a text looks like a pattern, be it a good one or not.
    ///
    /// Compat: `RubySyntax.matches_syntax?`.
    pub(crate) fn is_meant(text: &str) -> bool {
        parts(text).is_some()
    }

    /// Compat: `Gitlab::UntrustedRegexp::RubySyntax`.
    fn new(text: &str, value: &str) -> Result<Self, String> {
        let invalid = || "this is no pattern: it has to be `/…/` with flags of `ismU`".to_owned();
        let (body, flags) = parts(value).ok_or_else(invalid)?;
        Ok(Pattern {
            text: text.to_owned(),
            regex: compile(body, flags)?,
        })
    }

    /// Whether it is found anywhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// What is between the slashes, and the flags.
fn parts(value: &str) -> Option<(&str, &str)> {
    value
        .strip_prefix('/')
        .and_then(|inner| inner.rsplit_once('/'))
        .filter(|(_, flags)| flags.chars().all(|flag| "ismU".contains(flag)))
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Compiles a regular expression in RE2's language.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn compile(body: &str, flags: &str) -> Result<Regex, String> {
    let translated = translate(body)?;
    RegexBuilder::new(&translated)
        .case_insensitive(flags.contains('i'))
        .dot_matches_new_line(flags.contains('s'))
        .multi_line(flags.contains('m'))
        .swap_greed(flags.contains('U'))
        .build()
        .map_err(|e| {
            let reason = e.to_string();
            let last = reason.lines().last().unwrap_or_default();
            format!("invalid regular expression: {}", last.trim_start_matches("error: "))
        })
}

/// RE2's syntax in the crate's: classes are ASCII, `[` and `&&` in a class mean themselves, and so does a lone `{`.
fn translate(body: &str) -> Result<String, String> {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    let mut class = false;
    // A `]` that comes first in a class means itself.
    let mut class_starts = false;
    while let Some(c) = rest.chars().next() {
        let first = std::mem::take(&mut class_starts);
        let length = match c {
            '\\' => escape(rest, class, &mut out)?,
            '[' if class => posix_class(rest, &mut out),
            '[' => {
                class = true;
                class_starts = true;
                let negated = rest[1..].starts_with('^');
                out.push_str(if negated { "[^" } else { "[" });
                1 + usize::from(negated)
            }
            ']' if class && first => {
                out.push_str("\\]");
                1
            }
            ']' => {
                class = false;
                out.push(']');
                1
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
                1
            }
            '-' if class && rest.starts_with("--") => {
                out.push_str("\\-");
                1
            }
            '{' if !class && !is_repetition(rest) => {
                out.push_str("\\{");
                1
            }
            '(' if !class => group(rest, &mut out)?,
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(out)
}

/// What a backslash begins; gives its length.
fn escape(rest: &str, class: bool, out: &mut String) -> Result<usize, String> {
    let Some(escaped) = rest[1..].chars().next() else {
        return Err("invalid regular expression: it ends in a backslash".to_owned());
    };
    let replacement = match (escaped, class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', _) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', false) => "[\\t\\n\\f\\r ]",
        ('s', true) => "\\t\\n\\f\\r ",
        ('S', _) => "[^\\t\\n\\f\\r ]",
        ('b', false) => "(?-u:\\b)",
        ('<', _) => "<",
        ('>', _) => ">",
        ('Q', false) => {
            let quoted = rest[2..].split("\\E").next().unwrap_or_default();
            out.push_str(&regex::escape(quoted));
            return Ok((2 + quoted.len() + 2).min(rest.len()));
        }
        ('p' | 'P' | 'x', _) if rest[2..].starts_with('{') => {
            let length = rest.find('}').map_or(rest.len(), |end| end + 1);
            out.push_str(&rest[..length]);
            return Ok(length);
        }
        _ => {
            out.push('\\');
            out.push(escaped);
            return Ok(1 + escaped.len_utf8());
        }
    };
    out.push_str(replacement);
    Ok(2)
}

/// `[:alpha:]`, or a bracket that means itself.
fn posix_class(rest: &str, out: &mut String) -> usize {
    let named = rest
        .strip_prefix("[:")
        .and_then(|inner| inner.find(":]"))
        .filter(|end| rest[2..2 + end].chars().all(|c| c.is_ascii_lowercase() || c == '^'));
    if let Some(end) = named {
        out.push_str(&rest[..end + 4]);
        end + 4
    } else {
        out.push_str("\\[");
        1
    }
}

/// Whether a brace is `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some(inner) = rest[1..].split_once('}').map(|(inner, _)| inner) else {
        return false;
    };
    let (from, to) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !from.is_empty() && digits(from) && digits(to)
}

/// An opening parenthesis; RE2 knows fewer flags.
fn group(rest: &str, out: &mut String) -> Result<usize, String> {
    let Some(inner) = rest.strip_prefix("(?") else {
        out.push('(');
        return Ok(1);
    };
    let flags = inner.split([')', ':', '<', 'P']).next().unwrap_or_default();
    match flags.chars().find(|flag| !"imsU-".contains(*flag)) {
        Some('=' | '!') => Err("invalid regular expression: there is no look-around".to_owned()),
        Some(flag) => Err(format!("invalid regular expression: unknown flag `{flag}`")),
        None => {
            out.push_str("(?");
            Ok(2)
        }
    }
}
