//! Functions of an interpolation block, applied in the order in which they are written.
//!
//! Compat: GitLab lib/gitlab/ci/config/interpolation/functions/.

use super::interpolate::BlockError;
use super::value::Value;
use crate::variables::expansion::{Part, split as references};
use crate::variables::{Undefined, Variables};

/// Applies each function to what the one before it gave.
pub(super) fn apply(value: Value, functions: &[&str], variables: &Variables<'_>) -> Result<Value, BlockError> {
    let functions: Vec<Function<'_>> = functions.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
    functions
        .into_iter()
        .try_fold(value, |value, function| function.apply(value, variables))
}

enum Function<'t> {
    ExpandVars,
    PosixEscape,
    Truncate { offset: usize, length: usize },
    Split { separator: &'t str },
}

fn parse(text: &str) -> Result<Function<'_>, BlockError> {
    let function = match text {
        "expand_vars" => Some(Function::ExpandVars),
        "posix_escape" => Some(Function::PosixEscape),
        _ => truncate(text).or_else(|| split(text)),
    };
    function.ok_or_else(|| {
        let message =
            format!("no function matching `{text}`: check that the function name, arguments, and types are correct");
        let hint = "there are `expand_vars`, `posix_escape`, `split('SEPARATOR')` and `truncate(OFFSET, LENGTH)`";
        BlockError::new(message, Some(hint.to_owned()))
    })
}

/// Compat: the closing parenthesis may be left out.
fn truncate(text: &str) -> Option<Function<'_>> {
    let arguments = text.strip_prefix("truncate(")?;
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
    let (offset, length) = arguments.split_once(',')?;
    Some(Function::Truncate {
        offset: number(offset)?,
        length: number(length)?,
    })
}

/// A number beyond all texts is as good as any other of them.
fn number(text: &str) -> Option<usize> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

fn split(text: &str) -> Option<Function<'_>> {
    let separator = text.strip_prefix("split('")?.strip_suffix("')")?;
    (!separator.contains('\'')).then_some(Function::Split { separator })
}

impl Function<'_> {
    fn name(&self) -> &'static str {
        match self {
            Function::ExpandVars => "expand_vars",
            Function::PosixEscape => "posix_escape",
            Function::Truncate { .. } => "truncate",
            Function::Split { .. } => "split",
        }
    }

    fn apply(&self, value: Value, variables: &Variables<'_>) -> Result<Value, BlockError> {
        let name = self.name();
        let Value::String(text) = value else {
            let message =
                format!("error in `{name}` function: invalid input type: {name} can only be used with string inputs");
            return Err(BlockError::new(message, None));
        };
        match self {
            Function::ExpandVars if asks_for_masked(&text, variables) => {
                let message = format!(
                    "error in `{name}` function: variable expansion error: masked variables cannot be expanded"
                );
                let hint = "its value would stand in the configuration for all to read";
                Err(BlockError::new(message, Some(hint.to_owned())))
            }
            Function::ExpandVars => Ok(Value::String(variables.expand_once(&text, Undefined::Kept))),
            Function::PosixEscape => Ok(Value::String(posix_escape(&text))),
            Function::Truncate { offset, length } => {
                Ok(Value::String(text.chars().skip(*offset).take(*length).collect()))
            }
            Function::Split { separator: "" } => {
                let message = format!("error in `{name}` function: invalid argument: separator cannot be empty");
                Err(BlockError::new(message, None))
            }
            Function::Split { separator } => {
                let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
                Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
            }
        }
    }
}

fn asks_for_masked(text: &str, variables: &Variables<'_>) -> bool {
    references(text, false).iter().any(|part| match part {
        Part::Reference { key, .. } => variables.given(key).is_some_and(|given| given.masked),
        Part::Text(_) => false,
    })
}

/// Compat: Ruby's `Shellwords.shellescape`.
fn posix_escape(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("'\n'"),
            c if c.is_ascii_alphanumeric() || "_-.,:+/@".contains(c) => escaped.push(c),
            c => escaped.extend(['\\', c]),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(functions: &[&str], expected: Result<&str, &str>) {
        let value = Value::String("a b, é\n$X".to_owned());
        let applied = apply(value, functions, &Variables::default());
        let applied = applied.map(|value| value.to_yaml()).map_err(|error| error.message);
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(applied, expected, "{functions:?}");
    }

    #[test]
    fn each_function_takes_what_the_one_before_it_gave() {
        check(&[], Ok("a b, é\n$X"));
        check(&["truncate(2, 4)"], Ok("b, é"));
        check(&["truncate(5,1", "posix_escape"], Ok("\\é"));
        check(&["truncate(99999999999999999999999, 1)", "posix_escape"], Ok("''"));
        check(&["posix_escape"], Ok("a\\ b,\\ \\é'\n'\\$X"));
        check(&["expand_vars"], Ok("a b, é\n$X"));
        check(&["split(',')"], Ok("[\"a b\",\"é\\n$X\"]"));
        check(
            &["split(',')", "truncate(0,1)"],
            Err("error in `truncate` function: invalid input type: truncate can only be used with string inputs"),
        );
        check(
            &["split('')"],
            Err("error in `split` function: invalid argument: separator cannot be empty"),
        );
        check(
            &["upcase"],
            Err("no function matching `upcase`: check that the function name, arguments, and types are correct"),
        );
    }
}
