//! `$[[ inputs.NAME | function ]]`: replaced in the text of a content, before it is parsed.
//!
//! So a block that is a whole plain scalar gives a number, a list or whatever the value is, and one inside of a text is
//! text. Compat: GitLab lib/gitlab/ci/config/interpolation/text_template.rb, block.rb, access.rb.

use super::functions;
use super::value::Value;
use crate::diagnostics::{FileId, Problems};
use crate::keywords::{closest_of, did_you_mean};
use crate::variables::Variables;
use crate::yaml::Passage;
use std::collections::HashMap;
use std::ops::Range;

/// Different blocks in one file. Compat: `TextTemplate::MAX_BLOCKS`.
const MAX_BLOCKS: usize = 10_000;
/// Compat: `Block::MAX_FUNCTIONS`.
const MAX_FUNCTIONS: usize = 3;
/// Bytes of what is accessed. Compat: `Access::MAX_ACCESS_BYTESIZE`.
const MAX_ACCESS: usize = 1024;
/// Bytes of a content with its inputs, far above what YAML may have.
const MAX_TEXT: usize = 16 * 1024 * 1024;
const OPEN: &str = "$[[";
const CLOSE: &str = "]]";

/// What blocks may ask for.
pub(super) struct Context<'v> {
    pub(super) inputs: HashMap<String, Value>,
    /// Only what the header asks for; `None` for a file that is no component.
    pub(super) component: Option<HashMap<String, Value>>,
    pub(super) variables: &'v Variables<'v>,
}

/// What is wrong with a block.
pub(super) struct BlockError {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl BlockError {
    pub(super) fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        let message = message.into();
        Self { message, hint }
    }
}

/// The part of a file with its blocks replaced; `None` when one of them cannot be, which is reported.
pub(super) fn interpolate(
    problems: &mut Problems,
    file: FileId,
    part: Range<usize>,
    context: &Context<'_>,
) -> Option<Passage> {
    let mut passage = Passage::new(file);
    let mut values: HashMap<String, Option<String>> = HashMap::new();
    let mut at = part.start;
    let before = problems.count();
    let mut scanner = Scanner::default();
    while let Some(block) = scanner.next(&problems.text(file).as_str()[..part.end], at) {
        let source = problems.text(file).as_str();
        passage.keep(source, at..block.range.start);
        let text = &source[block.range.clone()];
        if !values.contains_key(text) {
            let text = text.to_owned();
            let span = problems.text(file).span(block.range.start, block.range.end);
            let value = match evaluate(&source[block.data.clone()], &text, context) {
                Ok(value) => Some(value),
                Err(error) => {
                    report(problems, span, error);
                    None
                }
            };
            values.insert(text, value);
            if values.len() > MAX_BLOCKS {
                problems.error(span, "too many interpolation blocks");
                return None;
            }
        }
        let source = problems.text(file).as_str();
        if let Some(Some(value)) = values.get(&source[block.range.clone()]) {
            passage.replace(block.range.clone(), value);
        }
        if passage.len() > MAX_TEXT {
            let span = problems.text(file).span(block.range.start, block.range.end);
            problems.error(span, "config too large");
            return None;
        }
        at = block.range.end;
    }
    passage.keep(problems.text(file).as_str(), at..part.end);
    (problems.count() == before).then(|| passage.finished())
}

fn report(problems: &mut Problems, span: crate::Span, error: BlockError) {
    match error.hint {
        Some(hint) => problems.error_with_hint(span, error.message, hint),
        None => problems.error(span, error.message),
    }
}

struct Block {
    range: Range<usize>,
    /// What is between the brackets, without blanks around it.
    data: Range<usize>,
}

/// Finds blocks from left to right without looking at any part of the text more than a few times.
///
/// Compat: `$[[`, blanks, at least two characters of one line, blanks, `]]`, as short as can be.
#[derive(Default)]
struct Scanner {
    /// The first `]]` from some place on, and the first line break.
    close: usize,
    line_break: usize,
    /// Where something follows the line break.
    after_break: usize,
}

impl Scanner {
    fn next(&mut self, text: &str, mut from: usize) -> Option<Block> {
        loop {
            let start = from + text.get(from..)?.find(OPEN)?;
            from = start + OPEN.len();
            let data_start = text.len() - text[from..].trim_start().len();
            let first = text[data_start..].chars().next()?;
            // The first character may itself be part of what looks like an end.
            let mut search = data_start + first.len_utf8();
            if self.close < search {
                self.close = search + text[search..].find(CLOSE)?;
            }
            let mut close = self.close;
            self.find_line_break(text, data_start);
            while close <= self.after_break {
                let data = text[data_start..close].trim_end();
                if data.chars().nth(1).is_some() {
                    return Some(Block {
                        range: start..close + CLOSE.len(),
                        data: data_start..data_start + data.len(),
                    });
                }
                search = close + 1;
                close = search + text[search..].find(CLOSE)?;
            }
        }
    }

    fn find_line_break(&mut self, text: &str, from: usize) {
        if self.after_break > 0 && self.line_break >= from {
            return;
        }
        self.line_break = text[from..].find('\n').map_or(text.len(), |at| from + at);
        self.after_break = text.len() - text[self.line_break..].trim_start().len();
    }
}

/// The text a block stands for.
fn evaluate(data: &str, block: &str, context: &Context<'_>) -> Result<String, BlockError> {
    let mut parts = data.split('|').map(str::trim);
    let access = parts.next().unwrap_or_default();
    // Compat: `SKIP_INTERPOLATION_CONTEXTS`; they are replaced when jobs are multiplied.
    if access.split('.').next() == Some("matrix") {
        return Ok(block.to_owned());
    }
    let value = accessed(access, context)?;
    let functions: Vec<&str> = parts.collect();
    if functions.len() > MAX_FUNCTIONS {
        let hint = format!("at most {MAX_FUNCTIONS} may follow each other");
        return Err(BlockError::new("too many functions in interpolation block", Some(hint)));
    }
    functions::apply(value.clone(), &functions, context.variables).map(|value| value.to_yaml())
}

fn accessed<'c>(access: &str, context: &'c Context<'_>) -> Result<&'c Value, BlockError> {
    let Some((root, name)) = access.split_once('.').filter(|(_, name)| !name.is_empty()) else {
        let hint = "write `$[[ inputs.NAME ]]`".to_owned();
        return Err(BlockError::new("invalid interpolation access pattern", Some(hint)));
    };
    if access.len() > MAX_ACCESS {
        return Err(BlockError::new("maximum interpolation expression size exceeded", None));
    }
    let values = match (root, &context.component) {
        ("inputs", _) => &context.inputs,
        ("component", Some(component)) if !component.is_empty() => component,
        _ => {
            let hint = match (root, &context.component) {
                ("component", None) => "this file is not included as a component",
                ("component", Some(_)) => "`spec:component` has to list what is used of a component",
                _ => "there are `inputs`, `component` and `matrix`",
            };
            return Err(unknown(root, Some(hint.to_owned())));
        }
    };
    let (key, rest) = name
        .split_once('.')
        .map_or((name, None), |(key, rest)| (key, Some(rest)));
    let Some(value) = values.get(key) else {
        let mut names: Vec<&str> = values.keys().map(String::as_str).collect();
        names.sort_unstable();
        let close = closest_of(key, names.iter().copied());
        let hint = match (close, root) {
            (Some(close), _) => did_you_mean(close),
            (None, "inputs") => "declare it in `spec:inputs` of this file".to_owned(),
            (None, _) => "list it in `spec:component` of this file".to_owned(),
        };
        return Err(unknown(key, Some(hint)));
    };
    match rest {
        None => Ok(value),
        Some(rest) => {
            let key = rest.split('.').next().unwrap_or(rest);
            Err(unknown(
                key,
                Some(format!("`{root}.{}` has nothing in it", key_of(name))),
            ))
        }
    }
}

fn key_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn unknown(key: &str, hint: Option<String>) -> BlockError {
    BlockError::new(format!("unknown interpolation key: `{key}`"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_short_as_can_be_and_on_one_line() {
        for (text, expected) in [
            ("x $[[ inputs.a ]] y", Some(("$[[ inputs.a ]]", "inputs.a"))),
            ("$[[inputs.a]]]", Some(("$[[inputs.a]]", "inputs.a"))),
            ("$[[ a ]] $[[ b.c\n]]", Some(("$[[ a ]] $[[ b.c\n]]", "a ]] $[[ b.c"))),
            ("$[[ a\nb ]]", None),
            ("$[[ ]] $[[ é.é ]]", Some(("$[[ ]] $[[ é.é ]]", "]] $[[ é.é"))),
            ("$[[ ab", None),
            ("$[[ a\n$[[ b.c ]]", Some(("$[[ b.c ]]", "b.c"))),
            ("$[[ a.b\n  \n ]] x", Some(("$[[ a.b\n  \n ]]", "a.b"))),
            ("$[[ a]] b", None),
            ("$[[]]]]", Some(("$[[]]]]", "]]"))),
            ("$[ x ]", None),
        ] {
            let found = Scanner::default().next(text, 0);
            let found = found.map(|block| (&text[block.range], &text[block.data]));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
