//! `inputs` of a job: values a person may change when starting it.

use super::json::to_json;
use super::{Fields, Keywords, below, of, string, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::JobInput;
use crate::rules::expression::compile;
use crate::yaml::{Entry, Node, Resolved};

const INPUT: Keywords = Keywords {
    supported: &["type", "default", "options", "regex", "description"],
};

const KINDS: [&str; 4] = ["string", "number", "boolean", "array"];

/// Compat: GitLab's limits of job inputs, of their options, and of descriptions.
const MAX_INPUTS: usize = 50;
const MAX_OPTIONS: usize = 50;
const MAX_DESCRIPTION: usize = 1024;

/// The inputs in the order of the file. Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::JobInput`.
pub(crate) fn inputs(problems: &mut Problems, parent: &str, node: &Node) -> Vec<JobInput> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "inputs");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    if entries.len() > MAX_INPUTS {
        let message = format!("{at} config has too many inputs (maximum is {MAX_INPUTS})");
        problems.error(node.span, message);
    }
    entries.iter().filter_map(|entry| input(problems, &at, entry)).collect()
}

fn input(problems: &mut Problems, inputs: &str, entry: &Entry) -> Option<JobInput> {
    let at = below(inputs, &entry.key);
    let entries = match entry.value.as_mapping() {
        Some(entries) => entries,
        None if entry.value.is_null() => &[],
        None => {
            wrong_type(problems, &entry.value, &format!("{at} config"), "a hash");
            return None;
        }
    };
    let fields = Fields::read(problems, &at, entries, &INPUT);
    let kind = kind(problems, &at, &fields)?;
    if let Some(description) = fields.get("description") {
        let text = string(problems, description, &of(&at, "description"));
        if text.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            let message = format!("{at} description is too long (maximum is {MAX_DESCRIPTION} characters)");
            problems.error(description.span, message);
        }
    }
    let Some(default) = fields.get("default").filter(|default| !default.is_null()) else {
        let message = format!("{at} must have a default value");
        problems.error_with_hint(entry.key_span, message, "a job starts without anybody to ask");
        return None;
    };
    if !is_of(kind, default) {
        if !default.is_reported() {
            let article = if kind == "array" { "an" } else { "a" };
            problems.error(default.span, format!("{at} default value is not {article} {kind}"));
        }
        return None;
    }
    check_options(problems, &at, &fields, default);
    check_regex(problems, &at, &fields, kind, default);
    Some(JobInput {
        key: entry.key.clone(),
        kind: kind.to_owned(),
        value: to_json(default),
    })
}

fn kind(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Option<&'static str> {
    let Some(node) = fields.get("type").filter(|node| !node.is_null()) else {
        return Some("string");
    };
    let kind = word(node, &KINDS);
    if kind.is_none() && !node.is_reported() {
        let message = format!("{at} type should be one of: {}", KINDS.join(", "));
        problems.error(node.span, message);
    }
    kind
}

fn is_of(kind: &str, node: &Node) -> bool {
    match (kind, node.resolve()) {
        ("array", _) => node.as_sequence().is_some(),
        ("string", Some(Resolved::String(_)))
        | ("number", Some(Resolved::Integer(_) | Resolved::Float(_)))
        | ("boolean", Some(Resolved::Bool(_))) => true,
        _ => false,
    }
}

fn check_options(problems: &mut Problems, at: &str, fields: &Fields<'_>, default: &Node) {
    let Some(node) = fields.get("options").filter(|node| !node.is_null()) else {
        return;
    };
    let Some(options) = node.as_sequence() else {
        wrong_type(problems, node, &of(at, "options"), "an array");
        return;
    };
    if options.len() > MAX_OPTIONS {
        problems.error(
            node.span,
            format!("{at} options cannot have more than {MAX_OPTIONS} entries"),
        );
        return;
    }
    let options: Vec<serde_json::Value> = options.iter().map(|option| to_json(option)).collect();
    let values = match default.as_sequence() {
        Some(items) => items.iter().map(|item| to_json(item)).collect(),
        None => vec![to_json(default)],
    };
    if let Some(value) = values.iter().find(|value| !options.contains(value)) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let message = format!("{at} `{text}` cannot be used because it is not in the list of allowed options");
        problems.error(default.span, message);
    }
}

fn check_regex(problems: &mut Problems, at: &str, fields: &Fields<'_>, kind: &str, default: &Node) {
    let Some(node) = fields.get("regex").filter(|node| !node.is_null()) else {
        return;
    };
    if kind != "string" {
        problems.error(
            node.span,
            format!("{at} RegEx validation can only be used with string inputs"),
        );
        return;
    }
    let Some(pattern) = string(problems, node, &of(at, "regex")) else {
        return;
    };
    match compile(&pattern, "") {
        Ok(regex) if default.as_str().is_some_and(|text| regex.is_match(text)) => {}
        Ok(_) => {
            let message = format!("{at} default value does not match required RegEx pattern");
            problems.error(default.span, message);
        }
        Err(reason) => {
            let message = format!("{at} regex must be a regular expression with re2 syntax");
            problems.error_with_hint(node.span, message, reason);
        }
    }
}
