//! Where a job's variables are from, and which of them count.

use super::places::Place;
use crate::diagnostics::Problems;
use crate::variables::{Given, Source};
use crate::yaml::Entry;
use crate::{Evaluated, Watched};
use serde::Serialize;
use std::collections::HashSet;

/// A variable with where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariableOrigin {
    pub key: String,
    /// As given, before expansion; `None` when nobody may see it.
    pub value: Option<String>,
    /// References in the value are not expanded.
    pub raw: bool,
    /// The job gets the path of a file with the value.
    pub file: bool,
    pub source: VariableSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A stronger one of the same name counts.
    pub overridden: bool,
}

/// What sets a variable, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableSource {
    Predefined,
    /// `variables` of the top level.
    Root,
    /// The rule of `workflow` that matched, from 1.
    WorkflowRule(usize),
    Job,
    Matrix,
    /// The rule of the job that matched, from 1.
    Rule(usize),
    /// Of the instance, a group or the project.
    Setting,
    /// Of the command line, the trigger, the schedule or the parent pipeline.
    Pipeline,
}

pub(super) fn origins(problems: &Problems, evaluated: &Evaluated, watched: &Watched) -> Vec<VariableOrigin> {
    let mut stronger = HashSet::new();
    let mut origins: Vec<VariableOrigin> = evaluated
        .account
        .variables
        .iter()
        .rev()
        .map(|given| VariableOrigin {
            key: given.key.clone(),
            value: (!given.masked).then(|| given.value.clone()),
            raw: given.raw,
            file: given.file,
            source: source(given),
            place: place(problems, evaluated, watched, given),
            overridden: !stronger.insert(given.key.as_str()),
        })
        .collect();
    origins.reverse();
    origins
}

fn source(given: &Given) -> VariableSource {
    match given.source {
        Source::Predefined => VariableSource::Predefined,
        Source::Root => VariableSource::Root,
        Source::WorkflowRule(number) => VariableSource::WorkflowRule(number),
        Source::Job => VariableSource::Job,
        Source::Matrix => VariableSource::Matrix,
        Source::JobRule(number) => VariableSource::Rule(number),
        Source::Setting => VariableSource::Setting,
        Source::Pipeline => VariableSource::Pipeline,
    }
}

fn place(problems: &Problems, evaluated: &Evaluated, watched: &Watched, given: &Given) -> Option<Place> {
    let job = || evaluated.root.iter().find(|entry| entry.key_span == watched.name_span);
    let span = match given.source {
        Source::Predefined | Source::Setting | Source::Pipeline => return None,
        Source::Root => {
            let root = evaluated.root.iter().find(|entry| entry.key == "variables")?;
            below(root, &given.key)?.key_span
        }
        Source::Job => below(below(job()?, "variables")?, &given.key)?.key_span,
        Source::Matrix => below(job()?, "parallel")?.key_span,
        Source::WorkflowRule(number) => *evaluated.workflow_rules.get(number - 1)?,
        Source::JobRule(number) => *watched.rules.get(number - 1)?,
    };
    Some(Place::of(problems, span))
}

fn below<'e>(entry: &'e Entry, key: &str) -> Option<&'e Entry> {
    entry.value.as_mapping()?.iter().find(|inner| inner.key == key)
}
