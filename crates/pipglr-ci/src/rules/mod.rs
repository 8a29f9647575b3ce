//! Conditions: what rules, `only` and `except` ask for, and whether it is so.

pub(crate) mod clauses;
pub(crate) mod expression;
pub(crate) mod globs;
pub(crate) mod policy;

pub(crate) use clauses::{ClauseError, Scope};

use crate::diagnostics::Problems;
use crate::keywords::rules::{Expressions, Family, Rule, rules};
use crate::yaml::Node;
use expression::Seen;

/// What became of one clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) keyword: &'static str,
    /// The clause as text, with variables expanded where GitLab expands them.
    pub(crate) text: String,
    pub(crate) result: bool,
    /// The variables that were looked at.
    pub(crate) seen: Vec<Seen>,
    /// Why it is as it is, where the text does not say it.
    pub(crate) reason: Option<String>,
}

/// The clauses that were looked at, rule by rule; a rule ends with the first clause that is false.
pub(crate) type Trace = Vec<Vec<Tried>>;

/// The first rule whose clauses are all true, if any.
///
/// # Errors
/// A clause asks for what is not there, which makes the pipeline fail.
pub(crate) fn first_match<'r>(
    rules: &'r [Rule],
    scope: &Scope<'_>,
    trace: &mut Trace,
) -> Result<Option<(usize, &'r Rule)>, ClauseError> {
    for (place, rule) in rules.iter().enumerate() {
        let mut tried = Vec::new();
        let matched = clauses::all_true(rule, scope, &mut tried);
        trace.push(tried);
        if matched? {
            return Ok(Some((place, rule)));
        }
    }
    Ok(None)
}

/// Whether the `rules` of an `include` let it in. What is wrong with them is reported.
///
/// `parent` is the place of the include in messages. Compat: no rule that matches means no.
pub(crate) fn include_applies(
    problems: &mut Problems,
    parent: &str,
    node: &Node,
    scope: &Scope<'_>,
    expressions: &mut Expressions,
) -> bool {
    let Some(rules) = rules(problems, parent, node, Family::Include, expressions) else {
        return true;
    };
    match first_match(&rules, scope, &mut Trace::new()) {
        Ok(matched) => matched.is_some_and(|(_, rule)| !rule.is_never()),
        Err(error) => {
            match error.hint {
                Some(hint) => problems.error_with_hint(node.span, error.message, hint),
                None => problems.error(node.span, error.message),
            }
            false
        }
    }
}

#[cfg(test)]
mod tests;
