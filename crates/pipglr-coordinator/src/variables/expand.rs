//! GitLab's expansion of variables by variables, before the runner sees them.
//!
//! References to undefined, raw and file variables stay for the runner, and so do references in a circle.

use pipglr_ci::expansion::{Part, split};
use pipglr_protocol::{Secret, payload::Variable};
use std::collections::HashMap;

/// Expands the values of all variables that are not raw.
///
/// Compat: GitLab lib/gitlab/ci/variables/collection.rb.
pub(crate) fn expand(variables: &mut [Variable]) {
    let mut expander = Expander::new(variables);
    // A repeated key refers to the last of its kind, but keeps its own text.
    let values: Vec<String> = (0..variables.len()).map(|index| expander.value(index)).collect();
    for (variable, value) in variables.iter_mut().zip(values) {
        variable.value = Secret::new(value);
    }
}

/// Expands the references in one text; what `value` does not know stays as it is.
pub(crate) fn expand_text(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    for part in split(text, true) {
        match part {
            Part::Text(text) => expanded.push_str(text),
            Part::Reference { text, key } => match value(key) {
                Some(value) => expanded.push_str(&value),
                None => expanded.push_str(text),
            },
        }
    }
    expanded
}

struct Expander<'a> {
    variables: &'a [Variable],
    last: HashMap<&'a str, usize>,
    done: HashMap<usize, String>,
    visiting: Vec<usize>,
}

impl<'a> Expander<'a> {
    fn new(variables: &'a [Variable]) -> Self {
        let last = variables.iter().enumerate().map(|(i, v)| (v.key.as_str(), i)).collect();
        Self {
            variables,
            last,
            done: HashMap::new(),
            visiting: Vec::new(),
        }
    }

    fn value(&mut self, index: usize) -> String {
        if let Some(value) = self.done.get(&index) {
            return value.clone();
        }
        let variable = &self.variables[index];
        if variable.raw || variable.file {
            return variable.value.expose().to_owned();
        }
        self.visiting.push(index);
        let mut expanded = String::new();
        for part in split(variable.value.expose(), true) {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Reference { text, key } => match self.target(key) {
                    Some(target) => expanded.push_str(&self.value(target)),
                    None => expanded.push_str(text),
                },
            }
        }
        self.visiting.pop();
        self.done.insert(index, expanded.clone());
        expanded
    }

    fn target(&self, key: &str) -> Option<usize> {
        let index = *self.last.get(key)?;
        let variable = &self.variables[index];
        let literal = variable.raw || variable.file || self.visiting.contains(&index);
        (!literal).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use pipglr_protocol::payload::Variable;

    fn variable(key: &str, value: &str) -> Variable {
        Variable {
            key: key.to_owned(),
            value: value.into(),
            ..Variable::default()
        }
    }

    #[track_caller]
    fn check(input: &[(&str, &str)], expected: &[&str]) {
        let mut variables: Vec<Variable> = input.iter().map(|(k, v)| variable(k, v)).collect();
        expand(&mut variables);
        let values: Vec<&str> = variables.iter().map(|v| v.value.expose()).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn references_are_expanded_through_each_other() {
        check(
            &[("A", "$B-${C}-%C%"), ("B", "${C}b"), ("C", "c")],
            &["cb-c-c", "cb", "c"],
        );
        check(&[("A", "é$B€"), ("B", "b")], &["éb€", "b"]);
    }

    #[test]
    fn what_cannot_be_expanded_stays() {
        let odd = [
            "$UNDEFINED",
            "$$B",
            "%%B%%",
            "${B",
            "%B",
            "$",
            "$1",
            "${B:-x}",
            "100%",
            "$é",
        ];
        for text in odd {
            check(&[("A", text), ("B", "b")], &[text, "b"]);
        }
    }

    #[test]
    fn the_last_value_of_a_repeated_key_counts() {
        check(&[("A", "$B"), ("B", "1"), ("B", "2")], &["2", "1", "2"]);
    }

    #[test]
    fn circles_stay() {
        check(&[("A", "$A:x")], &["$A:x"]);
    }

    #[test]
    fn raw_and_file_values_stay_and_are_not_inserted() {
        let mut variables = vec![
            variable("A", "$RAW $FILE"),
            Variable {
                raw: true,
                ..variable("RAW", "$B")
            },
            Variable {
                file: true,
                ..variable("FILE", "$B")
            },
            variable("B", "b"),
        ];
        expand(&mut variables);
        let values: Vec<&str> = variables.iter().map(|v| v.value.expose()).collect();
        assert_eq!(values, ["$RAW $FILE", "$B", "$B", "b"]);
    }
}
