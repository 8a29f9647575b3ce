//! Variables in layers, weakest first: what a rule sees, and what names are expanded with.

mod circles;
pub mod expansion;
pub(crate) mod outside;

use crate::model::Variable;
use crate::world::Setting;
use expansion::{Part, split};
use std::collections::HashMap;

/// Where a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Predefined,
    /// `variables` of the top level.
    Root,
    /// The `variables` of a rule of `workflow`, counted from 1.
    WorkflowRule(usize),
    Job,
    /// `parallel:matrix`.
    Matrix,
    /// The `variables` of a rule of the job, counted from 1.
    JobRule(usize),
    /// Of the instance, a group or the project.
    Setting,
    /// Of the command line, the trigger, the schedule or the parent pipeline.
    Pipeline,
}

/// A variable with what else there is to know of it.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) raw: bool,
    pub(crate) file: bool,
    pub(crate) masked: bool,
    pub(crate) source: Source,
}

impl Given {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>, source: Source) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            raw: false,
            file: false,
            masked: false,
            source,
        }
    }

    pub(crate) fn of(variable: &Variable, source: Source) -> Self {
        Self {
            raw: !variable.expand,
            ..Self::new(&variable.key, &variable.value, source)
        }
    }

    pub(crate) fn setting(setting: &Setting) -> Self {
        Self {
            file: setting.file,
            masked: setting.masked,
            ..Self::of(&setting.variable, Source::Setting)
        }
    }
}

/// Variables of one precedence. Of a key that is there twice the last counts.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    given: Vec<Given>,
    last: HashMap<String, usize>,
}

impl FromIterator<Given> for Layer {
    fn from_iter<I: IntoIterator<Item = Given>>(variables: I) -> Self {
        let mut layer = Layer::default();
        for variable in variables {
            layer.last.insert(variable.key.clone(), layer.given.len());
            layer.given.push(variable);
        }
        layer
    }
}

impl Layer {
    /// Every variable, also those that later ones replace.
    pub(crate) fn all(&self) -> &[Given] {
        &self.given
    }

    fn get(&self, key: &str) -> Option<&Given> {
        self.last.get(key).map(|place| &self.given[*place])
    }
}

/// What becomes of references to variables that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undefined {
    /// Compat: `ExpandVariables.expand`.
    Blank,
    /// Compat: `ExpandVariables.expand_existing`.
    Kept,
}

/// How many variables deep references are followed.
const MAX_DEPTH: usize = 200;

/// How many references are followed for one text, and how long it may become; what is beyond stays as it is.
const MAX_STEPS: usize = 100_000;
const MAX_LENGTH: usize = 1 << 20;

/// A text that is being expanded.
struct Expansion<'l> {
    undefined: Undefined,
    /// The variables whose values are being looked into.
    above: Vec<&'l Given>,
    steps: usize,
    out: String,
}

impl Expansion<'_> {
    fn may_go_on(&self) -> bool {
        self.above.len() < MAX_DEPTH && self.steps < MAX_STEPS && self.out.len() < MAX_LENGTH
    }
}

/// All variables that someone sees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables<'l> {
    /// Weakest first.
    layers: Vec<&'l Layer>,
}

impl<'l> Variables<'l> {
    pub(crate) fn new(layers: Vec<&'l Layer>) -> Self {
        Self { layers }
    }

    /// The value as it was given, references and all.
    pub(crate) fn get(&self, key: &str) -> Option<&'l str> {
        self.given(key).map(|given| given.value.as_str())
    }

    pub(crate) fn given(&self, key: &str) -> Option<&'l Given> {
        self.layers.iter().rev().find_map(|layer| layer.get(key))
    }

    /// Every variable, also those that others beat, weakest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'l Given> {
        self.layers.iter().flat_map(|layer| &layer.given)
    }

    /// A text with the values as they were given.
    pub(crate) fn expand_once(&self, text: &str, undefined: Undefined) -> String {
        let mut expanded = String::new();
        for part in split(text, false) {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Reference { text, key } => match (self.get(key), undefined) {
                    (Some(value), _) => expanded.push_str(value),
                    (None, Undefined::Kept) => expanded.push_str(text),
                    (None, Undefined::Blank) => {}
                },
            }
        }
        expanded
    }

    /// A text with the values expanded in turn.
    ///
    /// Compat: `sort_and_expand_all` before `ExpandVariables`: raw values are inserted, but not looked into.
    pub(crate) fn expand(&self, text: &str, undefined: Undefined) -> String {
        let mut expansion = Expansion {
            undefined,
            above: Vec::new(),
            steps: 0,
            out: String::new(),
        };
        self.append(text, false, &mut expansion);
        expansion.out
    }

    fn append(&self, text: &str, escapes: bool, expansion: &mut Expansion<'l>) {
        for part in split(text, escapes) {
            let (text, key) = match part {
                Part::Text(text) => {
                    expansion.out.push_str(text);
                    continue;
                }
                Part::Reference { text, key } => (text, key),
            };
            expansion.steps += 1;
            match self.referenced(key, &expansion.above) {
                Some(next) if next.raw || next.file => expansion.out.push_str(&next.value),
                Some(next) if expansion.may_go_on() => {
                    expansion.above.push(next);
                    self.append(&next.value, true, expansion);
                    expansion.above.pop();
                }
                None if expansion.undefined == Undefined::Blank => {}
                Some(_) | None => expansion.out.push_str(text),
            }
        }
    }

    /// What a reference is to: inside a variable's own value, to the weaker one of the name.
    fn referenced(&self, key: &str, above: &[&'l Given]) -> Option<&'l Given> {
        let mut candidates = self.layers.iter().rev().filter_map(|layer| layer.get(key));
        candidates.find(|candidate| !above.iter().any(|seen| std::ptr::eq(*seen, *candidate)))
    }

    /// The first circle of references, as GitLab names it.
    ///
    /// Compat: `Collection::Sort#errors`; a variable that refers to itself alone is no circle.
    pub(crate) fn circle(&self) -> Option<Vec<&'l str>> {
        circles::find(self)
    }

    /// A text without the values that nobody may see.
    pub(crate) fn mask(&self, text: &str) -> String {
        let hidden = self.all().filter(|given| given.masked && !given.value.is_empty());
        let mut values: Vec<&str> = hidden.map(|given| given.value.as_str()).collect();
        // What is left of a longer one would be seen.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
            .into_iter()
            .fold(text.to_owned(), |text, value| text.replace(value, "[MASKED]"))
    }
}

#[cfg(test)]
mod tests;
