//! `variables`, at the top level and in jobs.

use super::{Fields, Keywords, below, boolean, strings, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Variable;
use crate::yaml::{Entry, Node, Resolved};

const GLOBAL: Keywords = Keywords {
    supported: &["value", "description", "options", "expand"],
};
const JOB: Keywords = Keywords {
    supported: &["value", "expand"],
};

/// Reads a mapping of names to scalars or `{value, expand, …}`. Null is an empty one.
pub(crate) fn variables(problems: &mut Problems, parent: &str, node: &Node) -> Vec<Variable> {
    let at = below(parent, "variables");
    if node.is_null() {
        return Vec::new();
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    let mut variables: Vec<Variable> = Vec::with_capacity(entries.len());
    for entry in entries {
        warn_about_name(problems, entry);
        let Some((value, expand)) = definition(problems, &at, parent.is_empty(), entry) else {
            continue;
        };
        variables.push(Variable {
            key: entry.key.clone(),
            value,
            expand,
        });
    }
    variables
}

/// Lays a job's variables over the global ones.
pub(crate) fn overlay(global: &[Variable], own: Vec<Variable>) -> Vec<Variable> {
    let mut merged = global.to_vec();
    let mut places: std::collections::HashMap<String, usize> = merged
        .iter()
        .enumerate()
        .map(|(place, variable)| (variable.key.clone(), place))
        .collect();
    for variable in own {
        if let Some(&place) = places.get(&variable.key) {
            merged[place] = variable;
        } else {
            places.insert(variable.key.clone(), merged.len());
            merged.push(variable);
        }
    }
    merged
}

/// GitLab takes any name, but a shell sees only some, and `YES` or `12` are not what they seem.
fn warn_about_name(problems: &mut Problems, entry: &Entry) {
    let name = &entry.key;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !entry.key_is_string {
        let message = format!("this name is not a string; the variable is called `{name}`");
        problems.warning(entry.key_span, message, "put the name in quotes");
    } else if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = format!("variable `{}` has a name that no shell can use", name.escape_default());
        problems.warning(
            entry.key_span,
            message,
            "use letters, digits and `_`, and start with a letter or `_`",
        );
    }
}

/// Value and whether references in it are expanded.
fn definition(problems: &mut Problems, at: &str, global: bool, entry: &Entry) -> Option<(String, bool)> {
    let node = &*entry.value;
    if let Some(scalar) = node.resolve() {
        return Some((scalar.to_text(), true));
    }
    let Some(entries) = node.as_mapping() else {
        if !node.is_reported() {
            let message = format!(
                "{at}:{} variable definition must be either a string or a hash",
                entry.key
            );
            problems.error_with_hint(
                node.span,
                message,
                "a variable is one text: write it in quotes, and let the script take it apart",
            );
        }
        return None;
    };
    let at = below(at, &entry.key);
    let keywords = if global { &GLOBAL } else { &JOB };
    let allowed = |entry: &&Entry| keywords.supported.contains(&entry.key.as_str());
    for entry in entries.iter().filter(|entry| !allowed(entry)) {
        let message = format!("{at} config uses invalid data keys: {}", entry.key);
        problems.error_with_hint(
            entry.key_span,
            message,
            format!("allowed here: {}", keywords.supported.join(", ")),
        );
    }
    let known: Vec<Entry> = entries.iter().filter(allowed).cloned().collect();
    let fields = Fields::read(problems, &at, &known, keywords);
    let value = match fields.get("value") {
        Some(value) => scalar_value(problems, &at, value),
        None => Some(String::new()),
    };
    if let Some(description) = fields.get("description") {
        super::string(problems, description, &format!("{at} config description"));
    }
    if let Some(options) = fields.get("options") {
        check_options(problems, &at, options, fields.get("value").and(value.as_deref()));
    }
    let expand = fields
        .get("expand")
        .and_then(|expand| boolean(problems, expand, &format!("{at} config expand")));
    Some((value.unwrap_or_default(), expand.unwrap_or(true)))
}

fn scalar_value(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    let value = node.resolve().as_ref().map(Resolved::to_text);
    if value.is_none() {
        wrong_type(problems, node, &format!("{at} config value"), "a string");
    }
    value
}

fn check_options(problems: &mut Problems, at: &str, node: &Node, value: Option<&str>) {
    let Some(options) = strings(problems, node, &format!("{at} config options")) else {
        return;
    };
    if value.is_some_and(|value| !options.iter().any(|option| option == value)) {
        problems.error(node.span, format!("{at} config value must be present in options"));
    }
}
