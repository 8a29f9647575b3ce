//! `parallel`: how many instances of a job there are. What they are called is `lower::parallel`'s.

use super::{Fields, Keywords, below, wrong_type};
use crate::diagnostics::Problems;
use crate::yaml::{Entry, Node, Resolved};

const PARALLEL: Keywords = Keywords { supported: &["matrix"] };

/// Compat: `Gitlab::Ci::Config::Entry::Product::Parallel::PARALLEL_LIMIT`.
const LIMIT: usize = 200;

/// What `parallel` may be at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    NumberOrMatrix,
    MatrixOnly,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parallel {
    Number(usize),
    Matrix(Vec<Row>),
}

/// One mapping of a matrix: every combination of its values is an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Keys in the order of the file.
    pub(crate) values: Vec<(String, Vec<String>)>,
}

impl Row {
    /// How many instances it makes, up to what a `usize` holds.
    fn instances(&self) -> usize {
        self.values
            .iter()
            .fold(1, |count, (_, values)| count.saturating_mul(values.len()))
    }
}

/// `None` for null and for what was reported.
pub(crate) fn parallel(problems: &mut Problems, parent: &str, node: &Node, allowed: Allowed) -> Option<Parallel> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "parallel");
    let subject = format!("{at} config");
    if let Some(Resolved::Integer(_) | Resolved::Float(_)) = node.resolve() {
        if allowed == Allowed::MatrixOnly {
            let message = format!("{subject} cannot use \"parallel: <number>\".");
            problems.error_with_hint(node.span, message, "use `parallel:matrix`");
            return None;
        }
        return number(problems, &subject, node).map(Parallel::Number);
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &subject, "an integer or a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &PARALLEL);
    let Some(matrix) = fields.get("matrix") else {
        problems.error(node.span, format!("{subject} missing required keys: matrix"));
        return None;
    };
    self::matrix(problems, &at, matrix).map(Parallel::Matrix)
}

fn number(problems: &mut Problems, subject: &str, node: &Node) -> Option<usize> {
    let Some(Resolved::Integer(digits)) = node.resolve() else {
        problems.error(node.span, format!("{subject} must be an integer"));
        return None;
    };
    match digits.parse::<usize>() {
        Ok(0) => {
            let message = format!("{subject} must be greater than or equal to 1");
            problems.error_with_hint(
                node.span,
                message,
                "a job that is not wanted has a name that starts with `.`",
            );
            None
        }
        Ok(number) if number <= LIMIT => Some(number),
        Err(_) if digits.starts_with('-') => {
            problems.error(node.span, format!("{subject} must be greater than or equal to 1"));
            None
        }
        Ok(_) | Err(_) => {
            let message = format!("{subject} must be less than or equal to {LIMIT}");
            problems.error(node.span, message);
            None
        }
    }
}

fn matrix(problems: &mut Problems, parent: &str, node: &Node) -> Option<Vec<Row>> {
    let at = below(parent, "matrix");
    let Some(items) = node.as_sequence() else {
        if node.is_null() {
            problems.error(node.span, format!("{at} config can't be blank"));
        } else {
            wrong_type(problems, node, &format!("{at} config"), "an array of hashes");
        }
        return None;
    };
    if items.is_empty() {
        problems.error(node.span, format!("{at} config can't be blank"));
        return None;
    }
    let rows: Option<Vec<Row>> = items.iter().map(|item| row(problems, &at, item)).collect();
    let rows = rows?;
    let total = rows
        .iter()
        .fold(0, |sum: usize, row| sum.saturating_add(row.instances()));
    if total > LIMIT {
        let message = format!("{at} config generates too many jobs (maximum is {LIMIT})");
        problems.error_with_hint(node.span, message, format!("this matrix makes {total}"));
        return None;
    }
    Some(rows)
}

/// Compat: `Gitlab::Ci::Config::Entry::Product::Variables`.
fn row(problems: &mut Problems, matrix: &str, node: &Node) -> Option<Row> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{matrix} config"), "an array of hashes");
        return None;
    };
    let subject = format!("{matrix}:variables config");
    if entries.is_empty() {
        problems.error(node.span, format!("{subject} requires at least 1 items"));
        return None;
    }
    let mut row = Row::default();
    let mut complete = true;
    for entry in entries {
        match values(problems, &subject, entry) {
            Some(values) => row.values.push((entry.key.clone(), values)),
            None => complete = false,
        }
    }
    complete.then_some(row)
}

/// The values of one key, as text.
fn values(problems: &mut Problems, subject: &str, entry: &Entry) -> Option<Vec<String>> {
    let node = &*entry.value;
    let items: Vec<&Node> = match node.as_sequence() {
        Some(items) => items.iter().map(|item| &**item).collect(),
        None => vec![node],
    };
    let complain = |problems: &mut Problems, place: &Node, hint: String| {
        if !place.is_reported() {
            let message = format!("{subject} should be a hash of key value pairs, value can be an array");
            problems.error_with_hint(place.span, message, hint);
        }
    };
    if items.is_empty() {
        complain(problems, node, format!("`{}` has no value", entry.key));
        return None;
    }
    let mut values = Vec::with_capacity(items.len());
    for item in &items {
        match item.resolve() {
            Some(Resolved::String(text)) if node.as_sequence().is_some() || !text.trim().is_empty() => {
                values.push(text.to_owned());
            }
            Some(resolved @ (Resolved::Integer(_) | Resolved::Float(_))) => values.push(resolved.to_text()),
            Some(Resolved::Bool(_)) => {
                complain(
                    problems,
                    item,
                    "put it in quotes: GitLab takes no booleans here".to_owned(),
                );
            }
            Some(Resolved::Null | Resolved::String(_)) => {
                complain(problems, item, format!("`{}` has an empty value", entry.key));
            }
            _ => complain(
                problems,
                item,
                "values are strings and numbers, or lists of them".to_owned(),
            ),
        }
    }
    (values.len() == items.len()).then_some(values)
}
