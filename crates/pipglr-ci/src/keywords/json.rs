//! YAML values that are passed on as JSON.

use crate::yaml::{Entry, Kind, Node, Resolved};
use serde_json::{Map, Number, Value};

/// The value as Ruby's `to_json` gives it.
pub(crate) fn to_json(node: &Node) -> Value {
    match (&node.kind, node.resolve()) {
        (Kind::Sequence(items), _) => Value::Array(items.iter().map(|item| to_json(item)).collect()),
        (Kind::Mapping(entries), _) => Value::Object(object(entries)),
        (_, Some(Resolved::Bool(value))) => Value::Bool(value),
        (_, Some(Resolved::Integer(digits))) => integer(digits),
        (_, Some(Resolved::Float(value))) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        (_, Some(Resolved::String(text))) => Value::String(text.to_owned()),
        (_, Some(Resolved::Null | Resolved::Unloadable(_)) | None) => Value::Null,
    }
}

/// The entries of a mapping.
pub(crate) fn object(entries: &[Entry]) -> Map<String, Value> {
    entries
        .iter()
        .map(|entry| (entry.key.clone(), to_json(&entry.value)))
        .collect()
}

/// Numbers no machine word holds stay exact as text.
fn integer(digits: String) -> Value {
    match (digits.parse::<i64>(), digits.parse::<u64>()) {
        (Ok(value), _) => value.into(),
        (_, Ok(value)) => value.into(),
        _ => Value::String(digits),
    }
}
