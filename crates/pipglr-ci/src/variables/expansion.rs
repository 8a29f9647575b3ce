//! References to variables in a text.
//!
//! Compat: GitLab lib/expand_variables.rb and lib/gitlab/ci/variables/collection/item.rb.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'t> {
    Text(&'t str),
    /// `text` is the reference as it was written.
    Reference {
        text: &'t str,
        key: &'t str,
    },
}

/// Splits at `$NAME`, `${NAME}` and `%NAME%`. With `escapes`, as in the values of variables, `$$` and `%%` are text;
/// elsewhere the second sign may begin a reference.
pub fn split(value: &str, escapes: bool) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find(['$', '%']) {
        let (text, reference) = rest.split_at(at);
        push_text(&mut parts, text);
        let sigil = &reference[..1];
        let after = &reference[1..];
        let length = if escapes && after.starts_with(sigil) {
            push_text(&mut parts, &reference[..2]);
            2
        } else if let Some((key, length)) = key_at(sigil, after) {
            parts.push(Part::Reference {
                text: &reference[..length],
                key,
            });
            length
        } else {
            push_text(&mut parts, sigil);
            1
        };
        rest = &reference[length..];
    }
    push_text(&mut parts, rest);
    parts
}

fn push_text<'t>(parts: &mut Vec<Part<'t>>, text: &'t str) {
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

/// The name behind a sigil and the length of the whole reference.
fn key_at<'t>(sigil: &str, after: &'t str) -> Option<(&'t str, usize)> {
    let (text, close, extra) = match (sigil, after.strip_prefix('{')) {
        ("%", _) => (after, "%", 2),
        (_, Some(inner)) => (inner, "}", 3),
        (_, None) => (after, "", 1),
    };
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let key = &text[..end];
    let named = !key.is_empty() && !key.starts_with(|c: char| c.is_ascii_digit());
    (named && text[end..].starts_with(close)).then_some((key, key.len() + extra))
}
