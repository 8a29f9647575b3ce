//! `run`: steps instead of a script.

use super::json::to_json;
use super::{Fields, Keywords, below, of, string, wrong_type};
use crate::diagnostics::Problems;
use crate::yaml::{Entry, Node};

const STEP: Keywords = Keywords {
    supported: &["name", "script", "step", "func", "env", "inputs"],
};
const REFERENCE: Keywords = Keywords {
    supported: &["git", "oci"],
};
const GIT: Keywords = Keywords {
    supported: &["url", "rev", "dir", "file"],
};
const OCI: Keywords = Keywords {
    supported: &["registry", "repository", "tag", "dir", "file"],
};

/// The steps as JSON, which is how they reach the runner. Null is none.
///
/// Compat: GitLab's JSON schema `run_steps`.
pub(crate) fn run(problems: &mut Problems, parent: &str, node: &Node) -> Option<serde_json::Value> {
    let at = below(parent, "run");
    if node.is_null() {
        problems.error(node.span, format!("{at} config can't be blank"));
        return None;
    }
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, &format!("{at} config"), "an array of steps");
        return None;
    };
    if items.is_empty() {
        problems.error(node.span, format!("{at} config can't be blank"));
    }
    for (place, item) in items.iter().enumerate() {
        step(problems, &format!("{at}:{place}"), item);
    }
    Some(to_json(node))
}

fn step(problems: &mut Problems, at: &str, node: &Node) {
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return;
    };
    let fields = Fields::read(problems, at, entries, &STEP);
    match fields.get("name").filter(|name| !name.is_null()) {
        Some(name) => {
            let text = string(problems, name, &of(at, "name"));
            if text.is_some_and(|text| !is_step_name(&text)) {
                let message = format!("{at} name must match [a-zA-Z_][a-zA-Z0-9_]*");
                problems.error_with_hint(name.span, message, "use letters, digits and `_`");
            }
        }
        None => problems.error(node.span, format!("{at} config missing required keys: name")),
    }
    let kinds: Vec<&str> = ["script", "step", "func"]
        .into_iter()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    match kinds.as_slice() {
        ["script"] => {
            if let Some(script) = fields.get("script") {
                string(problems, script, &of(at, "script"));
            }
            if let Some(inputs) = fields.entry("inputs") {
                let message = format!("{at} config inputs cannot be used with script");
                problems.error(inputs.key_span, message);
            }
        }
        [kind] => {
            if let Some(node) = fields.get(kind) {
                reference(problems, &below(at, kind), node);
            }
        }
        [] => {
            let message = format!("{at} config must use exactly one of these keys: script, step, func");
            problems.error(node.span, message);
        }
        several => {
            let message = format!("{at} config these keys cannot be used together: {}", several.join(", "));
            problems.error(node.span, message);
        }
    }
    if let Some(env) = fields.get("env").filter(|env| !env.is_null()) {
        environment(problems, &of(at, "env"), env);
    }
    if let Some(inputs) = fields
        .get("inputs")
        .filter(|node| !node.is_null() && node.as_mapping().is_none())
    {
        wrong_type(problems, inputs, &of(at, "inputs"), "a hash");
    }
}

fn is_step_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn environment(problems: &mut Problems, subject: &str, node: &Node) {
    match node.as_mapping() {
        Some(entries) => {
            let wrong = |entry: &&Entry| entry.value.as_str().is_none();
            for entry in entries.iter().filter(wrong) {
                wrong_type(problems, &entry.value, &format!("{subject} {}", entry.key), "a string");
            }
        }
        None => wrong_type(problems, node, subject, "a hash"),
    }
}

/// Where a step comes from: a text, or a place in git or in a registry.
fn reference(problems: &mut Problems, at: &str, node: &Node) {
    if node.as_str().is_some() {
        return;
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return;
    };
    let fields = Fields::read(problems, at, entries, &REFERENCE);
    let (name, keywords, required, node) = match (fields.get("git"), fields.get("oci")) {
        (Some(git), None) => ("git", &GIT, &["url", "rev"][..], git),
        (None, Some(oci)) => ("oci", &OCI, &["registry", "repository", "tag"][..], oci),
        _ => {
            let message = format!("{at} config must use exactly one of these keys: git, oci");
            problems.error(node.span, message);
            return;
        }
    };
    let at = below(at, name);
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return;
    };
    let fields = Fields::read(problems, &at, entries, keywords);
    for key in required.iter().filter(|key| fields.get(key).is_none()) {
        problems.error(node.span, format!("{at} config missing required keys: {key}"));
    }
    for key in ["url", "rev", "registry", "repository", "tag", "dir", "file"] {
        if let Some(node) = fields.get(key) {
            string(problems, node, &of(&at, key));
        }
    }
}
