//! `if`, `changes` and `exists` of one rule.

use super::Tried;
use super::expression::{Expression, compile};
use super::globs::{Glob, is_exact};
use crate::keywords::rules::{Changes, Exists, Patterns, Rule};
use crate::variables::{Undefined, Variables};
use crate::world::{FetchError, Origin, World};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Compat: `MAX_PATTERN_COMPARISONS`: what would take longer counts as true.
const MAX_COMPARISONS: usize = 50_000;

/// Compat: the length of `regexp` after expansion.
const MAX_REGEXP: usize = 255;

/// What a rule can see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub(crate) world: &'s dyn World,
    /// Whose files `exists` looks at when it names no project.
    pub(crate) origin: &'s Origin,
    pub(crate) variables: &'s Variables<'s>,
    pub(crate) memory: &'s Memory,
}

/// Which paths are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Looked {
    /// Those that changed, compared with what.
    Changed(Option<String>),
    /// All of a project.
    All(Origin),
}

/// Where, whether for a regular expression, and the patterns.
type Question = (Looked, bool, Vec<String>);
type ChangedPaths = Result<Option<Rc<[String]>>, FetchError>;

/// Answers that do not change while a pipeline is evaluated; many jobs ask the same.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    answers: RefCell<HashMap<Question, bool>>,
    changed: RefCell<HashMap<Option<String>, ChangedPaths>>,
}

impl Memory {
    fn changed_paths(&self, world: &dyn World, compare_to: &Option<String>) -> ChangedPaths {
        if let Some(known) = self.changed.borrow().get(compare_to) {
            return known.clone();
        }
        let paths = world.changed_paths(compare_to.as_deref());
        self.changed.borrow_mut().insert(compare_to.clone(), paths.clone());
        paths
    }
}

/// A clause that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClauseError {
    /// GitLab's words.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Whether all clauses of a rule are true. A rule without clauses is.
pub(super) fn all_true(rule: &Rule, scope: &Scope<'_>, tried: &mut Vec<Tried>) -> Result<bool, ClauseError> {
    if let Some(condition) = &rule.condition {
        let clause = evaluate(&condition.expression, &condition.text, "if", scope);
        let result = clause.result;
        tried.push(clause);
        if !result {
            return Ok(false);
        }
    }
    if let Some(changes) = &rule.changes {
        let clause = changed(changes, scope)?;
        let result = clause.result;
        tried.push(clause);
        if !result {
            return Ok(false);
        }
    }
    if let Some(exists) = &rule.exists {
        let clause = exist(exists, scope)?;
        let result = clause.result;
        tried.push(clause);
        return Ok(result);
    }
    Ok(true)
}

/// An expression, with the values as they are: references in them are not expanded.
pub(super) fn evaluate(expression: &Expression, text: &str, keyword: &'static str, scope: &Scope<'_>) -> Tried {
    let (result, seen) = expression.is_true(&|name| scope.variables.get(name));
    Tried {
        keyword,
        text: text.to_owned(),
        result,
        seen,
        reason: None,
    }
}

pub(super) fn changed(changes: &Changes, scope: &Scope<'_>) -> Result<Tried, ClauseError> {
    let compare_to = changes
        .compare_to
        .as_ref()
        .map(|reference| scope.variables.expand(reference, Undefined::Kept));
    let paths = scope
        .memory
        .changed_paths(scope.world, &compare_to)
        .map_err(|error| ClauseError {
            message: "rules:changes:compare_to is not a valid ref".to_owned(),
            hint: Some(match error {
                FetchError::Unavailable(reason) => reason,
                _ => format!(
                    "there is no branch, tag or commit `{}`",
                    scope.variables.mask(compare_to.as_deref().unwrap_or_default())
                ),
            }),
        })?;
    let (result, text, reason) = match &paths {
        None => {
            let text = expanded(&changes.patterns, scope).join(", ");
            (true, text, Some("there is nothing to compare to".to_owned()))
        }
        Some(paths) => {
            let (result, text) = any_matches(&changes.patterns, paths, Looked::Changed(compare_to), scope)?;
            (result, text, None)
        }
    };
    Ok(Tried {
        keyword: "changes",
        text,
        result,
        seen: Vec::new(),
        reason,
    })
}

fn exist(exists: &Exists, scope: &Scope<'_>) -> Result<Tried, ClauseError> {
    let expand = |text: &String| scope.variables.expand(text, Undefined::Kept);
    let origin = match &exists.project {
        None => scope.origin.clone(),
        Some(project) => other_project(
            &expand(project),
            exists.reference.as_ref().map(expand).as_deref(),
            scope,
        )?,
    };
    let paths = match scope.world.paths(&origin) {
        Ok(paths) => paths,
        // Compat: files of no project, as a template's, see no paths at all.
        Err(_) if origin == Origin::Nowhere => Rc::from([]),
        Err(error) => return Err(no_project(&exists.project.clone().unwrap_or_default(), error, scope)),
    };
    let (result, text) = any_matches(&exists.patterns, &paths, Looked::All(origin), scope)?;
    Ok(Tried {
        keyword: "exists",
        text,
        result,
        seen: Vec::new(),
        reason: None,
    })
}

fn other_project(project: &str, reference: Option<&str>, scope: &Scope<'_>) -> Result<Origin, ClauseError> {
    scope.world.project(project, reference).map_err(|error| match error {
        FetchError::NoReference => ClauseError {
            message: format!(
                "rules:exists:ref `{}` is not a valid ref in project `{}`",
                scope.variables.mask(reference.unwrap_or("HEAD")),
                scope.variables.mask(project)
            ),
            hint: None,
        },
        error => no_project(project, error, scope),
    })
}

fn no_project(project: &str, error: FetchError, scope: &Scope<'_>) -> ClauseError {
    ClauseError {
        message: format!(
            "rules:exists:project `{}` is not a valid project path",
            scope.variables.mask(project)
        ),
        hint: match error {
            FetchError::Unavailable(reason) => Some(reason),
            _ => None,
        },
    }
}

/// The patterns with their variables expanded, in turn.
fn expanded(patterns: &Patterns, scope: &Scope<'_>) -> Vec<String> {
    match patterns {
        Patterns::Globs(globs) => globs
            .iter()
            .map(|glob| scope.variables.expand(glob, Undefined::Kept))
            .collect(),
        Patterns::Regexp(regexp) => vec![scope.variables.expand(regexp, Undefined::Kept)],
    }
}

/// Whether a path matches one of the patterns, and the patterns as text.
fn any_matches(
    patterns: &Patterns,
    paths: &[String],
    looked: Looked,
    scope: &Scope<'_>,
) -> Result<(bool, String), ClauseError> {
    let expanded = expanded(patterns, scope);
    let text = expanded.join(", ");
    let key = (looked, matches!(patterns, Patterns::Regexp(_)), expanded);
    if let Some(known) = scope.memory.answers.borrow().get(&key) {
        return Ok((*known, text));
    }
    let globs = || key.2.iter().map(String::as_str).collect::<Vec<_>>();
    let result = match (patterns, &key.0) {
        (Patterns::Regexp(_), _) => regexp_matches(&text, paths)?,
        (Patterns::Globs(_), Looked::All(_)) => any_exists(&globs(), paths),
        (Patterns::Globs(_), Looked::Changed(_)) => globs_match(&globs(), paths),
    };
    scope.memory.answers.borrow_mut().insert(key, result);
    Ok((result, text))
}

/// Compat: `Clause::Exists`: paths without wildcards are looked up, which costs nothing.
pub(super) fn any_exists(globs: &[&str], paths: &[String]) -> bool {
    let (exact, globs): (Vec<&str>, Vec<&str>) = globs.iter().partition(|glob| is_exact(glob));
    let found = exact.iter().any(|path| match path.strip_suffix('/') {
        // A directory is there when a file is in it.
        Some(directory) => {
            let prefix = format!("{directory}/");
            let place = paths.partition_point(|known| known.as_str() < prefix.as_str());
            paths.get(place).is_some_and(|known| known.starts_with(&prefix))
        }
        None => paths.binary_search_by(|known| known.as_str().cmp(path)).is_ok(),
    });
    let (endings, globs): (Vec<&str>, Vec<&str>) = globs.into_iter().partition(|glob| ending(glob).is_some());
    let endings: Vec<&str> = endings.into_iter().filter_map(ending).collect();
    let ends = |path: &String| endings.iter().any(|ending| path.ends_with(ending));
    found || paths.iter().any(ends) || globs_match(&globs, paths)
}

/// Compat: `extension_glob?`: what `**/*.rb` asks for, which is not counted among the comparisons either.
fn ending(glob: &str) -> Option<&str> {
    glob.strip_prefix("**/*")
        .filter(|ending| ending.starts_with('.') && !ending.contains('/') && is_exact(ending))
}

fn globs_match(globs: &[&str], paths: &[String]) -> bool {
    if globs.len().saturating_mul(paths.len()) > MAX_COMPARISONS {
        return true;
    }
    let globs: Vec<Glob> = globs.iter().map(|glob| Glob::new(glob)).collect();
    paths.iter().any(|path| globs.iter().any(|glob| glob.matches(path)))
}

/// Compat: `regexp` is Ruby's, whose `^` and `$` are those of lines.
fn regexp_matches(text: &str, paths: &[String]) -> Result<bool, ClauseError> {
    if paths.len() > MAX_COMPARISONS {
        return Ok(true);
    }
    if text.chars().count() > MAX_REGEXP {
        return Err(ClauseError {
            message: format!("regexp is too long (maximum is {MAX_REGEXP} characters)"),
            hint: None,
        });
    }
    let regex = compile(text, "m").map_err(|reason| ClauseError {
        message: format!("`{text}` is not a valid regexp"),
        hint: Some(reason),
    })?;
    Ok(paths.iter().any(|path| regex.is_match(path)))
}
