//! `.gitlab-ci.yml` to a pipeline and diagnostics. Pure: no I/O.
//!
//! [`evaluate`] turns the file and all it includes into one mapping (`load`), of texts parsed as GitLab's parser does
//! (`yaml`). Templates are laid under the jobs (`extends`) and references replaced (`reference`). Then it reads each
//! keyword (`keywords`), lays defaults under the jobs (`lower`) and checks the job graph (`checks`). Nothing stops at
//! the first problem, and a keyword that is not supported yet is an error, never passed over.
//!
//! Not here: variables of the project and of the run, `rules`; expansion of variables; running anything.

mod checks;
mod diagnostics;
mod extends;
#[expect(dead_code, reason = "the seeding of jobs uses it next")]
mod keywords;
mod load;
mod lower;
pub mod model;
mod reference;
#[cfg_attr(not(test), expect(dead_code, reason = "the seeding of jobs uses it next"))]
mod rules;
mod values;
#[expect(dead_code, reason = "the seeding of jobs uses it next")]
mod variables;
mod world;
mod yaml;

pub use diagnostics::{Diagnostic, FileId, Severity, Span, render};
pub use values::read_values;
pub use variables::expansion;
pub use world::{Component, Context, ContextVariables, FetchError, Fetched, Nothing, Origin, RefKind, Setting, World};

use diagnostics::Problems;
use model::Pipeline;
use std::rc::Rc;

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
    /// `None` exactly when there is an error among the diagnostics.
    pub pipeline: Option<Pipeline>,
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
    let pipeline = evaluate_into(request, &mut problems);
    let pipeline = pipeline.filter(|_| !problems.has_errors());
    Evaluation {
        pipeline,
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

fn evaluate_into(request: &Request<'_>, problems: &mut Problems) -> Option<Pipeline> {
    let root = load::load(problems, request)?;
    let lowered = lower::lower(problems, &root);
    checks::check(problems, &lowered);
    Some(lowered.into_pipeline())
}
