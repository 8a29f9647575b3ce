//! Events to a tree: anchors, merge keys, tags, and the limits that keep a small file from becoming a huge tree.

use super::events::{Event, EventKind, Events, Place, Properties};
use super::hints;
use super::mapping::Building;
use super::node::{Kind, Node, Scalar};
use super::passage::Passage;
use super::scalar::{Resolved, resolve};
use crate::diagnostics::{Problems, Span};
use std::collections::HashMap;
use std::rc::Rc;

/// Levels of nesting, with aliases counted in full. Compat: GitLab's `max_yaml_depth`, 100 until 2025.
const MAX_DEPTH: usize = 150;
/// Estimated bytes of the loaded structure, with aliases counted in full. Compat: GitLab's `max_yaml_size_bytes`.
const MAX_SIZE: usize = 2 * 1024 * 1024;
pub(crate) const TOO_BIG: &str = "The parsed YAML is too big";
const CORE_TAG: &str = "tag:yaml.org,2002:";
const REFERENCE: &str = "!reference";

/// Composes every document of a passage. `None` when it cannot be read to its end, which is reported.
pub(crate) fn compose(problems: &mut Problems, passage: &Passage) -> Option<Vec<Rc<Node>>> {
    let mut composer = Composer {
        passage,
        events: Events::new(&passage.text),
        anchors: HashMap::new(),
        open: Vec::new(),
        merged: 0,
        problems,
    };
    match composer.documents() {
        Ok(documents) => Some(documents),
        Err(Stop { span, message, hint }) => {
            match hint {
                Some(hint) => composer.problems.error_with_hint(span, message, hint),
                None => composer.problems.error(span, message),
            }
            None
        }
    }
}

/// The file cannot be read any further.
pub(super) struct Stop {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

pub(super) struct Composer<'t, 'p> {
    passage: &'t Passage,
    events: Events<'t>,
    anchors: HashMap<String, Rc<Node>>,
    /// Anchors of the collections that are being read.
    open: Vec<String>,
    /// Entries that merge keys have copied so far.
    pub(super) merged: usize,
    pub(super) problems: &'p mut Problems,
}

impl Composer<'_, '_> {
    fn documents(&mut self) -> Result<Vec<Rc<Node>>, Stop> {
        let mut documents = Vec::new();
        loop {
            let event = self.next()?;
            match event.kind {
                EventKind::StreamEnd => return Ok(documents),
                EventKind::StreamStart | EventKind::DocumentEnd => {}
                EventKind::DocumentStart => {
                    self.anchors.clear();
                    let event = self.next()?;
                    documents.push(self.node(event, 1)?);
                }
                // The grammar puts a document's content between its start and end.
                _ => {
                    return Err(Stop {
                        span: self.span(&event),
                        message: "Invalid configuration format".to_owned(),
                        hint: None,
                    });
                }
            }
        }
    }

    fn next(&mut self) -> Result<Event, Stop> {
        self.events.next().map_err(|error| {
            let at = self.passage.byte(error.at);
            let end = self.passage.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            Stop {
                span: self.place(at, end),
                hint: hints::hint(&error.message, &self.passage.text, at),
                message: error.message,
            }
        })
    }

    fn place(&self, start: usize, end: usize) -> Span {
        let text = self.problems.text(self.passage.file);
        self.passage.span(text, start, end)
    }

    fn span(&self, event: &Event) -> Span {
        self.place(self.passage.byte(event.start), self.passage.byte(event.end))
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Rc<Node>, Stop> {
        let span = self.span(&event);
        if depth > MAX_DEPTH {
            return Err(Stop {
                span,
                message: TOO_BIG.to_owned(),
                hint: None,
            });
        }
        match event.kind {
            EventKind::Alias(anchor) => self.alias(&anchor, span, depth),
            EventKind::Scalar {
                properties,
                text,
                quoted,
            } => {
                let kind = self.scalar(properties.tag.as_deref(), text, quoted, span);
                Ok(self.register(properties.anchor, Node::new(kind, span)))
            }
            EventKind::SequenceStart(properties) => {
                self.opened(&properties);
                let (kind, end) = self.sequence(depth)?;
                self.close(properties, kind, "seq", (event.start, end), depth)
            }
            EventKind::MappingStart(properties) => {
                self.opened(&properties);
                let (kind, end) = self.mapping(depth)?;
                self.close(properties, kind, "map", (event.start, end), depth)
            }
            // libyaml's grammar gives a node wherever one is asked for.
            _ => Ok(Node::reported(span)),
        }
    }

    fn alias(&mut self, anchor: &str, span: Span, depth: usize) -> Result<Rc<Node>, Stop> {
        if self.open.iter().any(|open| open == anchor) {
            self.problems.error(span, format!("anchor `{anchor}` contains itself"));
        } else if let Some(node) = self.anchors.get(anchor) {
            if depth + node.height - 1 > MAX_DEPTH {
                return Err(Stop {
                    span,
                    message: TOO_BIG.to_owned(),
                    hint: None,
                });
            }
            return Ok(Rc::clone(node));
        } else {
            let message = format!("An alias referenced an unknown anchor: {anchor}");
            self.problems
                .error_with_hint(span, message, "an anchor stands before its aliases and in the same file: of other files take `extends` or `!reference`; quote the text if it is none");
        }
        Ok(Node::reported(span))
    }

    fn register(&mut self, anchor: Option<String>, node: Node) -> Rc<Node> {
        let node = Rc::new(node);
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        node
    }

    fn scalar(&mut self, tag: Option<&str>, text: String, quoted: bool, span: Span) -> Kind {
        let string = match tag.map(|tag| tag.strip_prefix(CORE_TAG).unwrap_or(tag)) {
            None => quoted,
            Some("str" | "!") => true,
            Some("int" | "float" | "bool" | "null") => false,
            Some(REFERENCE) => {
                self.report_reference(&format!("{text:?}"), span);
                return Kind::Reported;
            }
            Some(_) => {
                self.report_tag(tag.unwrap_or_default(), span);
                return Kind::Reported;
            }
        };
        if let (false, Resolved::Unloadable(class)) = (string, resolve(&text)) {
            let message = format!("Tried to load unspecified class: {class}");
            self.problems
                .error_with_hint(span, message, format!("quote it to make it a string: \"{text}\""));
            return Kind::Reported;
        }
        Kind::Scalar(Scalar { text, string })
    }

    fn report_tag(&mut self, tag: &str, span: Span) {
        let hint = "GitLab knows one tag of its own, `!reference`";
        self.problems
            .error_with_hint(span, format!("unknown tag `{tag}`"), hint);
    }

    fn opened(&mut self, properties: &Properties) {
        self.open.extend(properties.anchor.clone());
    }

    /// Makes a node of a collection that was read to its end, if the limits allow it.
    fn close(
        &mut self,
        properties: Properties,
        mut kind: Kind,
        own_tag: &str,
        (start, end): (Place, Place),
        depth: usize,
    ) -> Result<Rc<Node>, Stop> {
        if properties.anchor.is_some() {
            self.open.pop();
        }
        let span = self.place(self.passage.byte(start), self.passage.byte(end));
        let own = |tag: &String| tag == "!" || tag.strip_prefix(CORE_TAG) == Some(own_tag);
        match properties.tag.filter(|tag| !own(tag)).as_deref() {
            None => {}
            Some(REFERENCE) => kind = self.reference(&kind, span),
            Some(tag) => {
                self.report_tag(tag, span);
                kind = Kind::Reported;
            }
        }
        let node = Node::new(kind, span);
        if node.size > MAX_SIZE || depth + node.height - 1 > MAX_DEPTH {
            return Err(Stop {
                span,
                message: TOO_BIG.to_owned(),
                hint: None,
            });
        }
        Ok(self.register(properties.anchor, node))
    }

    /// Compat: `Yaml::Tags::Reference#valid?`, a sequence of at least one string.
    fn reference(&mut self, kind: &Kind, span: Span) -> Kind {
        let items = match kind {
            Kind::Sequence(items) => items.as_slice(),
            _ => {
                self.report_reference("{…}", span);
                return Kind::Reported;
            }
        };
        let path: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        match path.filter(|path| !path.is_empty()) {
            Some(path) => Kind::Reference(path),
            None => {
                let shown: Vec<String> = items.iter().map(|item| shown(item)).collect();
                self.report_reference(&format!("[{}]", shown.join(", ")), span);
                Kind::Reported
            }
        }
    }

    fn report_reference(&mut self, shown: &str, span: Span) {
        let hint = "write a list of strings, as in `!reference [.job, script]`";
        self.problems
            .error_with_hint(span, format!("!reference {shown} is not valid"), hint);
    }

    fn sequence(&mut self, depth: usize) -> Result<(Kind, Place), Stop> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.kind == EventKind::SequenceEnd {
                return Ok((Kind::Sequence(items), event.end));
            }
            items.push(self.node(event, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Kind, Place), Stop> {
        let mut building = Building::default();
        loop {
            let event = self.next()?;
            if event.kind == EventKind::MappingEnd {
                return Ok((Kind::Mapping(building.entries), event.end));
            }
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            self.entry(&mut building, &key, value)?;
        }
    }
}

/// An item of a broken reference, as Ruby would show it.
fn shown(item: &Node) -> String {
    match (&item.kind, item.resolve()) {
        (_, Some(Resolved::String(text))) => format!("{text:?}"),
        (_, Some(Resolved::Null)) => "nil".to_owned(),
        (_, Some(resolved)) => resolved.to_text(),
        (Kind::Mapping(_), None) => "{…}".to_owned(),
        (_, None) => "[…]".to_owned(),
    }
}
