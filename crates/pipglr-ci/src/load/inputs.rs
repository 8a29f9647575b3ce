//! Values for the inputs of a file, checked against what its header declares.
//!
//! Compat: GitLab lib/ci/inputs/, lib/gitlab/ci/config/external/header/processor.rb.

use super::header::{self, Input, Rule, Spec, Type};
use super::interpolate::{Context, interpolate};
use super::value::Value;
use super::{File, GivenValue, Loader};
use crate::diagnostics::Placed;
use crate::diagnostics::Span;
use crate::keywords::{closest_of, did_you_mean};
use crate::yaml::{Node, Passage};
use std::collections::HashMap;
use std::ops::Range;

/// Inputs of one pipeline. Compat: ci-yaml.md 3.1.
const MAX_PIPELINE_INPUTS: usize = 20;

/// What is wrong with a value.
struct Complaint {
    message: String,
    hint: Option<String>,
}

impl Loader<'_, '_> {
    /// The content with its blocks replaced, if the header and all values are right.
    pub(super) fn with_inputs(&mut self, file: &File, header: &Node, content: Range<usize>) -> Option<Passage> {
        let before = self.problems.count();
        let mut spec = header::read(self.problems, header);
        self.add_included_inputs(&mut spec, file);
        if self.problems.has_errors_since(before) {
            self.incomplete = true;
            return None;
        }
        let inputs = self.values(file, &spec)?;
        let context = Context {
            inputs,
            component: component_context(file, &spec),
            variables: &self.variables,
        };
        let passage = interpolate(self.problems, file.id, content, &context);
        self.incomplete |= passage.is_none();
        passage
    }

    fn values(&mut self, file: &File, spec: &Spec) -> Option<HashMap<String, Value>> {
        let mut valid = self.check_names(file, spec);
        let given: HashMap<&str, &GivenValue> = file
            .given
            .values
            .iter()
            .map(|given| (given.name.as_str(), given))
            .collect();
        // What rules see: inputs that are declared above, and all that are given.
        let mut seen: HashMap<String, Value> = file
            .given
            .values
            .iter()
            .map(|given| (given.name.clone(), given.value.clone()))
            .collect();
        let mut values = HashMap::new();
        for input in &spec.inputs {
            let given = given
                .get(input.name.as_str())
                .copied()
                .filter(|given| !given.value.is_null());
            let rule = matching_rule(input, &seen);
            let default = match rule {
                Some(rule) => rule.default.as_ref(),
                None => input.default.as_ref(),
            };
            let (value, place) = match (given, default) {
                (Some(given), _) => (given.value.clone(), given.place),
                (None, Some(default)) => (default.value.clone(), None),
                (None, None) => (Value::Null, None),
            };
            valid &= self.check_value(file, input, given, default, rule);
            self.warn_about_text(input, &value, place);
            let value = coerced(input.kind, value);
            seen.insert(input.name.clone(), value.clone());
            values.insert(input.name.clone(), value);
        }
        valid.then_some(values)
    }

    /// Compat: `unknown_inputs`; all of them are named at once.
    fn check_names(&mut self, file: &File, spec: &Spec) -> bool {
        if file.given.by.is_none() && file.given.values.len() > MAX_PIPELINE_INPUTS {
            let message = format!("There cannot be more than {MAX_PIPELINE_INPUTS} inputs");
            self.file_problem(file, None, &message, None);
            return false;
        }
        let declared = |name: &str| spec.inputs.iter().any(|input| input.name == name);
        let unknown: Vec<&GivenValue> = file
            .given
            .values
            .iter()
            .filter(|given| !declared(&given.name))
            .collect();
        let Some(first) = unknown.first() else {
            return true;
        };
        let list: Vec<&str> = unknown.iter().map(|given| given.name.as_str()).collect();
        let names: Vec<&str> = spec.inputs.iter().map(|input| input.name.as_str()).collect();
        let hint = match closest_of(&first.name, names.iter().copied()) {
            Some(close) => did_you_mean(close),
            None if names.is_empty() => format!("`{}` declares no inputs", file.label),
            None => format!("`{}` takes {}", file.label, names.join(", ")),
        };
        let message = format!("unknown input arguments: {}", list.join(", "));
        self.file_problem(file, first.place, &message, Some(hint));
        false
    }

    fn check_value(
        &mut self,
        file: &File,
        input: &Input,
        given: Option<&GivenValue>,
        default: Option<&Placed<Value>>,
        rule: Option<&Rule>,
    ) -> bool {
        let options = match rule {
            Some(rule) => rule.options.as_deref(),
            None => input.options.as_deref(),
        };
        if given.is_none() && is_required(input) {
            let message = format!("`{}` input: required value has not been provided", input.name);
            let hint = match file.given.by {
                Some(_) => format!("add it to the `inputs` of this include, as in `{}: VALUE`", input.name),
                None => "give it a `default`, or a value for this pipeline".to_owned(),
            };
            let place = file.given.by.is_none().then_some(input.span);
            self.file_problem(file, place, &message, Some(hint));
            return false;
        }
        let mut valid = true;
        // Compat: the default is checked even where a value is given.
        let default = default.filter(|default| input.rules.is_none() || !default.value.is_null());
        if let Some(default) = default {
            for complaint in complaints(input, options, &default.value, "default") {
                let message = format!("`{}` input: {}", input.name, complaint.message);
                self.incomplete = true;
                self.problem(Some(default.span), &message, complaint.hint);
                valid = false;
            }
        }
        if let Some(given) = given {
            for complaint in complaints(input, options, &given.value, "provided") {
                let message = format!("`{}` input: {}", input.name, complaint.message);
                let place = given.place.or_else(|| file.given.by.is_none().then_some(input.span));
                self.file_problem(file, place, &message, complaint.hint);
                valid = false;
            }
        }
        valid
    }

    /// Compat: a list or a mapping is taken for a string, in Ruby's notation.
    fn warn_about_text(&mut self, input: &Input, value: &Value, place: Option<Span>) {
        if input.kind == Type::String && matches!(value, Value::Array(_) | Value::Map(_)) {
            let message = format!("`{}` input: the value is not a string and becomes its text", input.name);
            let hint = "give the input `type: array`, or the value quotes";
            self.problems.warning(place.unwrap_or(input.span), message, hint);
        }
    }
}

/// What the header asks for; `None` for a file that was not included as a component.
fn component_context(file: &File, spec: &Spec) -> Option<HashMap<String, Value>> {
    let component = file.component.as_ref()?;
    let asked = spec.component.iter();
    let values = asked
        .filter_map(|key| {
            let value = match key.as_str() {
                "name" => &component.name,
                "sha" => &component.sha,
                "version" => &component.version,
                "reference" => &component.reference,
                _ => return None,
            };
            Some((key.clone(), Value::String(value.clone())))
        })
        .collect();
    Some(values)
}

fn matching_rule<'i>(input: &'i Input, seen: &HashMap<String, Value>) -> Option<&'i Rule> {
    let rules = input.rules.as_ref()?;
    rules
        .iter()
        .find(|rule| rule.condition.as_ref().is_none_or(|condition| condition.holds(seen)))
}

/// Compat: `BaseInput#required?`.
fn is_required(input: &Input) -> bool {
    let by_rules = input.rules.iter().flatten();
    let by_rules = by_rules
        .into_iter()
        .any(|rule| rule.default.is_some() || rule.condition.is_none());
    input.default.is_none() && !by_rules
}

/// Strings become what the type needs, and for a string everything becomes its text.
fn coerced(kind: Type, value: Value) -> Value {
    match kind {
        Type::String => Value::String(value.to_text()),
        Type::Array | Type::Boolean | Type::Number => value.parsed(),
    }
}

fn complaints(input: &Input, options: Option<&[Value]>, value: &Value, which: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |message: String, hint: Option<String>| complaints.push(Complaint { message, hint });
    let value = coerced(input.kind, value.clone());
    let fits = matches!(
        (input.kind, &value),
        (Type::Array, Value::Array(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::Number, Value::Integer(_) | Value::Float(_))
            | (Type::String, _)
    );
    if !fits {
        let hint = match (input.kind, &value) {
            (Type::Array, _) => "write a list: [\"a\", \"b\"]",
            (Type::Boolean, _) => "write true or false, without quotes",
            (Type::Number, Value::String(_)) => "write a number without quotes, or give the input `type: string`",
            (Type::Number | Type::String, _) => "give the input another `type`",
        };
        complain(
            format!("{which} value is not {}", input.kind.with_article()),
            Some(hint.to_owned()),
        );
    }
    if let Some(options) = options {
        check_options(input.kind, options, &value, &mut complain);
    }
    if let Some(pattern) = &input.regex {
        let text = match &value {
            Value::String(text) => text.as_str(),
            _ => "",
        };
        match (&pattern.regex, input.kind) {
            (_, Type::Array | Type::Boolean | Type::Number) => {
                complain("RegEx validation can only be used with string inputs".to_owned(), None);
            }
            (Err(reason), Type::String) => {
                complain("invalid regular expression".to_owned(), Some(reason.clone()));
            }
            (Ok(regex), Type::String) if !regex.is_match(text) => {
                let hint = format!("the expression is `{}`", pattern.text);
                complain(
                    format!("{which} value does not match required RegEx pattern"),
                    Some(hint),
                );
            }
            (Ok(_), Type::String) => {}
        }
    }
    complaints
}

fn check_options(kind: Type, options: &[Value], value: &Value, complain: &mut dyn FnMut(String, Option<String>)) {
    let list: Vec<String> = options.iter().map(Value::to_text).collect();
    let hint = Some(format!("allowed are {}", list.join(", ")));
    match (kind, value) {
        (Type::Boolean, _) => complain(
            "Options can only be used with string and number inputs".to_owned(),
            None,
        ),
        (Type::Array, Value::Array(items)) => {
            let others: Vec<String> = items
                .iter()
                .filter(|item| !options.contains(item))
                .map(Value::to_text)
                .collect();
            if !others.is_empty() {
                let others = others.join(", ");
                let message = format!("{others} cannot be used because it is not in the list of allowed options");
                complain(message, hint);
            }
        }
        (Type::Number, Value::Integer(_) | Value::Float(_)) if !options.contains(value) => {
            let message = format!(
                "`{}` cannot be used because it is not in the list of the allowed options",
                value.to_text()
            );
            complain(message, hint);
        }
        (Type::String, _) if !list.contains(&value.to_text()) => {
            let message = format!(
                "`{}` cannot be used because it is not in the list of allowed options",
                value.to_text()
            );
            complain(message, hint);
        }
        _ => {}
    }
}
