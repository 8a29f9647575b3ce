//! What is wrong with a file, where, and what to do about it.

use crate::SourceFile;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::rc::Rc;

/// How bad it is: a file with an error has no pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// A file of an evaluation: its place in [`crate::Evaluation::sources`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

/// A range of a file, never longer than one line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub file: FileId,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Line of `start`, from 1.
    pub line: usize,
    /// Column of `start` in characters, from 1.
    pub column: usize,
}

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// One problem of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// GitLab's words where it has words for this.
    pub message: String,
    /// `None` when the problem is with the file as a whole.
    pub span: Option<Span>,
    pub path: String,
    /// What would help, in a sentence without a period.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path)?;
        if let Some(span) = self.span {
            write!(f, "{}:{}:", span.line, span.column)?;
        }
        write!(f, " {}: {}", self.severity, self.message)
    }
}

/// Shows diagnostics with the lines they are about, in plain text without colour.
///
/// `sources` are looked up by path; a diagnostic about a file that is not among them is shown without an excerpt.
pub fn render(diagnostics: &[Diagnostic], sources: &[Rc<SourceFile>]) -> String {
    render_by(&Renderer::plain(), diagnostics, sources)
}

/// As [`render`], in the colours of a terminal.
pub fn render_coloured(diagnostics: &[Diagnostic], sources: &[Rc<SourceFile>]) -> String {
    render_by(&Renderer::styled(), diagnostics, sources)
}

fn render_by(renderer: &Renderer, diagnostics: &[Diagnostic], sources: &[Rc<SourceFile>]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let excerpt = sources
            .iter()
            .find(|source| source.path == diagnostic.path)
            .and_then(|source| excerpt(diagnostic, source));
        let group = Group::with_title(level.primary_title(&diagnostic.message));
        let mut group = match &excerpt {
            Some(excerpt) => group.element(
                Snippet::source(excerpt.text)
                    .path(&diagnostic.path)
                    .line_start(excerpt.line)
                    .annotation(AnnotationKind::Primary.span(excerpt.start..excerpt.end)),
            ),
            None => group.element(origin(diagnostic)),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint));
        }
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    text
}

/// Where a diagnostic is, for when there is no line to show.
fn origin(diagnostic: &Diagnostic) -> Origin<'_> {
    let origin = Origin::path(&diagnostic.path);
    match diagnostic.span {
        Some(span) => origin.line(span.line).char_column(span.column),
        None => origin,
    }
}

/// The line of a diagnostic and the marked bytes in it.
struct Excerpt<'s> {
    text: &'s str,
    line: usize,
    start: usize,
    end: usize,
}

fn excerpt<'s>(diagnostic: &Diagnostic, source: &'s SourceFile) -> Option<Excerpt<'s>> {
    let span = diagnostic.span?;
    // The caller may hand in another text than the one that was evaluated.
    let before = source.text.get(..span.start)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let text = source.text[line_start..].lines().next().unwrap_or("");
    let start = (span.start - line_start).min(text.len());
    let end = (span.end.max(span.start) - line_start).min(text.len());
    (text.is_char_boundary(start) && text.is_char_boundary(end)).then_some(Excerpt {
        text,
        line: span.line,
        start,
        end,
    })
}

/// Collects the diagnostics of an evaluation, and the files they are about.
#[derive(Default)]
pub(crate) struct Problems {
    texts: Vec<Text>,
    found: Vec<Diagnostic>,
}

/// A file with what it takes to find lines and columns in it.
pub(crate) struct Text {
    id: FileId,
    source: Rc<SourceFile>,
    /// The entry that includes it.
    by: Option<Span>,
    /// Byte offsets at which lines start.
    line_starts: Vec<usize>,
    /// Byte offset of each character, when the two counts differ.
    characters: Option<Vec<usize>>,
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.source.text
    }

    /// The span of a byte range, cut at the end of its first line. Cheap, whatever the length of the line.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let text = self.as_str();
        let start = floor_boundary(text, start);
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts[line - 1];
        let next_line = self.line_starts.get(line).map_or(text.len(), |next| next - 1);
        let line_end = if text[start..next_line].ends_with('\r') {
            next_line - 1
        } else {
            next_line
        };
        let end = floor_boundary(text, end.clamp(start, line_end));
        let column = self.character_at(start) - self.character_at(line_start) + 1;
        Span {
            file: self.id,
            start,
            end,
            line,
            column,
        }
    }

    fn character_at(&self, byte: usize) -> usize {
        match &self.characters {
            Some(offsets) => offsets.partition_point(|offset| *offset < byte),
            None => byte,
        }
    }
}

impl Problems {
    /// Adds the file that is evaluated, which comes first.
    pub(crate) fn open(&mut self, source: Rc<SourceFile>) -> FileId {
        self.add(source, None)
    }

    /// Adds a file that the entry at a place includes.
    pub(crate) fn open_included(&mut self, source: Rc<SourceFile>, by: Span) -> FileId {
        self.add(source, Some(by))
    }

    fn add(&mut self, source: Rc<SourceFile>, by: Option<Span>) -> FileId {
        let id = FileId(self.texts.len());
        let text = &source.text;
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let characters = || text.char_indices().map(|(at, _)| at).collect();
        self.texts.push(Text {
            id,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            characters: (!text.is_ascii()).then(characters),
            source,
            by,
        });
        id
    }

    pub(crate) fn text(&self, file: FileId) -> &Text {
        &self.texts[file.0]
    }

    /// What a file is called in messages.
    pub(crate) fn path(&self, file: FileId) -> &str {
        &self.texts[file.0].source.path
    }

    /// The files in the order in which they were opened.
    pub(crate) fn sources(&self) -> Vec<Rc<SourceFile>> {
        self.texts.iter().map(|text| Rc::clone(&text.source)).collect()
    }

    /// For each file, in the same order, the entry that included it first.
    pub(crate) fn includes(&self) -> Vec<Option<Span>> {
        self.texts.iter().map(|text| text.by).collect()
    }

    /// How many problems were found so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, Some(span), message.into(), None);
    }

    pub(crate) fn error_with_hint(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, Some(span), message.into(), Some(hint.into()));
    }

    /// An error about the evaluated file as a whole.
    pub(crate) fn file_error(&mut self, message: impl Into<String>) {
        self.push(Severity::Error, None, message.into(), None);
    }

    /// An error about the evaluated file as a whole, with what would help.
    pub(crate) fn file_error_with_hint(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, None, message.into(), Some(hint.into()));
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, Some(span), message.into(), Some(hint.into()));
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors_since(0)
    }

    /// Whether there is an error beyond the first so many problems.
    pub(crate) fn has_errors_since(&self, count: usize) -> bool {
        let found = self.found.iter().skip(count);
        found
            .into_iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All diagnostics in order of place, each once: a shared anchor is read by every job that uses it.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by_key(|diagnostic| diagnostic.span.map_or((true, None), |span| (false, Some(span))));
        let mut seen = std::collections::HashSet::new();
        self.found
            .retain(|diagnostic| seen.insert((diagnostic.span, diagnostic.message.clone())));
        self.found
    }

    fn push(&mut self, severity: Severity, span: Option<Span>, message: String, hint: Option<String>) {
        let file = span.map_or_else(FileId::default, |span| span.file);
        let path = self.texts.get(file.0).map(|text| text.source.path.clone());
        self.found.push(Diagnostic {
            severity,
            message,
            span,
            path: path.unwrap_or_default(),
            hint,
        });
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> (Problems, FileId) {
        let mut problems = Problems::default();
        let source = Rc::new(SourceFile {
            path: "ci.yml".to_owned(),
            text: text.to_owned(),
        });
        let file = problems.open(source);
        (problems, file)
    }

    #[test]
    fn a_diagnostic_is_one_line_as_compilers_print_it() {
        let (mut problems, file) = problems("é: x\nbuild: ñ y\n");
        let span = problems.text(file).span(16, 17);
        problems.error(span, "no");
        problems.file_error("never");
        let lines: Vec<String> = problems.finish().iter().map(Diagnostic::to_string).collect();
        assert_eq!(lines, ["ci.yml:2:10: error: no", "ci.yml: error: never"]);
    }

    #[test]
    fn without_its_file_a_diagnostic_keeps_its_place() {
        let (mut problems, file) = problems("a: x\nb: y\n");
        let span = problems.text(file).span(5, 6);
        problems.warning(span, "odd", "do it so");
        let text = render(&problems.finish(), &[]);
        assert_eq!(text, "warning: odd\n--> ci.yml:2:1\n = help: do it so\n\n");
    }

    #[test]
    fn spans_end_with_their_line_and_equal_diagnostics_are_one() {
        let (mut problems, file) = problems("ab\r\ncd\n");
        let span = problems.text(file).span(1, 7);
        assert_eq!(
            span,
            Span {
                file,
                start: 1,
                end: 2,
                line: 1,
                column: 2
            }
        );
        problems.error(span, "no");
        problems.error(span, "no");
        assert_eq!(problems.finish().len(), 1);
    }
}
