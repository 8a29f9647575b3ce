//! Values of inputs: what a header declares, what is given, and how they read when they are put into a file.

use crate::yaml::{Kind, Node, Resolved};
use serde_json::Value as Json;
use std::fmt::Write as _;

/// A value with the order of its keys, which matters where a matrix is given as an input.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Decimal digits with an optional minus.
    Integer(String),
    Float(f64),
    String(String),
    Array(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// As Ruby compares: `1` and `1.0` are the same number.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) | (Value::String(a), Value::String(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Integer(a), Value::Float(b)) | (Value::Float(b), Value::Integer(a)) => {
                a.parse::<f64>().is_ok_and(|a| a == *b)
            }
            (Value::Array(a), Value::Array(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, value)| b.iter().any(|(k, v)| k == key && v == value))
            }
            _ => false,
        }
    }
}

impl Value {
    /// References and what was reported are null; whoever cares asks before.
    pub(super) fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Sequence(items) => Value::Array(items.iter().map(|item| Value::of(item)).collect()),
            Kind::Mapping(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), Value::of(&entry.value)))
                    .collect(),
            ),
            Kind::Scalar(_) | Kind::Reference(_) | Kind::Reported => match node.resolve() {
                Some(Resolved::Bool(value)) => Value::Bool(value),
                Some(Resolved::Integer(digits)) => Value::Integer(digits),
                Some(Resolved::Float(value)) => Value::Float(value),
                Some(Resolved::String(text)) => Value::String(text.to_owned()),
                Some(Resolved::Null | Resolved::Unloadable(_)) | None => Value::Null,
            },
        }
    }

    pub(super) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) if number.is_f64() => Value::Float(number.as_f64().unwrap_or_default()),
            Json::Number(number) => Value::Integer(number.to_string()),
            Json::String(text) => Value::String(text.clone()),
            Json::Array(items) => Value::Array(items.iter().map(Value::from_json).collect()),
            Json::Object(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Value::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// A string that is JSON as what it says; anything else as it is. Compat: `Ci::Inputs::BaseInput#coerced_value`.
    pub(super) fn parsed(self) -> Self {
        match &self {
            Value::String(text) => serde_json::from_str(text).map_or(self, |json| Value::from_json(&json)),
            _ => self,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// As Ruby's `to_s` has it.
    pub(super) fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Float(value) => Resolved::Float(*value).to_text(),
            Value::Bool(_) | Value::Integer(_) | Value::Array(_) | Value::Map(_) => self.to_json(", "),
        }
    }

    /// As it is put into a file: strings as they are, all else as JSON, which is YAML.
    pub(super) fn to_yaml(&self) -> String {
        match self {
            Value::String(text) => text.clone(),
            _ => self.to_json(","),
        }
    }

    /// JSON, with this between the items.
    pub(super) fn to_json(&self, comma: &str) -> String {
        let mut text = String::new();
        self.write_json(&mut text, comma);
        text
    }

    fn write_json(&self, text: &mut String, comma: &str) {
        match self {
            Value::Null => text.push_str("null"),
            Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Value::Integer(digits) => text.push_str(digits),
            Value::Float(value) if value.is_finite() => text.push_str(&Resolved::Float(*value).to_text()),
            // JSON has no word for it.
            Value::Float(_) => text.push_str("null"),
            Value::String(string) => write_string(text, string),
            Value::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { comma } else { "" });
                    item.write_json(text, comma);
                }
                text.push(']');
            }
            Value::Map(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if index > 0 { comma } else { "" });
                    write_string(text, key);
                    text.push(':');
                    value.write_json(text, comma);
                }
                text.push('}');
            }
        }
    }
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Writing to a string cannot fail.
            c if c.is_control() => drop(write!(text, "\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}
