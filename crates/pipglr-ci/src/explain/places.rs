//! Where something was written.

use crate::diagnostics::{Problems, Span};
use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// As the file is called in messages.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The top-level key that it stands under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
}

impl Place {
    pub(super) fn of(problems: &Problems, span: Span) -> Self {
        let text = problems.text(span.file);
        Self {
            path: problems.path(span.file).to_owned(),
            line: span.line,
            column: span.column,
            under: top_level_key(text.as_str(), span.start),
        }
    }
}

/// The key of the top level that a place is under: the last line up to there that starts one.
fn top_level_key(text: &str, offset: usize) -> Option<String> {
    let line_end = text[offset..].find('\n').map_or(text.len(), |end| offset + end);
    text[..line_end].lines().rev().find_map(|line| {
        let first = line.chars().next()?;
        if first.is_whitespace() || "#-{}[]%".contains(first) {
            return None;
        }
        let (key, _) = line.split_once(':')?;
        let key = key.trim().trim_matches(['"', '\'']);
        (!key.is_empty()).then(|| key.to_owned())
    })
}
