//! Files to one mapping: headers and inputs, includes, `extends`, `!reference`.
//!
//! Each file is split into header and content (`document`). The header's inputs get their values (`header`, `inputs`)
//! and are put into the content's text (`interpolate`) before that is parsed. What the content includes (`include`,
//! `fetch`) goes through the same and is merged under it (`merge`). Nodes keep their places through all of this.
//!
//! Compat: GitLab lib/gitlab/ci/config/external/, lib/gitlab/ci/config/interpolation/; ci-yaml.md 1, steps 1 to 6.

mod circles;
mod conditions;
mod document;
mod fetch;
mod functions;
mod header;
mod include;
mod inputs;
mod interpolate;
mod location;
pub(crate) mod merge;
mod value;

use crate::diagnostics::{FileId, Problems, Span};
use crate::keywords::rules::Expressions;
use crate::rules::clauses::Memory;
use crate::variables::Variables;
use crate::variables::outside::Outside;
use crate::yaml::{Entry, Node, TOO_BIG};
use crate::{Component, Origin, Request, SourceFile, extends, reference};
use merge::Merger;
use std::collections::HashMap;
use std::rc::Rc;
use value::Value;

/// Compat: `ci_max_total_yaml_size_bytes`, as it is unless an administrator changes it.
const MAX_TOTAL_SIZE: usize = 314_572_800;

/// The top-level entries of the request's file with all it includes, extended and without references.
///
/// `None` when there is nothing to go on with, or when a file is missing and its absence would only cause more errors.
pub(crate) fn load(problems: &mut Problems, request: &Request<'_>) -> Option<Vec<Entry>> {
    let id = problems.open(Rc::new(request.file.clone()));
    if is_blank(&request.file.text) {
        problems.file_error_with_hint(
            "Please provide content of .gitlab-ci.yml",
            "the least is the name of a job and, indented below it, `script: [COMMAND]`",
        );
        return None;
    }
    let outside = Outside::new(request.context);
    let mut loader = Loader {
        request,
        variables: outside.variables(),
        memory: Memory::default(),
        expressions: Expressions::default(),
        problems,
        merger: Merger::default(),
        opened: HashMap::new(),
        trail: vec![request.file.path.clone()],
        circle: None,
        included: 0,
        bytes: 0,
        stopped: false,
        incomplete: false,
    };
    let file = loader.request_file(id);
    let content = loader.content(&file)?;
    let mut root = loader.with_includes(&content, &file)?;
    let Loader {
        incomplete, mut merger, ..
    } = loader;
    if merger.is_exhausted() {
        problems.file_error(TOO_BIG);
    }
    if incomplete || merger.is_exhausted() {
        return None;
    }
    extends::extend(problems, &mut merger, &mut root);
    reference::resolve(problems, &mut root);
    Some(root)
}

fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim().is_empty()
}

struct Loader<'r, 'p> {
    request: &'r Request<'r>,
    problems: &'p mut Problems,
    /// Those that includes and inputs may use: all that exist before any file is read.
    variables: Variables<'r>,
    memory: Memory,
    expressions: Expressions,
    merger: Merger,
    /// Files by how messages call them.
    opened: HashMap<String, FileId>,
    /// The files that are being read, each included by the one before it.
    trail: Vec<String>,
    /// How a file came to include itself, if one did.
    circle: Option<String>,
    /// Includes so far, duplicates counted.
    included: usize,
    /// Size of all files so far.
    bytes: usize,
    /// A limit was met; nothing more is included.
    stopped: bool,
    /// Something that was to be included is not there.
    incomplete: bool,
}

/// One file on its way into the mapping.
struct File {
    id: FileId,
    /// As messages call it.
    label: String,
    origin: Origin,
    /// What `$[[ component.… ]]` may ask for.
    component: Option<Component>,
    given: Given,
}

/// The values for a file's inputs.
struct Given {
    /// The entry that includes the file; `None` for the file that is evaluated.
    by: Option<Span>,
    values: Vec<GivenValue>,
}

struct GivenValue {
    name: String,
    value: Value,
    /// Where it is given.
    place: Option<Span>,
}

impl Loader<'_, '_> {
    fn request_file(&mut self, id: FileId) -> File {
        let inputs = self.request.inputs.iter();
        let values = inputs.map(|(name, value)| GivenValue {
            name: name.clone(),
            value: Value::from_json(value),
            place: None,
        });
        File {
            id,
            label: self.request.file.path.clone(),
            origin: Origin::Project,
            component: None,
            given: Given {
                by: None,
                values: values.collect(),
            },
        }
    }

    /// Makes a text one of the evaluation's files; the same file is not opened twice.
    fn open(&mut self, label: &str, text: String, by: Span) -> FileId {
        if let Some(id) = self.opened.get(label)
            && self.problems.text(*id).as_str() == text
        {
            return *id;
        }
        let source = SourceFile {
            path: label.to_owned(),
            text,
        };
        let id = self.problems.open_included(Rc::new(source), by);
        self.opened.insert(label.to_owned(), id);
        id
    }

    /// An error about what a file was given or declares: at the entry that includes it, in GitLab's way of naming
    /// the file, or in the evaluated file itself.
    fn file_problem(&mut self, file: &File, place: Option<Span>, message: &str, hint: Option<String>) {
        let (span, message) = match file.given.by {
            Some(by) => (Some(place.unwrap_or(by)), format!("`{}`: {message}", file.label)),
            None => (place, message.to_owned()),
        };
        self.incomplete = true;
        self.problem(span, &message, hint);
    }

    fn problem(&mut self, span: Option<Span>, message: &str, hint: Option<String>) {
        let message = self.variables.mask(message);
        let hint = hint.map(|hint| self.variables.mask(&hint));
        match (span, hint) {
            (Some(span), Some(hint)) => self.problems.error_with_hint(span, message, hint),
            (Some(span), None) => self.problems.error(span, message),
            (None, Some(hint)) => self.problems.file_error_with_hint(message, hint),
            (None, None) => self.problems.file_error(message),
        }
    }
}

/// The node is something, by Rails's `present?`.
fn is_present(node: &Node) -> bool {
    let blank = node.is_null()
        || node.as_bool() == Some(false)
        || node.as_str().is_some_and(|text| text.trim().is_empty())
        || node.as_sequence().is_some_and(<[_]>::is_empty)
        || node.as_mapping().is_some_and(<[_]>::is_empty);
    !blank
}
