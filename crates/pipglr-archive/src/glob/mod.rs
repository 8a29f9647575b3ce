//! Glob patterns with the semantics of doublestar v4, matched by a small automaton.
//!
//! `*` any run without `/`; `**` any number of components, if it is a whole component itself, else like
//! `*`; `?` one character but `/`; `[a-z]`, `[!x]`, `[^x]` one character; `{a,b}` alternatives, nested and
//! across `/`; `\` takes the next character literally. Names with a leading dot are nothing special.
//! `a/**` also matches `a`. Characters are Unicode scalar values; a byte that is not UTF-8 counts as U+FFFD.
//!
//! All places of the pattern a path may have reached are tracked at once, so that time is bounded by
//! pattern length times path length whatever the pattern.
//!
//! Compat: doublestar v4 (match.go), except that `*` may match nothing at the very end of a path also when
//! more zero-length pattern follows it (`a*{,b}` on `a`), that braces are expanded before `**` is looked
//! for (`a{**,b}` has no `**` component), and that `,` and `}` inside a class are members of it.

mod parse;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use parse::{Class, Item};
pub use parse::{MAX_BRACES, PatternError, Problem};

/// A parsed pattern.
#[derive(Debug)]
pub struct Pattern {
    nodes: Vec<Node>,
    start: usize,
}

/// What a node accepts, and where that leads.
#[derive(Debug)]
enum Node {
    Char(char, usize),
    Any(usize),
    Class(Class, usize),
    Separator {
        next: usize,
        /// What follows is `**` or `**/` and the end: this node may be left out at the end of a path.
        optional_at_end: bool,
    },
    Star {
        next: usize,
        /// If this is the first star of a `**/` at the start of a component: where its `/` leads.
        components: Vec<usize>,
        /// If this is the first star of a `**` at the start of a component and the end of the pattern.
        everything: bool,
    },
    Split(Vec<usize>),
    End,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`PatternError`] with the position of an unclosed or empty class, an unbalanced brace or a trailing
    /// backslash.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let items = parse::parse(pattern)?;
        let mut nodes = vec![Node::End];
        let start = build(&items, 0, &mut nodes);
        mark_double_stars(&mut nodes);
        Ok(Self { nodes, start })
    }

    /// Whether the whole path matches; `/` separates components, nothing is normalised.
    #[must_use]
    pub fn matches(&self, path: impl AsRef<Path>) -> bool {
        let mut cursor = self.cursor();
        for c in chars(path.as_ref().as_os_str().as_bytes()) {
            cursor.step(c, true);
        }
        cursor.is_match()
    }

    /// A cursor before the first character.
    #[must_use]
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        let mut cursor = Cursor {
            nodes: &self.nodes,
            seen: vec![false; self.nodes.len() * MODES],
            active: Vec::new(),
            everything: false,
        };
        cursor.enter(Place::new(self.start, Mode::ComponentStart));
        cursor
    }
}

/// How far a path has come in a pattern. Cloned to follow each entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'p> {
    nodes: &'p [Node],
    seen: Vec<bool>,
    active: Vec<Place>,
    /// A final `**` was reached: whatever follows matches.
    everything: bool,
}

/// How a place was reached. The modes between the first two exist because `**/` at the start of a component
/// means only what `**` means there, never a run of characters and then `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    InComponent,
    ComponentStart,
    /// At a star that began a component and has taken characters.
    FirstStar,
    /// Behind one star that began a component.
    AfterOneStar,
    /// Behind two stars that began a component.
    AfterTwoStars,
    /// Skipping whole components before the node, for `**/`.
    Skipping,
}

/// How many modes there are.
const MODES: usize = 6;

#[derive(Debug, Clone, Copy)]
struct Place {
    node: usize,
    mode: Mode,
}

impl Place {
    fn new(node: usize, mode: Mode) -> Self {
        Self { node, mode }
    }

    fn index(self) -> usize {
        self.node * MODES + self.mode as usize
    }
}

impl Cursor<'_> {
    /// Moves over one component (which contains no `/`).
    pub(crate) fn component(&mut self, name: &OsStr) {
        for c in chars(name.as_bytes()) {
            self.step(c, false);
        }
    }

    /// Moves over the `/` between components, which no class matches here.
    pub(crate) fn separator(&mut self) {
        self.step('/', false);
    }

    /// Whether the path so far matches.
    pub(crate) fn is_match(&self) -> bool {
        let ends = |place: &Place| match self.nodes[place.node] {
            Node::End => place.mode != Mode::Skipping,
            Node::Separator { optional_at_end, .. } => {
                optional_at_end && !matches!(place.mode, Mode::Skipping | Mode::AfterTwoStars)
            }
            _ => false,
        };
        self.everything || self.active.iter().any(ends)
    }

    /// Whether no longer path can match either.
    pub(crate) fn is_dead(&self) -> bool {
        !self.everything && self.active.is_empty()
    }

    fn step(&mut self, c: char, class_takes_separator: bool) {
        let nodes = self.nodes;
        let before = std::mem::take(&mut self.active);
        for place in &before {
            self.seen[place.index()] = false;
        }
        for place in before {
            if place.mode == Mode::Skipping {
                self.enter(place);
                if c == '/' {
                    self.enter(Place::new(place.node, Mode::ComponentStart));
                }
                continue;
            }
            let (node, mode) = match &nodes[place.node] {
                Node::Char(wanted, next) if *wanted == c => (*next, Mode::InComponent),
                Node::Separator { next, .. } if c == '/' && place.mode != Mode::AfterTwoStars => {
                    (*next, Mode::ComponentStart)
                }
                Node::Any(next) if c != '/' => (*next, Mode::InComponent),
                Node::Class(class, next) if class.matches(c) && (class_takes_separator || c != '/') => {
                    (*next, Mode::InComponent)
                }
                Node::Star { .. } if c != '/' => match place.mode {
                    Mode::ComponentStart => (place.node, Mode::FirstStar),
                    mode => (place.node, mode),
                },
                _ => continue,
            };
            self.enter(Place::new(node, mode));
        }
    }

    /// Adds a place and all that is reached from it without a character.
    fn enter(&mut self, place: Place) {
        let nodes = self.nodes;
        let mut pending = vec![place];
        while let Some(place) = pending.pop() {
            if std::mem::replace(&mut self.seen[place.index()], true) {
                continue;
            }
            self.active.push(place);
            match (&nodes[place.node], place.mode) {
                (_, Mode::Skipping) => {}
                (Node::Split(branches), mode) => {
                    pending.extend(branches.iter().map(|&branch| Place::new(branch, mode)));
                }
                (
                    Node::Star {
                        next,
                        components,
                        everything,
                    },
                    mode,
                ) => {
                    let behind = match mode {
                        Mode::ComponentStart | Mode::FirstStar => Mode::AfterOneStar,
                        Mode::AfterOneStar => Mode::AfterTwoStars,
                        Mode::InComponent | Mode::AfterTwoStars | Mode::Skipping => Mode::InComponent,
                    };
                    pending.push(Place::new(*next, behind));
                    if mode == Mode::ComponentStart {
                        self.everything |= everything;
                        for &node in components {
                            pending.push(Place::new(node, Mode::Skipping));
                            pending.push(Place::new(node, Mode::ComponentStart));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Appends the nodes of `items`, which lead to `next`, and returns the first.
fn build(items: &[Item], mut next: usize, nodes: &mut Vec<Node>) -> usize {
    for item in items.iter().rev() {
        let node = match item {
            Item::Char(c) => Node::Char(*c, next),
            Item::Any => Node::Any(next),
            Item::Class(class) => Node::Class(class.clone(), next),
            Item::Separator => Node::Separator {
                next,
                optional_at_end: false,
            },
            Item::Star => Node::Star {
                next,
                components: Vec::new(),
                everything: false,
            },
            Item::Alternatives(branches) => Node::Split(branches.iter().map(|b| build(b, next, nodes)).collect()),
        };
        nodes.push(node);
        next = nodes.len() - 1;
    }
    next
}

/// Finds which stars begin a `**/` or a final `**`, through any braces in between.
fn mark_double_stars(nodes: &mut [Node]) {
    let star = |node: &Node| match node {
        Node::Star { next, .. } => Some(*next),
        _ => None,
    };
    let separator = |node: &Node| match node {
        Node::Separator { next, .. } => Some(*next),
        _ => None,
    };
    let is_end = |places: &[usize]| places.contains(&0);
    for at in 0..nodes.len() {
        match &nodes[at] {
            Node::Star { next, .. } => {
                let after = through(nodes, &reached(nodes, &[*next]), star);
                let slashes = through(nodes, &after, separator);
                let ends = is_end(&after);
                if let Node::Star {
                    components, everything, ..
                } = &mut nodes[at]
                {
                    *components = slashes;
                    *everything = ends;
                }
            }
            Node::Separator { next, .. } => {
                let first = through(nodes, &reached(nodes, &[*next]), star);
                let second = through(nodes, &first, star);
                let optional = is_end(&second) || is_end(&through(nodes, &second, separator));
                if let Node::Separator { optional_at_end, .. } = &mut nodes[at] {
                    *optional_at_end = optional;
                }
            }
            _ => {}
        }
    }
}

/// The nodes that stand behind splits, starting from any of `from`; the end is node 0.
fn reached(nodes: &[Node], from: &[usize]) -> Vec<usize> {
    let mut seen = vec![false; nodes.len()];
    let mut pending = from.to_vec();
    let mut found = Vec::new();
    while let Some(node) = pending.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            match &nodes[node] {
                Node::Split(branches) => pending.extend(branches),
                _ => found.push(node),
            }
        }
    }
    found
}

/// Where those of `from` that `pick` accepts lead to, behind splits.
fn through(nodes: &[Node], from: &[usize], pick: impl Fn(&Node) -> Option<usize>) -> Vec<usize> {
    let next: Vec<usize> = from.iter().filter_map(|&node| pick(&nodes[node])).collect();
    reached(nodes, &next)
}

/// The characters of a name; each byte that is not part of valid UTF-8 becomes U+FFFD.
fn chars(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = std::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len());
        chunk.valid().chars().chain(invalid)
    })
}
