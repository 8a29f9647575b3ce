//! The header document: what `spec` declares.
//!
//! Compat: GitLab lib/gitlab/ci/config/header/, lib/gitlab/ci/config/entry/base_input.rb.

use super::circles::first_in_circle;
use super::conditions::InputCondition;
use super::value::Value;
use crate::diagnostics::{Placed, Problems, Span};
use crate::keywords::{Fields, Keywords, below, closest_of, did_you_mean, wrong_type};
use crate::rules::expression::compile;
use crate::yaml::{Entry, Node};
use regex::Regex;
use std::collections::HashMap;
use std::rc::Rc;

const HEADER: Keywords = Keywords { supported: &["spec"] };
const SPEC: Keywords = Keywords {
    supported: &["component", "include", "inputs"],
};
const INPUT: Keywords = Keywords {
    supported: &["default", "description", "options", "regex", "rules", "type"],
};
const RULE: Keywords = Keywords {
    supported: &["default", "if", "options"],
};

/// Compat: `BaseInput::ALLOWED_OPTIONS_LIMIT`.
const MAX_OPTIONS: usize = 50;
/// Compat: ci-yaml.md 24; GitLab's schema says so, its parser does not.
const MAX_DESCRIPTION: usize = 1024;
/// Compat: `Header::Component::ALLOWED_VALUES`.
const COMPONENT_KEYS: [&str; 4] = ["name", "sha", "version", "reference"];

/// What a header declares.
#[derive(Default)]
pub(super) struct Spec {
    pub(super) inputs: Vec<Input>,
    pub(super) include: Option<Entry>,
    /// What the content may ask of its component.
    pub(super) component: Vec<String>,
}

/// One declared input.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) kind: Type,
    /// Null when it says so; `None` when the input is required.
    pub(super) default: Option<Placed<Value>>,
    pub(super) options: Option<Vec<Value>>,
    pub(super) regex: Option<Pattern>,
    pub(super) rules: Option<Vec<Rule>>,
}

/// `regex`.
pub(super) struct Pattern {
    /// As written.
    pub(super) text: String,
    /// What is wrong with it, if it is no regular expression.
    pub(super) regex: Result<Regex, String>,
}

/// Options and default under a condition.
pub(super) struct Rule {
    /// `None`: always.
    pub(super) condition: Option<InputCondition>,
    pub(super) options: Option<Vec<Value>>,
    pub(super) default: Option<Placed<Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Array,
    Boolean,
    Number,
    String,
}

impl Type {
    const NAMES: [(&'static str, Type); 4] = [
        ("array", Type::Array),
        ("boolean", Type::Boolean),
        ("number", Type::Number),
        ("string", Type::String),
    ];

    /// As in "is not …".
    pub(super) fn with_article(self) -> &'static str {
        match self {
            Type::Array => "an array",
            Type::Boolean => "a boolean",
            Type::Number => "a number",
            Type::String => "a string",
        }
    }
}

/// Reads a header; what is wrong with it is reported.
pub(super) fn read(problems: &mut Problems, header: &Node) -> Spec {
    let header = Fields::read(problems, "header", header.as_mapping().unwrap_or_default(), &HEADER);
    let mut spec = Spec::default();
    let Some(node) = header.get("spec").filter(|node| !node.is_null()) else {
        return spec;
    };
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, "header:spec config", "a hash");
        return spec;
    };
    let fields = Fields::read(problems, "header:spec", entries, &SPEC);
    if let Some(node) = fields.get("inputs") {
        spec.inputs = inputs(problems, "header:spec:inputs", node);
    }
    if let Some(node) = fields.get("component") {
        spec.component = component(problems, node);
    }
    spec.include = fields.entry("include").cloned();
    spec
}

fn component(problems: &mut Problems, node: &Node) -> Vec<String> {
    let names = crate::keywords::strings(problems, node, "header:spec:component config").unwrap_or_default();
    for name in &names {
        if !COMPONENT_KEYS.contains(&name.as_str()) {
            let message = format!("header:spec:component config contains unknown values: {name}");
            let hint = format!("allowed here: {}", COMPONENT_KEYS.join(", "));
            problems.error_with_hint(node.span, message, hint);
        }
    }
    names
}

/// `inputs` of a header or of a file with nothing else in it.
pub(super) fn inputs(problems: &mut Problems, at: &str, node: &Node) -> Vec<Input> {
    if node.is_null() {
        return Vec::new();
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    let inputs: Vec<Input> = entries.iter().map(|entry| input(problems, at, entry)).collect();
    check_references(problems, at, &inputs);
    inputs
}

fn input(problems: &mut Problems, at: &str, entry: &Entry) -> Input {
    let mut input = Input {
        name: entry.key.clone(),
        span: entry.key_span,
        kind: Type::String,
        default: None,
        options: None,
        regex: None,
        rules: None,
    };
    if entry.value.is_null() {
        return input;
    }
    let at = below(at, &entry.key);
    let Some(entries) = entry.value.as_mapping() else {
        wrong_type(problems, &entry.value, &format!("{at} config"), "a hash");
        return input;
    };
    let fields = Fields::read(problems, &at, entries, &INPUT);
    check_exclusive(problems, &at, &fields);
    check_description(problems, &at, &fields);
    if let Some(node) = fields.get("type") {
        input.kind = kind(problems, &at, node);
    }
    input.default = fields.get("default").map(placed);
    input.options = fields
        .get("options")
        .and_then(|node| options(problems, &at, "input options", node));
    input.regex = fields.get("regex").and_then(|node| regex(problems, &at, node));
    input.rules = fields.get("rules").and_then(|node| rules(problems, &at, node));
    input
}

fn placed(node: &Node) -> Placed<Value> {
    Placed {
        value: Value::of(node),
        span: node.span,
    }
}

fn check_exclusive(problems: &mut Problems, at: &str, fields: &Fields<'_>) {
    let Some(rules) = fields.entry("rules") else {
        return;
    };
    for keyword in ["options", "default"] {
        if fields.entry(keyword).is_some() {
            let message = format!("{at} config these keys cannot be used together: rules, {keyword}");
            let hint = format!("write `{keyword}` in a last rule without `if`");
            problems.error_with_hint(rules.key_span, message, hint);
        }
    }
}

fn check_description(problems: &mut Problems, at: &str, fields: &Fields<'_>) {
    let Some(node) = fields.get("description").filter(|node| !node.is_null()) else {
        return;
    };
    match node.as_str() {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            let message = format!("{at} input description is too long (maximum is {MAX_DESCRIPTION} characters)");
            problems.warning(node.span, message, "GitLab's schema allows no more");
        }
        Some(_) => {}
        // Compat: the check takes numbers too.
        None if node.as_mapping().is_none() && node.as_sequence().is_none() && node.as_bool().is_none() => {}
        None => wrong_type(
            problems,
            node,
            &format!("{at} input description"),
            "an alphanumeric string",
        ),
    }
}

fn kind(problems: &mut Problems, at: &str, node: &Node) -> Type {
    if node.is_null() || node.is_reported() {
        return Type::String;
    }
    let text = node.resolve().map(|value| value.to_text()).unwrap_or_default();
    let known = Type::NAMES.iter().find(|(name, _)| Some(*name) == node.as_str());
    known.map_or_else(
        || {
            let message = format!("{at} input type unknown value: {text}");
            let names = Type::NAMES.map(|(name, _)| name);
            let hint = match closest_of(&text, names.into_iter()) {
                Some(close) => did_you_mean(close),
                None => format!("there are {}", names.join(", ")),
            };
            problems.error_with_hint(node.span, message, hint);
            Type::String
        },
        |(_, kind)| *kind,
    )
}

fn options(problems: &mut Problems, at: &str, subject: &str, node: &Node) -> Option<Vec<Value>> {
    if node.is_null() {
        return None;
    }
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, &format!("{at} {subject}"), "an array");
        return None;
    };
    if items.len() > MAX_OPTIONS {
        let message = format!("{at} config cannot define more than {MAX_OPTIONS} options");
        problems.error(node.span, message);
    }
    if let Some(null) = items.iter().find(|item| item.is_null()) {
        problems.error(
            null.span,
            format!("{at} config options array cannot contain null values"),
        );
    }
    Some(items.iter().map(|item| Value::of(item)).collect())
}

/// The expression itself is judged when a value meets it, as GitLab does.
fn regex(problems: &mut Problems, at: &str, node: &Node) -> Option<Pattern> {
    if node.is_null() {
        return None;
    }
    let Some(text) = node.as_str() else {
        wrong_type(problems, node, &format!("{at} input regex"), "a string");
        return None;
    };
    Some(Pattern {
        text: text.to_owned(),
        regex: compile(text, ""),
    })
}

fn rules(problems: &mut Problems, at: &str, node: &Node) -> Option<Vec<Rule>> {
    let at = format!("{at}:rules");
    let items = match node.as_sequence() {
        Some(items) if !items.is_empty() => items,
        Some(_) => {
            problems.error(node.span, format!("{at} config can't be blank"));
            return None;
        }
        None => {
            wrong_type(problems, node, &format!("{at} config"), "an array");
            return None;
        }
    };
    Some(items.iter().filter_map(|item| rule(problems, &at, item)).collect())
}

fn rule(problems: &mut Problems, at: &str, item: &Rc<Node>) -> Option<Rule> {
    let at = format!("{at}:rule");
    let Some(entries) = item.as_mapping() else {
        wrong_type(problems, item, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &RULE);
    let condition = fields.get("if").filter(|node| !node.is_null());
    let options = fields
        .get("options")
        .and_then(|node| options(problems, &at, "options", node));
    let default = fields.get("default").map(placed);
    match condition {
        Some(node) if options.is_none() && default.is_none() => {
            let message = format!("{at} config rule with 'if' must define 'options' or 'default'");
            problems.error(node.span, message);
        }
        None if options.is_none() => {
            problems.error(item.span, format!("{at} config fallback rule must define 'options'"));
        }
        _ => {}
    }
    let condition = match condition {
        Some(node) => Some(InputCondition::read(problems, &at, node)?),
        None => None,
    };
    Some(Rule {
        condition,
        options,
        default,
    })
}

/// Compat: `Header::Inputs::Validator`.
fn check_references(problems: &mut Problems, at: &str, inputs: &[Input]) {
    let known: HashMap<&str, usize> = inputs.iter().enumerate().map(|(n, i)| (i.name.as_str(), n)).collect();
    let mut asked: Vec<Vec<usize>> = vec![Vec::new(); inputs.len()];
    for (number, input) in inputs.iter().enumerate() {
        for (index, rule) in input.rules.iter().flatten().enumerate() {
            let Some(condition) = &rule.condition else { continue };
            let names = condition.inputs();
            let names = names.iter().map(String::as_str);
            let (defined, undefined): (Vec<&str>, Vec<&str>) = names.partition(|name| known.contains_key(name));
            asked[number].extend(defined.iter().map(|name| known[name]));
            let Some(first) = undefined.first() else { continue };
            let message = format!(
                "{at}:{} config rule[{index}] references undefined inputs: {}",
                input.name,
                undefined.join(", ")
            );
            match closest_of(first, inputs.iter().map(|input| input.name.as_str())) {
                Some(close) => problems.error_with_hint(condition.span(), message, did_you_mean(close)),
                None => problems.error(condition.span(), message),
            }
        }
    }
    if let Some(number) = first_in_circle(&asked) {
        let input = &inputs[number];
        let message = format!("{at}:{} config circular dependency detected", input.name);
        let hint = "the rules of these inputs ask for each other";
        problems.error_with_hint(input.span, message, hint);
    }
}
