//! A file's documents: the header with `spec`, and the content.

use super::{File, Loader};
use crate::diagnostics::Span;
use crate::yaml::{Node, Passage, compose};
use std::ops::Range;
use std::rc::Rc;

impl Loader<'_, '_> {
    /// The file's content with its inputs put in, a mapping. What is wrong with it is reported.
    pub(super) fn content(&mut self, file: &File) -> Option<Rc<Node>> {
        let content = match self.header(file) {
            Some(Header { spec: None, .. }) => None,
            Some(Header {
                spec: Some(spec),
                content,
            }) => {
                let passage = self.with_inputs(file, &spec, content)?;
                compose(self.problems, &passage)?.into_iter().next()
            }
            None => self.without_header(file),
        };
        let content = content.or_else(|| {
            self.incomplete = true;
            None
        })?;
        self.check_content(file, content)
    }

    /// Compat: lib/gitlab/ci/config/yaml/documents.rb, a header is a first document with the key `spec`.
    fn header(&mut self, file: &File) -> Option<Header> {
        let text = self.problems.text(file.id).as_str();
        let documents = documents(text);
        let [header, content, surplus @ ..] = documents.as_slice() else {
            return None;
        };
        if !text[header.clone()].contains("spec") {
            return None;
        }
        let passage = Passage::part(self.problems, file.id, header.clone());
        let Some(parsed) = compose(self.problems, &passage) else {
            let content = content.clone();
            return Some(Header { spec: None, content });
        };
        let spec = parsed.into_iter().find(|document| document.entry("spec").is_some())?;
        if let Some(surplus) = surplus.first() {
            let span = self.problems.text(file.id).span(surplus.start, surplus.end);
            self.report_surplus(span);
        }
        Some(Header {
            spec: Some(spec),
            content: content.clone(),
        })
    }

    fn without_header(&mut self, file: &File) -> Option<Rc<Node>> {
        if let Some(value) = file.given.values.first() {
            let message = "Given inputs not defined in the `spec` section of the included configuration file";
            let hint = "a file takes inputs when it starts with `spec:inputs` and a line `---`";
            self.file_problem(file, value.place, message, Some(hint.to_owned()));
            return None;
        }
        let passage = Passage::whole(self.problems, file.id);
        let documents = compose(self.problems, &passage)?;
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let content = documents.next();
        if let Some(surplus) = documents.next() {
            self.report_surplus(surplus.span);
        }
        if content.is_none() {
            self.file_problem(file, None, "Invalid configuration format", None);
        }
        content
    }

    fn report_surplus(&mut self, span: Span) {
        let hint = "only a header with `spec` may stand before the one document with the jobs";
        self.problems.error_with_hint(span, "too many documents", hint);
    }

    fn check_content(&mut self, file: &File, content: Rc<Node>) -> Option<Rc<Node>> {
        let Some(entries) = content.as_mapping() else {
            if !content.is_reported() {
                let hint = "the top level has to be a mapping of keywords and jobs".to_owned();
                let place = file.given.by.or(Some(content.span));
                self.file_problem(file, place, "Invalid configuration format", Some(hint));
            }
            self.incomplete = true;
            return None;
        };
        if entries.is_empty()
            && let Some(by) = file.given.by
        {
            let message = format!("Included file `{}` does not have valid YAML syntax!", file.label);
            self.problem(Some(by), &message, Some("there is nothing in it".to_owned()));
            self.incomplete = true;
            return None;
        }
        let header = content
            .entry("spec")
            .filter(|spec| spec.value.entry("script").is_none());
        if let Some(spec) = header {
            // Compat: in this place `spec` is the name of a job.
            let message = "jobs spec config should implement the script:, run:, or trigger: keyword";
            let hint = "put a line with `---` between the header and the jobs";
            self.problems.error_with_hint(spec.key_span, message, hint);
            self.incomplete = true;
            return None;
        }
        Some(content)
    }
}

struct Header {
    /// The document with the key `spec`; `None` when it cannot be read.
    spec: Option<Rc<Node>>,
    content: Range<usize>,
}

/// The documents that say something. Compat: `MultiDocYaml::MULTI_DOC_DIVIDER`, `---` and a blank or a line break.
fn documents(text: &str) -> Vec<Range<usize>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let divides = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if divides {
            documents.push(start..at);
            let rest = &line[3..];
            start = if rest.trim().is_empty() { end } else { at + 3 };
        }
        at = end;
    }
    documents.push(start..text.len());
    documents.retain(|document| says_something(&text[document.clone()]));
    documents
}

fn says_something(document: &str) -> bool {
    let mut lines = document.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines.any(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_divided_by_lines_of_three_dashes() {
        for (text, expected) in [
            ("a: 1\n", vec!["a: 1\n"]),
            ("---\na: 1\n---\nb: 1\n", vec!["a: 1\n", "b: 1\n"]),
            ("# only words\n---\n  a: 1\n", vec!["  a: 1\n"]),
            ("a: 1\n--- {b: 1}\n---x: 1", vec!["a: 1\n", " {b: 1}\n---x: 1"]),
            ("a: 1\n---", vec!["a: 1\n"]),
            ("", vec![]),
        ] {
            let found: Vec<&str> = documents(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
