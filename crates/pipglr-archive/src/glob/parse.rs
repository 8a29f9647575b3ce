//! Text of a pattern → items, with the position of what is wrong.

use std::fmt;

/// A pattern that cannot be used, and where it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {problem} at character {position}")]
pub struct PatternError {
    /// The whole pattern as given.
    pub pattern: String,
    /// Zero-based, in characters: the character that opens or is the wrong construct.
    pub position: usize,
    pub problem: Problem,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// `[` without its `]`.
    UnclosedClass,
    /// `[]`, `[!]` or `[^]`.
    EmptyClass,
    /// `{` without its `}`.
    UnclosedBrace,
    /// `}` without its `{`.
    UnopenedBrace,
    /// `\` as the last character.
    TrailingEscape,
    /// More than [`MAX_BRACES`] braces inside one another.
    DeepBraces,
}

/// How deep braces may nest; a guard of the stack, far above any use.
pub const MAX_BRACES: usize = 64;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedClass => "unclosed `[`",
            Self::EmptyClass => "empty class",
            Self::UnclosedBrace => "unclosed `{`",
            Self::UnopenedBrace => "`}` without `{`",
            Self::TrailingEscape => "nothing after `\\`",
            Self::DeepBraces => "braces nested too deep",
        })
    }
}

/// One element of a parsed pattern.
#[derive(Debug)]
pub(super) enum Item {
    Char(char),
    Separator,
    /// `?`
    Any,
    /// One `*`; two in a row are recognised when the automaton is built.
    Star,
    Class(Class),
    Alternatives(Vec<Vec<Item>>),
}

/// A character class: inclusive ranges, possibly negated.
#[derive(Debug, Clone)]
pub(super) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    pub(super) fn matches(&self, c: char) -> bool {
        self.negated != self.ranges.iter().any(|&(low, high)| low <= c && c <= high)
    }
}

pub(super) fn parse(pattern: &str) -> Result<Vec<Item>, PatternError> {
    let mut parser = Parser {
        chars: pattern.chars().collect(),
        at: 0,
    };
    let fail = |(position, problem)| PatternError {
        pattern: pattern.to_owned(),
        position,
        problem,
    };
    let items = parser.sequence(0).map_err(fail)?;
    if parser.at < parser.chars.len() {
        return Err(fail((parser.at, Problem::UnopenedBrace)));
    }
    Ok(items)
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

type Failure = (usize, Problem);

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    /// Items up to the end, an unescaped `}`, or (inside braces) an unescaped `,`; leaves that unread.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        while let Some(c) = self.peek() {
            let start = self.at;
            if c == '}' || (c == ',' && depth > 0) {
                break;
            }
            self.at += 1;
            items.push(match c {
                '*' => Item::Star,
                '?' => Item::Any,
                '[' => Item::Class(self.class(start)?),
                '{' => self.braces(start, depth + 1)?,
                '\\' => literal(self.next().ok_or((start, Problem::TrailingEscape))?),
                c => literal(c),
            });
        }
        Ok(items)
    }

    fn braces(&mut self, start: usize, depth: usize) -> Result<Item, Failure> {
        if depth > MAX_BRACES {
            return Err((start, Problem::DeepBraces));
        }
        let mut branches = Vec::new();
        loop {
            branches.push(self.sequence(depth)?);
            match self.next() {
                Some(',') => {}
                Some(_) => return Ok(Item::Alternatives(branches)),
                None => return Err((start, Problem::UnclosedBrace)),
            }
        }
    }

    fn class(&mut self, start: usize) -> Result<Class, Failure> {
        let negated = matches!(self.peek(), Some('!' | '^'));
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        if self.peek() == Some(']') {
            return Err((start, Problem::EmptyClass));
        }
        while self.peek() != Some(']') {
            let low = self.class_char(start)?;
            let dash = self.peek() == Some('-');
            let high = match self.chars.get(self.at + 1) {
                Some(&after) if dash && after != ']' => {
                    self.at += 1;
                    self.class_char(start)?
                }
                _ => low,
            };
            ranges.push((low, high));
        }
        self.at += 1;
        Ok(Class { negated, ranges })
    }

    fn class_char(&mut self, start: usize) -> Result<char, Failure> {
        let unclosed = (start, Problem::UnclosedClass);
        match self.next().ok_or(unclosed)? {
            '\\' => self.next().ok_or(unclosed),
            c => Ok(c),
        }
    }
}

fn literal(c: char) -> Item {
    if c == '/' { Item::Separator } else { Item::Char(c) }
}
