//! The language of `rules:if` and `only:variables`.
//!
//! Compat: GitLab lib/gitlab/ci/pipeline/expression/. Text → tokens (`lexer`) → tree (`parser`) → value (`value`).

mod lexer;
mod parser;
mod pattern;
mod value;

pub(crate) use pattern::{Pattern, compile};
pub(crate) use value::Seen;

use std::fmt;

/// A tree that can be evaluated as often as there are jobs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    /// `$NAME`.
    Variable(String),
    /// `$[[ inputs.NAME ]]`, only in the rules of inputs.
    Input(String),
    String(String),
    Pattern(Pattern),
    Null,
    Boolean(bool),
    Not(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equals,
    NotEquals,
    Matches,
    NotMatches,
    And,
    Or,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where in the text, in bytes.
    pub(crate) offset: usize,
    /// Where in the text, in characters from 1.
    pub(crate) column: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at column {}: {}", self.column, self.message)?;
        match self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Expression {
    /// # Errors
    /// The text is not in the language.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let tokens = lexer::tokens(text)?;
        parser::parse(text, tokens)
    }

    /// The names of the inputs it asks for, each once.
    pub(crate) fn inputs(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect_inputs(&mut names);
        names
    }

    fn collect_inputs<'e>(&'e self, names: &mut Vec<&'e str>) {
        match self {
            Expression::Input(name) if !names.contains(&name.as_str()) => names.push(name),
            Expression::Not(operand) => operand.collect_inputs(names),
            Expression::Binary(_, left, right) => {
                left.collect_inputs(names);
                right.collect_inputs(names);
            }
            _ => {}
        }
    }
}

impl Operator {
    /// Compat: `LogicalOperator.precedence`; a lower number binds tighter.
    fn precedence(self) -> u8 {
        match self {
            Operator::Equals | Operator::NotEquals | Operator::Matches | Operator::NotMatches => 10,
            Operator::And => 11,
            Operator::Or => 12,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Equals => "==",
            Operator::NotEquals => "!=",
            Operator::Matches => "=~",
            Operator::NotMatches => "!~",
            Operator::And => "&&",
            Operator::Or => "||",
        })
    }
}

/// With parentheses wherever an operator has operators for operands, so that it reads back as the same tree.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Variable(name) => write!(f, "${name}"),
            Expression::Input(name) => write!(f, "$[[ inputs.{name} ]]"),
            Expression::String(text) if text.contains('"') => write!(f, "'{text}'"),
            Expression::String(text) => write!(f, "\"{text}\""),
            Expression::Pattern(pattern) => write!(f, "{pattern}"),
            Expression::Null => f.write_str("null"),
            Expression::Boolean(value) => write!(f, "{value}"),
            Expression::Not(operand) => write!(f, "!{}", Operand(operand)),
            Expression::Binary(operator, left, right) => {
                write!(f, "{} {operator} {}", Operand(left), Operand(right))
            }
        }
    }
}

struct Operand<'e>(&'e Expression);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Binary(..) | Expression::Not(_) => write!(f, "({})", self.0),
            leaf => write!(f, "{leaf}"),
        }
    }
}

#[cfg(test)]
mod tests;
