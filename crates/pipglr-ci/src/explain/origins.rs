//! How each keyword came to a job.

use super::places::Place;
use crate::diagnostics::Problems;
use crate::keywords::json::to_json;
use crate::lower::{INHERITABLE, has_key};
use crate::yaml::{Entry, Node};
use crate::{Evaluated, Span, Watched};
use serde::Serialize;

/// A keyword of a job with where its value is from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeywordOrigin {
    /// `script`, `variables:NAME`, …
    pub keyword: String,
    /// As written, before defaults, rules and expansion.
    pub value: serde_json::Value,
    pub via: Via,
    pub place: Place,
    /// The place is in a file that was included.
    pub included: bool,
}

/// How a value came to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// It is written in the job.
    Own,
    /// By `extends`, an anchor or a reference, from what stands under this key.
    Extends(String),
    /// From `default`.
    Default,
    /// From the top level.
    Global,
    /// From the rule of `workflow` that matched, counted from 1.
    WorkflowRule(usize),
    /// From the rule of the job that matched, counted from 1.
    Rule(usize),
}

/// What a rule that matches replaces.
const RULED: [&str; 6] = [
    "when",
    "start_in",
    "allow_failure",
    "needs",
    "interruptible",
    "variables",
];

pub(super) fn keywords(problems: &Problems, evaluated: &Evaluated, watched: &Watched) -> Vec<KeywordOrigin> {
    let Some(job) = evaluated.root.iter().find(|entry| entry.key_span == watched.name_span) else {
        return Vec::new();
    };
    let rule = matched_rule(evaluated, job);
    let mut origins = Vec::new();
    for entry in job.value.as_mapping().unwrap_or_default() {
        if entry.key == "extends" {
            continue;
        }
        if entry.key == "variables" {
            for variable in entry.value.as_mapping().unwrap_or_default() {
                let keyword = format!("variables:{}", variable.key);
                origins.push(origin(problems, keyword, variable, written(problems, job, variable)));
            }
        } else {
            origins.push(origin(
                problems,
                entry.key.clone(),
                entry,
                written(problems, job, entry),
            ));
        }
    }
    if let Some((number, rule)) = rule {
        lay_rule_over(problems, &mut origins, number, rule);
    }
    inherited(problems, evaluated, job, &mut origins);
    origins
}

fn origin(problems: &Problems, keyword: String, entry: &Entry, via: Via) -> KeywordOrigin {
    KeywordOrigin {
        keyword,
        value: to_json(&entry.value),
        via,
        place: Place::of(problems, entry.key_span),
        included: entry.key_span.file != Span::default().file,
    }
}

/// Own, or by way of what it stands under.
fn written(problems: &Problems, job: &Entry, entry: &Entry) -> Via {
    match Place::of(problems, entry.key_span).under {
        Some(key) if key != job.key => Via::Extends(key),
        _ => Via::Own,
    }
}

/// The rule that let the job in, as it is in the file.
fn matched_rule<'e>(evaluated: &Evaluated, job: &'e Entry) -> Option<(usize, &'e Node)> {
    let place = evaluated.account.job.as_ref()?.matched?;
    rule_at(job, place, &evaluated.watched.as_ref()?.rules)
}

/// The rule of the workflow that made the pipeline.
fn matched_workflow_rule(evaluated: &Evaluated) -> Option<(usize, &Node)> {
    let workflow = evaluated.root.iter().find(|entry| entry.key == "workflow")?;
    rule_at(workflow, evaluated.account.workflow.matched?, &evaluated.workflow_rules)
}

fn rule_at<'e>(holder: &'e Entry, place: usize, spans: &[Span]) -> Option<(usize, &'e Node)> {
    let rules = holder.value.as_mapping()?.iter().find(|entry| entry.key == "rules")?;
    find(&rules.value, *spans.get(place)?).map(|node| (place + 1, node))
}

fn find(node: &Node, span: Span) -> Option<&Node> {
    if node.as_mapping().is_some() && node.span == span {
        return Some(node);
    }
    node.as_sequence()?.iter().find_map(|item| find(item, span))
}

fn lay_rule_over(problems: &Problems, origins: &mut Vec<KeywordOrigin>, number: usize, rule: &Node) {
    let entries = rule.as_mapping().unwrap_or_default();
    for entry in entries
        .iter()
        .filter(|entry| RULED.contains(&entry.key.as_str()) && !entry.value.is_null())
    {
        let ruled: Vec<(String, &Entry)> = if entry.key == "variables" {
            let variables = entry.value.as_mapping().unwrap_or_default();
            variables
                .iter()
                .map(|variable| (format!("variables:{}", variable.key), variable))
                .collect()
        } else {
            vec![(entry.key.clone(), entry)]
        };
        for (keyword, entry) in ruled {
            let new = origin(problems, keyword, entry, Via::Rule(number));
            match origins.iter_mut().find(|known| known.keyword == new.keyword) {
                Some(known) => *known = new,
                None => origins.push(new),
            }
        }
    }
}

/// What the job takes from `default:`, from the deprecated keywords of the top level, and of its variables.
fn inherited(problems: &Problems, evaluated: &Evaluated, job: &Entry, origins: &mut Vec<KeywordOrigin>) {
    let top = |key: &str| evaluated.root.iter().find(|entry| entry.key == key);
    let default = top("default").filter(|entry| !has_key(entry, "script"));
    let watched = evaluated.watched.as_ref();
    let takes = |key: &str| watched.is_none_or(|watched| watched.inherit_default.takes(key));
    for keyword in INHERITABLE
        .iter()
        .filter(|keyword| !has_key(job, keyword) && takes(keyword))
    {
        let in_default = default
            .and_then(|entry| entry.value.as_mapping())
            .and_then(|entries| entries.iter().find(|entry| entry.key == *keyword));
        let found = in_default.map(|entry| (entry, Via::Default));
        if let Some((entry, via)) = found.or_else(|| top(keyword).map(|entry| (entry, Via::Global))) {
            origins.push(origin(problems, (*keyword).to_owned(), entry, via));
        }
    }
    let of_workflow = matched_workflow_rule(evaluated);
    let of_rule = of_workflow
        .and_then(|(number, rule)| Some((number, rule.entry("variables")?.value.as_mapping()?)))
        .into_iter()
        .flat_map(|(number, variables)| {
            variables
                .iter()
                .map(move |variable| (variable, Via::WorkflowRule(number)))
        });
    let of_root = top("variables").and_then(|entry| entry.value.as_mapping());
    let of_root = of_root
        .unwrap_or_default()
        .iter()
        .map(|variable| (variable, Via::Global));
    for (variable, via) in of_rule.chain(of_root) {
        let keyword = format!("variables:{}", variable.key);
        let taken = watched.is_none_or(|watched| watched.inherit_variables.takes(&variable.key));
        if taken && !origins.iter().any(|known| known.keyword == keyword) {
            origins.push(origin(problems, keyword, variable, via));
        }
    }
}
