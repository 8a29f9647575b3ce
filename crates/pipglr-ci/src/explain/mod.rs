//! Why a job is as it is: where each value was written, how it came to the job, and which rule decided what.
//!
//! A job's variables are accounted for in `variables`, its keywords in `origins`.

mod origins;
mod places;
mod variables;

pub use origins::{KeywordOrigin, Via};
pub use places::Place;
pub use variables::{VariableOrigin, VariableSource};

use crate::diagnostics::{Diagnostic, Problems, Severity};
use crate::rules::{Trace, Tried};
use crate::seed::Decided;
use crate::variables::{Layer, Variables};
use crate::{Evaluated, NoPipeline, Request, evaluate_into};
use serde::Serialize;

/// What there is to say about one job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub job: String,
    pub presence: Presence,
    /// The rules of `workflow` that were tried, in order; the last one decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workflow: Vec<RuleAccount>,
    /// The rules of the job that were tried, in order; the last one decided. Of `only` and `except` one each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleAccount>,
    /// The keywords of the job in the order of the file, then those it inherits.
    pub keywords: Vec<KeywordOrigin>,
}

/// Whether the job is in the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum Presence {
    Present,
    /// A sentence about why not.
    Absent(String),
    /// The file has no such job; the names it has.
    Unknown(Vec<String>),
    /// The file has errors, in their order.
    Invalid(Vec<String>),
}

/// A rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleAccount {
    /// From 1.
    pub number: usize,
    pub place: Option<Place>,
    pub matched: bool,
    /// Up to the first that is false. A rule without clauses matches.
    pub clauses: Vec<ClauseAccount>,
}

/// A clause with its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClauseAccount {
    /// `if`, `changes`, `exists`, `only:refs`, …
    pub keyword: String,
    /// As written; patterns of paths with their variables expanded.
    pub text: String,
    pub result: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<SeenVariable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A variable that a clause looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenVariable {
    pub name: String,
    /// `None`: it is not set. What nobody may see is `[MASKED]`.
    pub value: Option<String>,
}

/// Explains a job by its name; the name of a job with `parallel` means its first instance.
pub fn explain(request: &Request<'_>, job: &str) -> Explanation {
    let mut problems = Problems::default();
    let evaluated = evaluate_into(request, &mut problems, Some(job));
    let mut explanation = Explanation {
        job: job.to_owned(),
        presence: Presence::Present,
        workflow: Vec::new(),
        rules: Vec::new(),
        keywords: Vec::new(),
    };
    let Some(evaluated) = evaluated else {
        explanation.presence = Presence::Invalid(errors(problems.finish()));
        return explanation;
    };
    let Evaluated { watched, account, .. } = &evaluated;
    let all: Layer = account.variables.iter().cloned().collect();
    let secret = Variables::new(vec![&all]);
    explanation.workflow = accounts(&problems, &account.workflow, &evaluated.workflow_rules, &secret);
    let Some(watched) = watched else {
        explanation.presence = Presence::Unknown(evaluated.names.clone());
        return explanation;
    };
    explanation.job.clone_from(&watched.name);
    if let Some(decided) = &account.job {
        explanation.rules = accounts(&problems, decided, &watched.rules, &secret);
    }
    explanation.presence = presence(&evaluated, account.job.as_ref());
    explanation.keywords = origins::keywords(&problems, &evaluated, watched);
    // That a job is left out may be what is wrong, when another one needs it.
    if explanation.presence == Presence::Present && problems.has_errors() {
        explanation.presence = Presence::Invalid(errors(problems.finish()));
    }
    explanation
}

/// Every variable of a job that the file or the context sets, weakest first; `None` when there is no such job.
pub fn variables(request: &Request<'_>, job: &str) -> Option<Vec<VariableOrigin>> {
    let mut problems = Problems::default();
    let evaluated = evaluate_into(request, &mut problems, Some(job)).filter(|_| !problems.has_errors())?;
    let watched = evaluated.watched.as_ref()?;
    Some(variables::origins(&problems, &evaluated, watched))
}

fn errors(diagnostics: Vec<Diagnostic>) -> Vec<String> {
    diagnostics
        .into_iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.to_string())
        .collect()
}

fn presence(evaluated: &Evaluated, job: Option<&Decided>) -> Presence {
    let absent = |why: &str| Presence::Absent(why.to_owned());
    match (evaluated.made.as_ref().err(), job) {
        (Some(NoPipeline::FilteredByWorkflow), _) | (_, None) => absent(&NoPipeline::FilteredByWorkflow.to_string()),
        (_, Some(decided)) if !decided.included => match decided.matched {
            Some(place) => Presence::Absent(format!("Rule {} says `when: never`.", place + 1)),
            None if decided.by_policy => absent("`only` or `except` does not let it in."),
            None => absent("No rule matches."),
        },
        (Some(NoPipeline::NoJobs), _) => absent(&NoPipeline::NoJobs.to_string()),
        (None, Some(_)) => Presence::Present,
    }
}

fn accounts(problems: &Problems, decided: &Decided, spans: &[crate::Span], secret: &Variables<'_>) -> Vec<RuleAccount> {
    let trace: &Trace = &decided.trace;
    let clause = |tried: &Tried| ClauseAccount {
        keyword: tried.keyword.to_owned(),
        text: secret.mask(&tried.text),
        result: tried.result,
        saw: tried
            .seen
            .iter()
            .map(|(name, value)| SeenVariable {
                name: name.clone(),
                value: value.as_ref().map(|value| shown(secret, name, value)),
            })
            .collect(),
        reason: tried.reason.clone(),
    };
    trace
        .iter()
        .enumerate()
        .map(|(place, clauses)| RuleAccount {
            number: place + 1,
            place: spans.get(place).map(|span| Place::of(problems, *span)),
            matched: clauses.iter().all(|clause| clause.result),
            clauses: clauses.iter().map(clause).collect(),
        })
        .collect()
}

fn shown(secret: &Variables<'_>, name: &str, value: &str) -> String {
    match secret.given(name) {
        Some(given) if given.masked => "[MASKED]".to_owned(),
        _ => secret.mask(value),
    }
}
