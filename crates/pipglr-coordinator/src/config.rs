//! The one place where the configuration is evaluated.

use crate::pipeline::{Recipe, Source};
use crate::variables::rule_context;
use crate::world::{Outlook, Repository};
use crate::{Coordinator, Error};
use pipglr_ci::model::Pipeline;
use pipglr_ci::{Diagnostic, NoPipeline, Request, SourceFile, Span, render};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the configuration evaluates to in this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// `None` when there is an error among the diagnostics, or when `no_pipeline` says why there is none this time.
    pub pipeline: Option<Pipeline>,
    /// Nothing is wrong, but rules left no pipeline to make.
    pub no_pipeline: Option<NoPipeline>,
    pub diagnostics: Vec<Diagnostic>,
    /// All files that were read, the configuration first; places of diagnostics count from here.
    pub sources: Vec<SourceFile>,
    /// For each of the sources the entry that included it first; `None` for the configuration itself.
    pub includes: Vec<Option<Span>>,
    /// The diagnostics as people read them, with excerpts; empty without any.
    pub rendered: String,
}

impl Evaluated {
    /// The pipeline to start; mistakes are an error now.
    pub(crate) fn into_recipe(self, path: &str) -> Result<Recipe, Error> {
        match self.pipeline {
            Some(pipeline) => {
                if !self.rendered.is_empty() {
                    tracing::warn!(diagnostics = self.rendered, "{path} has warnings");
                }
                Ok(Recipe {
                    pipeline,
                    warnings: self.rendered,
                    ..Recipe::default()
                })
            }
            None => Err(match self.no_pipeline {
                Some(reason) => Error::NoPipeline(reason),
                None => Error::InvalidConfig {
                    path: path.to_owned(),
                    rendered: self.rendered,
                },
            }),
        }
    }
}

/// A file to evaluate with what is given to it.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) file: SourceFile,
    pub(crate) inputs: Map<String, Value>,
    /// Files that are where the repository has none.
    pub(crate) overlay: BTreeMap<String, String>,
}

/// Evaluates a file for a pipeline of `source`.
pub(crate) async fn evaluate(coordinator: &Coordinator, source: &Source, subject: Subject) -> Result<Evaluated, Error> {
    let evaluate = |request: &Request<'_>| {
        let evaluation = pipglr_ci::evaluate(request);
        let rendered = if evaluation.diagnostics.is_empty() {
            String::new()
        } else {
            render(&evaluation.diagnostics, &evaluation.sources)
        };
        Evaluated {
            pipeline: evaluation.pipeline,
            no_pipeline: evaluation.no_pipeline,
            diagnostics: evaluation.diagnostics,
            includes: evaluation.includes,
            sources: evaluation.sources.iter().map(|file| SourceFile::clone(file)).collect(),
            rendered,
        }
    };
    ask(coordinator, source, subject, evaluate).await
}

/// Asks the evaluator a question. The world outside is asked on a thread that may block, hence the question, too.
pub(crate) async fn ask<T: Send + 'static>(
    coordinator: &Coordinator,
    source: &Source,
    subject: Subject,
    question: impl FnOnce(&Request<'_>) -> T + Send + 'static,
) -> Result<T, Error> {
    let context = rule_context(coordinator, source, coordinator.next_pipeline());
    let outlook = Outlook {
        mirror: coordinator.mirror().path().to_owned(),
        project: coordinator.project().clone(),
        checkout: source.checkout.clone(),
        changes_since: source.changes_since.clone(),
        overlay: subject.overlay,
        sources: coordinator.options().sources.clone(),
        cache: coordinator.store().cache_root(),
        runtime: tokio::runtime::Handle::current(),
    };
    let asking = tokio::task::spawn_blocking(move || {
        let world = Repository::new(outlook);
        question(&Request {
            file: &subject.file,
            inputs: &subject.inputs,
            context: &context,
            world: &world,
        })
    });
    asking.await.map_err(|error| Error::Evaluation(error.to_string()))
}
