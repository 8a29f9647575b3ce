//! Tokens to a tree, by the shunting-yard algorithm, because GitLab's parser is one: it takes `$A "x" ==` too.

use super::lexer::{Kind, Token, error};
use super::{Expression, Operator, SyntaxError};

/// Compat: `Lexeme::Not.precedence`.
const NOT: u8 = 1;

struct Parser<'t> {
    text: &'t str,
    values: Vec<Expression>,
    /// Parentheses and operators that wait for their right operand.
    waiting: Vec<(Waiting, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Open,
    Not,
    Binary(Operator),
}

pub(super) fn parse(text: &str, tokens: Vec<Token>) -> Result<Expression, SyntaxError> {
    let mut parser = Parser {
        text,
        values: Vec::new(),
        waiting: Vec::new(),
    };
    let mut last_value = 0;
    for token in tokens {
        let Token { kind, offset } = token;
        match kind {
            Kind::Value(value) => {
                last_value = offset;
                parser.values.push(value);
            }
            Kind::Open => parser.waiting.push((Waiting::Open, offset)),
            Kind::Close => parser.close(offset)?,
            Kind::Not => parser.waiting.push((Waiting::Not, offset)),
            Kind::Operator(operator) => {
                parser.apply_tighter(operator.precedence())?;
                parser.waiting.push((Waiting::Binary(operator), offset));
            }
        }
    }
    while let Some((waiting, offset)) = parser.waiting.pop() {
        parser.apply(waiting, offset)?;
    }
    match (parser.values.pop(), parser.values.is_empty()) {
        (Some(tree), true) => Ok(tree),
        (Some(_), false) => {
            let message = "two values stand side by side".to_owned();
            Err(error(text, last_value, message, Some("put an operator between them")))
        }
        (None, _) => Err(error(text, 0, "there is no expression".to_owned(), None)),
    }
}

impl Parser<'_> {
    /// Applies the operators that bind at least as tight as the one that comes.
    fn apply_tighter(&mut self, precedence: u8) -> Result<(), SyntaxError> {
        while let Some(&(waiting, offset)) = self.waiting.last() {
            let binds = match waiting {
                Waiting::Open => false,
                Waiting::Not => precedence >= NOT,
                Waiting::Binary(operator) => precedence >= operator.precedence(),
            };
            if !binds {
                break;
            }
            self.waiting.pop();
            self.apply(waiting, offset)?;
        }
        Ok(())
    }

    fn close(&mut self, offset: usize) -> Result<(), SyntaxError> {
        while let Some((waiting, at)) = self.waiting.pop() {
            if waiting == Waiting::Open {
                return Ok(());
            }
            self.apply(waiting, at)?;
        }
        let message = "this parenthesis closes nothing".to_owned();
        Err(error(self.text, offset, message, None))
    }

    fn apply(&mut self, waiting: Waiting, offset: usize) -> Result<(), SyntaxError> {
        let value = match waiting {
            Waiting::Open => {
                let message = "this parenthesis is not closed".to_owned();
                return Err(error(self.text, offset, message, None));
            }
            Waiting::Not => Expression::Not(Box::new(self.operand("!", offset)?)),
            Waiting::Binary(operator) => {
                let symbol = operator.to_string();
                let right = self.operand(&symbol, offset)?;
                let left = self.operand(&symbol, offset)?;
                Expression::Binary(operator, Box::new(left), Box::new(right))
            }
        };
        self.values.push(value);
        Ok(())
    }

    fn operand(&mut self, symbol: &str, offset: usize) -> Result<Expression, SyntaxError> {
        self.values
            .pop()
            .ok_or_else(|| error(self.text, offset, format!("`{symbol}` lacks an operand"), None))
    }
}
