//! Text to tokens.

use super::pattern::{self, Pattern};
use super::{Expression, Operator, SyntaxError};

/// Compat: `Lexer::MAX_TOKENS`.
pub(super) const MAX_TOKENS: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it starts, in bytes.
    pub(super) offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    Value(Expression),
    Operator(Operator),
    Not,
}

/// # Errors
/// There is something that is no token, or there are too many.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let offset = text.len() - rest.len();
        // Compat: the tokenizer gives up after the hundredth token, even if nothing follows.
        if tokens.len() + 1 >= MAX_TOKENS {
            return Err(error(
                text,
                offset,
                format!("more than {} tokens", MAX_TOKENS - 1),
                None,
            ));
        }
        let (kind, length) = token(text, offset)?;
        tokens.push(Token { kind, offset });
        rest = rest[length..].trim_start_matches(is_space);
    }
    Ok(tokens)
}

pub(super) fn error(text: &str, offset: usize, message: String, hint: Option<&'static str>) -> SyntaxError {
    SyntaxError {
        offset,
        column: text[..offset].chars().count() + 1,
        message,
        hint,
    }
}

/// What Ruby's `\s` is.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The token at `offset` and its length. The order is GitLab's.
fn token(text: &str, offset: usize) -> Result<(Kind, usize), SyntaxError> {
    let rest = &text[offset..];
    let value = |expression, length| Ok((Kind::Value(expression), length));
    if rest.starts_with('(') {
        return Ok((Kind::Open, 1));
    }
    if rest.starts_with(')') {
        return Ok((Kind::Close, 1));
    }
    if let Some((name, length)) = input(rest) {
        return value(Expression::Input(name.to_owned()), length);
    }
    if let Some(name) = rest.strip_prefix('$') {
        let length = name.find(|c| !is_word(c)).unwrap_or(name.len());
        if length > 0 {
            return value(Expression::Variable(name[..length].to_owned()), 1 + length);
        }
    }
    if let Some(content) = quoted(rest) {
        return value(Expression::String(content.to_owned()), content.len() + 2);
    }
    if let Some(length) = pattern::length(rest) {
        let pattern = Pattern::literal(&rest[..length])
            .map_err(|message| error(text, offset, message, Some("GitLab takes regular expressions of RE2")))?;
        return value(Expression::Pattern(pattern), length);
    }
    if rest.starts_with("null") {
        return value(Expression::Null, 4);
    }
    for (word, truth) in [("true", true), ("false", false)] {
        let whole = |after: &str| !after.starts_with(is_word) && !text[..offset].ends_with(is_word);
        if rest.strip_prefix(word).is_some_and(whole) {
            return value(Expression::Boolean(truth), word.len());
        }
    }
    operator(text, offset)
}

fn operator(text: &str, offset: usize) -> Result<(Kind, usize), SyntaxError> {
    let rest = &text[offset..];
    for operator in [
        Operator::Equals,
        Operator::Matches,
        Operator::NotEquals,
        Operator::NotMatches,
        Operator::And,
        Operator::Or,
    ] {
        let symbol = operator.to_string();
        if rest.starts_with(&symbol) {
            return Ok((Kind::Operator(operator), symbol.len()));
        }
    }
    if rest.starts_with('!') {
        return Ok((Kind::Not, 1));
    }
    let word: String = rest.chars().take_while(|c| is_word(*c)).take(40).collect();
    let shown = if word.is_empty() {
        rest.chars().take(1).collect()
    } else {
        word
    };
    Err(error(
        text,
        offset,
        format!("`{shown}` is not understood"),
        hint(rest, &shown),
    ))
}

/// `$[[ inputs.NAME ]]`: the name and the length of it all.
fn input(rest: &str) -> Option<(&str, usize)> {
    let inner = rest.strip_prefix("$[[")?.trim_start_matches(is_space);
    let name = inner.strip_prefix("inputs.")?;
    let length = name.find(|c| !is_word(c)).unwrap_or(name.len());
    let after = name[length..].trim_start_matches(is_space).strip_prefix("]]")?;
    (length > 0).then(|| (&name[..length], rest.len() - after.len()))
}

/// What is between quotes. There are no escapes, and the text may not go on in the next line.
fn quoted(rest: &str) -> Option<&str> {
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let inner = &rest[1..];
    let content = &inner[..inner.find(quote)?];
    (!content.contains('\n')).then_some(content)
}

/// What was probably meant.
fn hint(rest: &str, shown: &str) -> Option<&'static str> {
    let first = rest.chars().next()?;
    Some(match first {
        '$' if rest.starts_with("${") => "write a variable without braces, as `$NAME`",
        '$' => "a variable is `$` and its name",
        '%' => "write a variable as `$NAME`",
        '"' | '\'' => "the quote is not closed",
        '/' => "a pattern is `/…/` with at least two characters between the slashes",
        '=' => "compare with `==`",
        '&' => "combine with `&&`",
        '|' => "combine with `||`",
        '[' | '`' => "this is no shell: compare as in `$NAME == \"text\"`",
        '<' | '>' => "there is no comparison by size",
        _ if shown.eq_ignore_ascii_case("and") => "combine with `&&`",
        _ if shown.eq_ignore_ascii_case("or") => "combine with `||`",
        _ if shown.eq_ignore_ascii_case("not") => "negate with `!`",
        c if is_word(c) => "put quotes around a text; a variable starts with `$`",
        _ => return None,
    })
}
