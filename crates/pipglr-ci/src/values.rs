//! Other YAML files: their values, whatever they mean.

use crate::diagnostics::{Problems, render};
use crate::yaml::{Kind, Node, Passage, compose};
use crate::{Severity, SourceFile};
use serde_json::{Map, Value};
use std::rc::Rc;

/// The first document of a YAML file. Scalars are texts as they are written, but for an empty one, which is null.
///
/// # Errors
/// It cannot be read: its mistakes with their places, as text.
pub fn read_values(file: &SourceFile) -> Result<Value, String> {
    let mut problems = Problems::default();
    let id = problems.open(Rc::new(file.clone()));
    let passage = Passage::whole(&problems, id);
    let documents = compose(&mut problems, &passage);
    let value = documents
        .as_deref()
        .unwrap_or_default()
        .first()
        .map_or(Value::Null, |node| value(node));
    let sources = problems.sources();
    let mistakes: Vec<_> = problems
        .finish()
        .into_iter()
        .filter(|d| d.severity == Severity::Error)
        .collect();
    if mistakes.is_empty() {
        Ok(value)
    } else {
        Err(render(&mistakes, &sources))
    }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.text.is_empty() && !scalar.string => Value::Null,
        Kind::Scalar(scalar) => Value::String(scalar.text.clone()),
        Kind::Sequence(items) => items.iter().map(|item| value(item)).collect(),
        Kind::Mapping(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.clone(), value(&entry.value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::read_values;
    use crate::SourceFile;
    use serde_json::json;

    fn read(text: &str) -> Result<serde_json::Value, String> {
        read_values(&SourceFile {
            path: "variables.yml".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn scalars_are_texts() {
        let text = "a: 012\nb: yes\nc: [1.50, \"x\"]\nd:\ne: ''\n";
        let read = read(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read["a"], "012");
        assert_eq!(read["b"], "yes");
        assert_eq!(read["c"], json!(["1.50", "x"]));
        assert_eq!((&read["d"], &read["e"]), (&json!(null), &json!("")));
    }

    #[test]
    fn nothing_is_null_and_mistakes_have_places() {
        assert_eq!(read(""), Ok(json!(null)));
        let error = read("a: [1\nb: 2\n").unwrap_err();
        assert!(error.contains("variables.yml:2"), "{error}");
    }
}
