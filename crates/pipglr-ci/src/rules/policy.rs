//! `only` and `except`.
//!
//! Compat: GitLab lib/gitlab/ci/build/policy/.

use super::clauses::{self, ClauseError, Scope};
use super::expression::Pattern;
use super::{Trace, Tried};
use crate::keywords::only::Policy;
use crate::keywords::rules::{Changes, Patterns};
use crate::world::{Context, RefKind};

/// Whether `only` and `except` let a job in: all of the one and none of the other.
///
/// # Errors
/// The changed paths cannot be had.
pub(crate) fn let_in(
    (only, except): (Option<&Policy>, Option<&Policy>),
    context: &Context,
    scope: &Scope<'_>,
    trace: &mut Trace,
) -> Result<bool, ClauseError> {
    if let Some(only) = only {
        let tried = tried(
            only,
            ["only:refs", "only:kubernetes", "only:variables", "only:changes"],
            context,
            scope,
        )?;
        let in_all = tried.iter().all(|part| part.result);
        trace.push(tried);
        if !in_all {
            return Ok(false);
        }
    }
    if let Some(except) = except {
        let names = ["except:refs", "except:kubernetes", "except:variables", "except:changes"];
        let tried = tried(except, names, context, scope)?;
        let in_none = !tried.iter().any(|part| part.result);
        trace.push(tried);
        return Ok(in_none);
    }
    Ok(true)
}

/// The parts that are given, each with whether it is satisfied.
fn tried(
    policy: &Policy,
    names: [&'static str; 4],
    context: &Context,
    scope: &Scope<'_>,
) -> Result<Vec<Tried>, ClauseError> {
    let [refs_name, kubernetes_name, variables_name, changes_name] = names;
    let mut parts = Vec::new();
    if let Some(refs) = &policy.refs {
        let result = refs.iter().any(|entry| matches_ref(entry, context, scope));
        let reason = format!("{} pipeline of {}", context.source, described_ref(context));
        parts.push(Tried {
            keyword: refs_name,
            text: refs.join(", "),
            result,
            seen: Vec::new(),
            reason: Some(reason),
        });
    }
    if policy.kubernetes {
        parts.push(Tried {
            keyword: kubernetes_name,
            text: "active".to_owned(),
            result: false,
            seen: Vec::new(),
            reason: Some("there is no cluster".to_owned()),
        });
    }
    if let Some(conditions) = &policy.variables {
        let each: Vec<Tried> = conditions
            .iter()
            .map(|condition| clauses::evaluate(&condition.expression, &condition.text, variables_name, scope))
            .collect();
        parts.push(Tried {
            keyword: variables_name,
            text: conditions
                .iter()
                .map(|condition| condition.text.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            result: each.iter().any(|condition| condition.result),
            seen: each.into_iter().flat_map(|condition| condition.seen).collect(),
            reason: None,
        });
    }
    if let Some(globs) = &policy.changes {
        let changes = Changes {
            patterns: Patterns::Globs(globs.clone()),
            compare_to: None,
        };
        parts.push(Tried {
            keyword: changes_name,
            ..clauses::changed(&changes, scope)?
        });
    }
    Ok(parts)
}

fn described_ref(context: &Context) -> String {
    let kind = match context.ref_kind {
        RefKind::Branch => "branch",
        RefKind::Tag => "tag",
        RefKind::MergeRequest => "a merge request from",
    };
    format!("{kind} {}", context.ref_name)
}

/// Compat: `Policy::Refs#matches_pattern?`. A merge request's pipeline is of no branch, so names do not match it.
fn matches_ref(entry: &str, context: &Context, scope: &Scope<'_>) -> bool {
    let (pattern, path) = match entry.split_once('@') {
        Some((pattern, path)) => (pattern, Some(path)),
        None => (entry, None),
    };
    if path.is_some_and(|path| scope.variables.get("CI_PROJECT_PATH") != Some(path)) {
        return false;
    }
    let source = context.source.strip_suffix("_event").unwrap_or(&context.source);
    match (context.ref_kind, pattern) {
        (RefKind::Tag, "tags") | (RefKind::Branch, "branches") => return true,
        _ if pattern == source || pattern == plural(source) => return true,
        (RefKind::MergeRequest, _) => return false,
        _ => {}
    }
    match Pattern::of_value(pattern) {
        Some(pattern) => pattern.is_match(&context.ref_name),
        None => pattern == context.ref_name,
    }
}

/// What Rails makes of the names of sources.
fn plural(source: &str) -> String {
    match source {
        "push" => "pushes".to_owned(),
        _ => match source.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{source}s"),
        },
    }
}
