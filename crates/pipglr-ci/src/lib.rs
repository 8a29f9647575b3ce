//! `.gitlab-ci.yml` to a pipeline and diagnostics. Pure: no I/O.
//!
//! [`evaluate`] turns the file and all it includes into one mapping (`load`), of texts parsed as GitLab's parser does
//! (`yaml`). Templates are laid under the jobs (`extends`) and references replaced (`reference`). Then it reads each
//! keyword (`keywords`), lays defaults under the jobs (`lower`), checks the job graph (`checks`) and decides by rules
//! which jobs are in the pipeline (`seed`). Nothing stops at the first problem, and a keyword that cannot be had
//! here is an error or a warning, never passed over.
//!
//! [`explain`] tells why a job is as it is.
//!
//! Not here: running anything.

mod checks;
pub mod coverage;
mod diagnostics;
pub mod explain;
mod extends;
mod keywords;
mod load;
mod lower;
pub mod model;
mod outcome;
mod reference;
mod rules;
mod seed;
mod values;
mod variables;
mod world;
mod yaml;

pub use diagnostics::{Diagnostic, FileId, Severity, Span, render, render_coloured};
pub use outcome::NoPipeline;
pub use seed::facts::slugify;
pub use values::read_values;
pub use variables::expansion;
pub use variables::outside::covers;
pub use world::{Component, Context, ContextVariables, FetchError, Fetched, Nothing, Origin, RefKind, Setting, World};

use diagnostics::Problems;
use keywords::inherit::Selection;
use model::Pipeline;
use seed::Account;
use std::rc::Rc;
use variables::outside::Outside;
use yaml::Entry;

/// A configuration file: what to call it and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Only for messages; never opened.
    pub path: String,
    pub text: String,
}

/// What is evaluated, and in which world.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    pub file: &'r SourceFile,
    /// Values for the file's `spec:inputs`, as JSON.
    pub inputs: &'r serde_json::Map<String, serde_json::Value>,
    pub context: &'r Context,
    pub world: &'r dyn World,
}

/// What a file evaluates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// `None` when there is an error among the diagnostics, or when `no_pipeline` says why there is none this time.
    pub pipeline: Option<Pipeline>,
    /// Nothing is wrong, but rules left no pipeline to make.
    pub no_pipeline: Option<NoPipeline>,
    /// In the order of files and places; those about the file as a whole come last.
    pub diagnostics: Vec<Diagnostic>,
    /// All files that were read, the evaluated one first.
    pub sources: Vec<Rc<SourceFile>>,
    /// For each of the sources the entry that included it first; `None` for the evaluated file.
    pub includes: Vec<Option<Span>>,
}

/// Evaluates a `.gitlab-ci.yml` with all it includes. Never panics, whatever the text.
pub fn evaluate(request: &Request<'_>) -> Evaluation {
    let mut problems = Problems::default();
    let evaluated = evaluate_into(request, &mut problems, None).filter(|_| !problems.has_errors());
    let (pipeline, no_pipeline) = match evaluated.map(|evaluated| evaluated.made) {
        Some(Ok(pipeline)) => (Some(pipeline), None),
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, None),
    };
    Evaluation {
        pipeline,
        no_pipeline,
        sources: problems.sources(),
        includes: problems.includes(),
        diagnostics: problems.finish(),
    }
}

/// Evaluates a file that includes nothing, for a push to a branch.
pub fn evaluate_alone(file: &SourceFile) -> Evaluation {
    evaluate(&Request {
        file,
        inputs: &serde_json::Map::new(),
        context: &Context::default(),
        world: &Nothing,
    })
}

/// An evaluation with what there is to tell of it.
struct Evaluated {
    root: Vec<Entry>,
    made: Result<Pipeline, NoPipeline>,
    account: Account,
    /// Where the rules of `workflow` are.
    workflow_rules: Vec<Span>,
    /// The job that was asked for, if there is one of that name.
    watched: Option<Watched>,
    /// Of all jobs, also of those that rules leave out; only where a job was asked for.
    names: Vec<String>,
}

/// What is told of one job.
struct Watched {
    name: String,
    name_span: Span,
    rules: Vec<Span>,
    inherit_default: Selection,
    inherit_variables: Selection,
}

/// `None` when what is wrong with the file keeps it from being evaluated.
fn evaluate_into(request: &Request<'_>, problems: &mut Problems, job: Option<&str>) -> Option<Evaluated> {
    let root = load::load(problems, request)?;
    let lowered = lower::lower(problems, &root);
    checks::check(problems, &lowered);
    // Compat: what is wrong with the file hides what is wrong with the pipeline.
    if problems.has_errors() {
        return None;
    }
    let watched = job.and_then(|job| lowered.watch(job));
    let names = job.map_or_else(Vec::new, |_| lowered.names());
    let rules = lowered.workflow.rules.iter().flatten();
    let workflow_rules = rules.map(|rule| rule.span).collect();
    let outside = Outside::new(request.context);
    let name = watched.as_ref().map(|watched| watched.name.as_str());
    let (made, account) = seed::seed(problems, (request.context, request.world), &outside, lowered, name);
    Some(Evaluated {
        root,
        made,
        account,
        workflow_rules,
        watched,
        names,
    })
}
