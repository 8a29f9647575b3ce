//! `if`, `changes` and `exists`, as written.

use crate::diagnostics::{Problems, Span};
use crate::keywords::{ARRAY_OR_HASH, Fields, Keywords, STRINGS, below, of, string, strings, wrong_type};
use crate::rules::expression::{Expression, SyntaxError};
use crate::yaml::Node;
use std::collections::HashMap;
use std::rc::Rc;

const CHANGES: Keywords = Keywords {
    supported: &["paths", "regexp", "compare_to"],
};

const EXISTS: Keywords = Keywords {
    supported: &["paths", "regexp", "project", "ref"],
};

/// Compat: `Entry::Rules::Rule::Changes` and `…::Exists`.
const MAX_PATTERNS: usize = 50;

/// `if`.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) text: String,
    pub(crate) expression: Rc<Expression>,
}

/// What paths are compared with.
#[derive(Debug, Clone)]
pub(crate) enum Patterns {
    Globs(Vec<String>),
    Regexp(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub(crate) patterns: Patterns,
    pub(crate) compare_to: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Exists {
    pub(crate) patterns: Patterns,
    pub(crate) project: Option<String>,
    pub(crate) reference: Option<String>,
}

/// Expressions that were read already: many jobs have the same.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    known: HashMap<String, Result<Rc<Expression>, SyntaxError>>,
}

impl Expressions {
    pub(crate) fn parse(&mut self, text: &str) -> Result<Rc<Expression>, SyntaxError> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let parsed = Expression::parse(text).map(Rc::new);
        self.known.insert(text.to_owned(), parsed.clone());
        parsed
    }
}

/// An expression; `subject` is what messages call it.
pub(crate) fn condition(
    problems: &mut Problems,
    subject: &str,
    node: &Node,
    expressions: &mut Expressions,
) -> Option<Condition> {
    let Some(text) = node.as_str() else {
        wrong_type(problems, node, subject, "a string");
        return None;
    };
    match expressions.parse(text) {
        Ok(expression) => Some(Condition {
            text: text.to_owned(),
            expression,
        }),
        Err(error) => {
            let message = format!("{subject} invalid expression syntax");
            problems.error_with_hint(place_in(problems, node, text, &error), message, error.to_string());
            None
        }
    }
}

/// Where in the file an expression stops being one, if the file has the text as it is.
fn place_in(problems: &Problems, node: &Node, text: &str, error: &SyntaxError) -> Span {
    let source = problems.text(node.span.file);
    let written = source.as_str().get(node.span.start..node.span.end).unwrap_or_default();
    let quote = usize::from(written.starts_with(['"', '\'']));
    let first_line = text.lines().next().unwrap_or_default();
    let verbatim = written.get(quote..).is_some_and(|rest| rest.starts_with(first_line));
    if !verbatim || first_line.is_empty() || error.offset >= first_line.len() {
        return node.span;
    }
    let start = node.span.start + quote + error.offset;
    let length = first_line[error.offset..].chars().next().map_or(0, char::len_utf8);
    source.span(start, start + length)
}

pub(super) fn changes(problems: &mut Problems, at: &str, node: &Node) -> Option<Changes> {
    let at = below(at, "changes");
    if node.as_sequence().is_some() {
        return Some(Changes {
            patterns: Patterns::Globs(globs(problems, &format!("{at} config"), node)),
            compare_to: None,
        });
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), ARRAY_OR_HASH);
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &CHANGES);
    Some(Changes {
        patterns: patterns(problems, &at, node, &fields)?,
        compare_to: fields
            .get("compare_to")
            .and_then(|node| string(problems, node, &of(&at, "compare_to"))),
    })
}

pub(super) fn exists(problems: &mut Problems, at: &str, node: &Node) -> Option<Exists> {
    let at = below(at, "exists");
    let anywhere = |patterns| Exists {
        patterns,
        project: None,
        reference: None,
    };
    // Compat: a lone string is taken, which is an accident that GitLab keeps.
    if let Some(path) = node.as_str() {
        return Some(anywhere(Patterns::Globs(vec![path.to_owned()])));
    }
    if node.as_sequence().is_some() {
        return Some(anywhere(Patterns::Globs(globs(
            problems,
            &format!("{at} config"),
            node,
        ))));
    }
    let Some(entries) = node.as_mapping() else {
        let should = "a string, an array of strings, or a hash";
        wrong_type(problems, node, &at, should);
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &EXISTS);
    let text =
        |problems: &mut Problems, name: &str| fields.get(name).and_then(|node| string(problems, node, &of(&at, name)));
    let (project, reference) = (text(problems, "project"), text(problems, "ref"));
    if let (Some(entry), None) = (fields.entry("ref"), fields.entry("project")) {
        let message = format!("{at} config missing required keys: project");
        problems.error_with_hint(entry.key_span, message, "`ref` is a ref of another project");
    }
    Some(Exists {
        patterns: patterns(problems, &at, node, &fields)?,
        project,
        reference,
    })
}

/// `paths` or `regexp` of the long form.
fn patterns(problems: &mut Problems, at: &str, node: &Node, fields: &Fields<'_>) -> Option<Patterns> {
    match (fields.get("paths"), fields.get("regexp")) {
        (Some(paths), None) => {
            let subject = of(at, "paths");
            if paths.is_null() {
                wrong_type(problems, paths, &subject, STRINGS);
            }
            Some(Patterns::Globs(globs(problems, &subject, paths)))
        }
        (None, Some(regexp)) => {
            let text = string(problems, regexp, &of(at, "regexp"))?;
            Some(Patterns::Regexp(text))
        }
        (Some(_), Some(_)) => {
            let message = format!("{at} config these keys cannot be used together: paths, regexp");
            problems.error(node.span, message);
            None
        }
        (None, None) => {
            problems.error(node.span, format!("{at} config missing required keys: paths"));
            None
        }
    }
}

fn globs(problems: &mut Problems, subject: &str, node: &Node) -> Vec<String> {
    let globs = strings(problems, node, subject).unwrap_or_default();
    if globs.len() > MAX_PATTERNS {
        let message = format!("{subject} has too many entries (maximum {MAX_PATTERNS})");
        problems.error(node.span, message);
    }
    globs
}
