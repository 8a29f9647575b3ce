//! What an expression evaluates to.

use super::{Expression, Operator, Pattern};

/// Compat: Ruby's values, with Ruby's notion of what is true for `&&` and `||`, and Rails' `present?` for the rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    String(String),
    Boolean(bool),
    Pattern(Pattern),
}

/// A variable that was looked at, and what was there.
pub(crate) type Seen = (String, Option<String>);

/// An operation that Ruby has no answer to; GitLab takes the whole expression for false.
struct Undefined;

impl Expression {
    /// Whether the expression is true, and the variables that were looked at.
    pub(crate) fn is_true<'v>(&self, lookup: &dyn Fn(&str) -> Option<&'v str>) -> (bool, Vec<Seen>) {
        let mut seen = Vec::new();
        let value = self.evaluate(lookup, &mut seen);
        (value.is_ok_and(|value| value.is_present()), seen)
    }

    fn evaluate<'v>(&self, lookup: &dyn Fn(&str) -> Option<&'v str>, seen: &mut Vec<Seen>) -> Result<Value, Undefined> {
        let variable = |name: &str, seen: &mut Vec<Seen>| {
            let value = lookup(name);
            if !seen.iter().any(|(known, _)| known == name) {
                seen.push((name.to_owned(), value.map(str::to_owned)));
            }
            value.map_or(Value::Null, |text| Value::String(text.to_owned()))
        };
        Ok(match self {
            Expression::Variable(name) => variable(name, seen),
            Expression::Input(name) => variable(&format!("[[ inputs.{name} ]]"), seen),
            Expression::String(text) => Value::String(text.clone()),
            Expression::Pattern(pattern) => Value::Pattern(pattern.clone()),
            Expression::Null => Value::Null,
            Expression::Boolean(value) => Value::Boolean(*value),
            Expression::Not(operand) => Value::Boolean(!operand.evaluate(lookup, seen)?.is_present()),
            Expression::Binary(operator, left, right) => {
                let left = left.evaluate(lookup, seen)?;
                match (operator, left.is_truthy()) {
                    (Operator::And, false) | (Operator::Or, true) => return Ok(left),
                    (Operator::And | Operator::Or, _) => return right.evaluate(lookup, seen),
                    _ => {}
                }
                let right = right.evaluate(lookup, seen)?;
                Value::Boolean(match operator {
                    Operator::Equals => left == right,
                    Operator::NotEquals => left != right,
                    Operator::Matches => left.matches(&right)?,
                    _ => !left.matches(&right)?,
                })
            }
        })
    }
}

impl Value {
    /// Compat: `present?`.
    pub(crate) fn is_present(&self) -> bool {
        match self {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Boolean(value) => *value,
            Value::Pattern(_) => true,
        }
    }

    /// Compat: Ruby's `&&`: the empty string is true.
    fn is_truthy(&self) -> bool {
        !matches!(self, Value::Null | Value::Boolean(false))
    }

    /// What `to_s` makes of it.
    fn text(&self) -> &str {
        match self {
            Value::Null => "",
            Value::String(text) => text,
            Value::Boolean(true) => "true",
            Value::Boolean(false) => "false",
            Value::Pattern(pattern) => pattern.text(),
        }
    }

    /// `self =~ right`; a variable that is not there matches nothing.
    ///
    /// Compat: `Lexeme::Matches`: a text that is no pattern is searched for the left side, not in it.
    fn matches(&self, right: &Value) -> Result<bool, Undefined> {
        match right {
            Value::Null | Value::Boolean(false) => Ok(false),
            Value::Boolean(true) => Err(Undefined),
            Value::Pattern(pattern) => Ok(pattern.is_match(self.text())),
            Value::String(text) => Ok(match Pattern::literal(text).ok() {
                Some(pattern) => pattern.is_match(self.text()),
                None => text.contains(self.text()),
            }),
        }
    }
}
