//! `only` and `except`, and which of them, or of `rules`, decides whether a job is in the pipeline.

use super::rules::{Condition, Expressions, Family, Rule, condition, rules};
use super::{Fields, Keywords, STRINGS, below, of, strings, wrong_type};
use crate::diagnostics::Problems;
use crate::rules::expression::Pattern;
use crate::yaml::Node;

const POLICY: Keywords = Keywords {
    supported: &["refs", "kubernetes", "variables", "changes"],
};

/// What decides whether a job is in the pipeline.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// It always is.
    Always,
    Rules(Vec<Rule>),
    Policies {
        only: Option<Policy>,
        except: Option<Policy>,
    },
}

impl Decision {
    /// Its rules; none if something else decides.
    pub(crate) fn rules(&self) -> &[Rule] {
        match self {
            Decision::Rules(rules) => rules,
            Decision::Always | Decision::Policies { .. } => &[],
        }
    }
}

/// `only` or `except`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) refs: Option<Vec<String>>,
    /// Only where a cluster is, which pipglr has not.
    pub(crate) kubernetes: bool,
    pub(crate) variables: Option<Vec<Condition>>,
    pub(crate) changes: Option<Vec<String>>,
}

/// Reads what a job says about when it is in the pipeline.
///
/// Compat: `Entry::Processable#compose!`: the branches and tags that `only` stands for when nothing is said are gone
/// where there are rules, also where they are those of `workflow`.
pub(crate) fn decision(
    problems: &mut Problems,
    at: &str,
    fields: &Fields<'_>,
    workflow_has_rules: bool,
    expressions: &mut Expressions,
) -> Decision {
    let said = |key: &str| fields.entry(key).filter(|entry| !entry.value.is_null());
    let policy_of = |problems: &mut Problems, expressions: &mut Expressions, key: &str| {
        said(key).and_then(|entry| policy(problems, at, key, &entry.value, expressions))
    };
    if let Some(entry) = fields.entry("rules") {
        if !entry.value.is_null() {
            refuse_beside_rules(problems, at, fields);
        }
        return match rules(problems, at, &entry.value, Family::Job, expressions) {
            Some(rules) => {
                warn_about_last(problems, at, &rules, workflow_has_rules);
                Decision::Rules(rules)
            }
            None => Decision::Always,
        };
    }
    let only = policy_of(problems, expressions, "only").map(|only| Policy {
        refs: only.refs.or_else(|| Some(default_refs())),
        ..only
    });
    let except = policy_of(problems, expressions, "except");
    let usual = || Policy {
        refs: Some(default_refs()),
        ..Policy::default()
    };
    match (only, except) {
        (None, None) if workflow_has_rules => Decision::Always,
        (only, except) => Decision::Policies {
            only: only.or_else(|| (!workflow_has_rules).then(usual)),
            except,
        },
    }
}

/// Compat: `Entry::Policy.default`.
fn default_refs() -> Vec<String> {
    vec!["branches".to_owned(), "tags".to_owned()]
}

fn refuse_beside_rules(problems: &mut Problems, at: &str, fields: &Fields<'_>) {
    let beside: Vec<_> = ["only", "except", "start_in"]
        .into_iter()
        .filter_map(|key| fields.entry(key))
        .filter(|entry| !entry.value.is_null())
        .collect();
    if let Some(first) = beside.first() {
        let names: Vec<&str> = beside.iter().map(|entry| entry.key.as_str()).collect();
        let message = format!("{at} config key may not be used with `rules`: {}", names.join(", "));
        problems.error_with_hint(first.key_span, message, "say it in the rules");
    }
}

/// Compat: `validate_against_warnings`: a branch with a merge request would get two pipelines.
fn warn_about_last(problems: &mut Problems, at: &str, rules: &[Rule], workflow_has_rules: bool) {
    let last = rules.last().filter(|rule| rule.only_when && !rule.is_never());
    if let (Some(last), false) = (last, workflow_has_rules) {
        let message = format!(
            "{at} may allow multiple pipelines to run for a single action due to `rules:when` clause with no \
             `workflow:rules`"
        );
        problems.warning(last.span, message, "add `workflow:rules`, or an `if` to this rule");
    }
}

/// `None` for what was reported.
fn policy(
    problems: &mut Problems,
    parent: &str,
    key: &str,
    node: &Node,
    expressions: &mut Expressions,
) -> Option<Policy> {
    let at = below(parent, key);
    if node.as_sequence().is_some() {
        return Some(Policy {
            refs: Some(refs(problems, &format!("{at} config"), node)),
            ..Policy::default()
        });
    }
    let Some(entries) = node.as_mapping() else {
        if !node.is_reported() {
            let message = format!("{at} has to be either an array of conditions or a hash");
            match node.as_str() {
                Some(name) => problems.error_with_hint(node.span, message, format!("put it in a list: [\"{name}\"]")),
                None => problems.error(node.span, message),
            }
        }
        return None;
    };
    if entries.is_empty() {
        problems.error(node.span, format!("{at} config can't be blank"));
        return None;
    }
    let fields = Fields::read(problems, &at, entries, &POLICY);
    let field = |name: &str| fields.get(name).filter(|node| !node.is_null());
    Some(Policy {
        refs: field("refs").map(|node| refs(problems, &of(&at, "refs"), node)),
        kubernetes: field("kubernetes").is_some_and(|node| kubernetes(problems, &at, node)),
        variables: field("variables").map(|node| conditions(problems, &of(&at, "variables"), node, expressions)),
        changes: field("changes").map(|node| strings(problems, node, &of(&at, "changes")).unwrap_or_default()),
    })
}

fn refs(problems: &mut Problems, subject: &str, node: &Node) -> Vec<String> {
    let should = "an array of strings or regular expressions using re2 syntax";
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, subject, should);
        return Vec::new();
    };
    let mut refs = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item.as_str() else {
            wrong_type(problems, item, subject, should);
            continue;
        };
        let pattern = text.split('@').next().unwrap_or_default();
        if Pattern::is_meant(pattern) && Pattern::of_value(pattern).is_none() {
            problems.error(item.span, format!("{subject} should be {should}"));
        }
        refs.push(text.to_owned());
    }
    refs
}

fn kubernetes(problems: &mut Problems, at: &str, node: &Node) -> bool {
    let subject = of(at, "kubernetes");
    match node.as_str() {
        Some("active") => {
            let message = format!("{subject} is never active in pipglr");
            problems.warning(node.span, message, "GitLab removes this keyword; use `rules`");
            true
        }
        Some(other) => {
            problems.error(node.span, format!("{subject} unknown value: {other}"));
            false
        }
        None => {
            wrong_type(problems, node, &subject, "a string");
            false
        }
    }
}

fn conditions(problems: &mut Problems, subject: &str, node: &Node, expressions: &mut Expressions) -> Vec<Condition> {
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, subject, STRINGS);
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| condition(problems, subject, item, expressions))
        .collect()
}
