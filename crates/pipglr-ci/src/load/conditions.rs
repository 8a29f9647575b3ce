//! The conditions of includes and of inputs, put to the evaluator of rules.

use super::value::Value;
use super::{File, Loader};
use crate::diagnostics::{Problems, Span};
use crate::keywords::wrong_type;
use crate::rules::expression::Expression;
use crate::rules::{Scope, include_applies};
use crate::yaml::Node;
use std::collections::HashMap;

/// `if` in the rules of an input.
pub(super) struct InputCondition {
    span: Span,
    expression: Expression,
}

impl InputCondition {
    /// Reads an expression; `None` when it is none, which is reported.
    pub(super) fn read(problems: &mut Problems, at: &str, node: &Node) -> Option<Self> {
        let Some(text) = node.as_str() else {
            wrong_type(problems, node, &format!("{at} if"), "a string");
            return None;
        };
        match Expression::parse(text) {
            Ok(expression) => Some(Self {
                span: node.span,
                expression,
            }),
            Err(error) => {
                let message = format!("{at} if invalid expression syntax");
                problems.error_with_hint(node.span, message, error.to_string());
                None
            }
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// The inputs it asks for.
    pub(super) fn inputs(&self) -> Vec<String> {
        self.expression.inputs().into_iter().map(str::to_owned).collect()
    }

    /// Compat: `Ci::Inputs::RulesEvaluator`; there are no variables here, only inputs.
    pub(super) fn holds(&self, inputs: &HashMap<String, Value>) -> bool {
        let expression = with_values(&self.expression, inputs);
        expression.is_true(&|_| None).0
    }
}

/// The expression with values in place of inputs.
fn with_values(expression: &Expression, inputs: &HashMap<String, Value>) -> Expression {
    let boxed = |operand: &Expression| Box::new(with_values(operand, inputs));
    match expression {
        Expression::Input(name) => match inputs.get(name) {
            None | Some(Value::Null) => Expression::Null,
            Some(Value::Bool(value)) => Expression::Boolean(*value),
            Some(value) => Expression::String(value.to_text()),
        },
        Expression::Not(operand) => Expression::Not(boxed(operand)),
        Expression::Binary(operator, left, right) => Expression::Binary(*operator, boxed(left), boxed(right)),
        other => other.clone(),
    }
}

impl Loader<'_, '_> {
    /// Whether the rules of an include let it in.
    pub(super) fn passes(&mut self, rules: &Node, file: &File) -> bool {
        let scope = Scope {
            world: self.request.world,
            origin: &file.origin,
            variables: &self.variables,
            memory: &self.memory,
        };
        let before = self.problems.count();
        let passes = include_applies(self.problems, "include", rules, &scope, &mut self.expressions);
        if self.problems.has_errors_since(before) {
            self.incomplete = true;
            return false;
        }
        passes
    }
}
