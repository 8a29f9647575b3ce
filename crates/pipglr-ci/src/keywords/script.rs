//! `script`, `before_script`, `after_script`, `hooks`.

use super::{Fields, Keywords, below, wrong_type};
use crate::diagnostics::Problems;
use crate::yaml::Node;
use std::rc::Rc;

/// Compat: `Gitlab::Ci::Config::Entry::Commands::MAX_NESTING_LEVEL`.
const MAX_NESTING: usize = 10;

const SHAPE: &str = "a string or a nested array of strings up to 10 levels deep";

const HOOKS: Keywords = Keywords {
    supported: &["pre_get_sources_script"],
};

/// `hooks:pre_get_sources_script`. Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::Hooks`.
pub(crate) fn hooks(problems: &mut Problems, parent: &str, node: &Node) -> Vec<String> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "hooks");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    let fields = Fields::read(problems, &at, entries, &HOOKS);
    fields
        .get("pre_get_sources_script")
        .map(|node| commands(problems, &at, "pre_get_sources_script", node))
        .unwrap_or_default()
}

/// The job's own commands. GitLab refuses a script without any.
pub(crate) fn script(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let blank = node.is_null()
        || node.as_str().is_some_and(|text| text.trim().is_empty())
        || node.as_sequence().is_some_and(<[_]>::is_empty);
    if blank {
        let hint = "write commands below it, a line with `- ` for each";
        problems.error_with_hint(node.span, format!("{at}:script config can't be blank"), hint);
        return Vec::new();
    }
    if node.as_str().is_some_and(is_list_without_blanks) {
        let message = format!("{at}:script is one command that starts with `-`");
        problems.warning(node.span, message, "a list needs a blank after each `-`");
    }
    commands(problems, at, "script", node)
}

/// `-make`, where `- make` was meant.
fn is_list_without_blanks(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next() == Some('-') && characters.next().is_some_and(char::is_alphanumeric)
}

/// A string or a nested list of strings, flattened. Null is an empty list.
pub(crate) fn commands(problems: &mut Problems, at: &str, keyword: &str, node: &Node) -> Vec<String> {
    let subject = format!("{} config", below(at, keyword));
    let mut list = Vec::new();
    match node.as_sequence() {
        Some(items) => flatten(problems, &subject, items, 1, &mut list),
        None => command(problems, &subject, node, &mut list),
    }
    list
}

fn flatten(problems: &mut Problems, subject: &str, items: &[Rc<Node>], level: usize, list: &mut Vec<String>) {
    for item in items {
        match item.as_sequence() {
            Some(_) if level == MAX_NESTING => wrong_type(problems, item, subject, SHAPE),
            Some(inner) => flatten(problems, subject, inner, level + 1, list),
            None => command(problems, subject, item, list),
        }
    }
}

fn command(problems: &mut Problems, subject: &str, node: &Node, list: &mut Vec<String>) {
    match node.as_str() {
        Some(text) => list.push(text.to_owned()),
        // Compat: empty elements are dropped.
        None if node.is_null() => {}
        None if node.as_mapping().is_some() => {
            let hint = if problems.text(node.span.file).as_str().as_bytes().get(node.span.start) == Some(&b'{') {
                "a text that starts with `{` is a mapping; put the whole command in quotes"
            } else {
                "a colon followed by a blank makes this a mapping; put the whole command in quotes"
            };
            problems.error_with_hint(node.span, format!("{subject} should be {SHAPE}"), hint);
        }
        None => wrong_type(problems, node, subject, SHAPE),
    }
}
