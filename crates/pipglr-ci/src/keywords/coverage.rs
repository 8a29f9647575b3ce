//! `coverage`.

use super::below;
use crate::diagnostics::Problems;
use crate::rules::expression::compile;
use crate::yaml::Node;

/// The regular expression between the slashes. Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::Coverage`.
pub(crate) fn coverage(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    if node.is_null() || node.is_reported() {
        return None;
    }
    let subject = format!("{} config", below(at, "coverage"));
    let message = format!("{subject} must be a regular expression with re2 syntax");
    let Some(text) = node.as_str() else {
        problems.error_with_hint(node.span, message, "write it as text between slashes: '/…/'");
        return None;
    };
    let Some(expression) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        let hint = match text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            Some((expression, flags)) => format!("nothing may follow the last slash: '/(?{flags}){expression}/'"),
            None => format!("put it between slashes: '/{}/'", text.trim_matches('/')),
        };
        problems.error_with_hint(node.span, message, hint);
        return None;
    };
    if let Err(reason) = compile(expression, "") {
        problems.error_with_hint(node.span, message, reason);
        return None;
    }
    Some(expression.to_owned())
}
