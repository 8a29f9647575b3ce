//! `pipglr ci …`: what a configuration makes, without running it. Needs no podman.

mod columns;
mod explain;
mod graph;
mod lint;
mod list;
mod subject;
mod values;
mod variables;

use super::{Outcome, local, multi_threaded};
use crate::cli::CiCommand;
use crate::error::{CliError, Kind};
use crate::observability::{self, LogOptions};
use anyhow::anyhow;
use pipglr_coordinator::ci::model::Pipeline;
use pipglr_coordinator::ci::{NoPipeline, Request, evaluate, render};
use subject::Subject;

pub(super) fn run(command: CiCommand) -> Outcome {
    observability::init(&LogOptions {
        level: Some("error".to_owned()),
        ..LogOptions::default()
    });
    multi_threaded()?.block_on(async {
        match command {
            CiCommand::Lint(args) => lint::run(&args).await,
            CiCommand::List(args) => list::run(&args).await,
            CiCommand::Graph(args) => graph::run(&args).await,
            CiCommand::Explain(args) => explain::run(&args).await,
            CiCommand::Variables(args) => variables::run(&args).await,
            CiCommand::Jobs(args) => list::names(&args).await,
        }
    })
}

/// The pipeline, if the configuration makes one.
async fn pipeline(subject: Subject) -> Result<Pipeline, CliError> {
    let path = subject.path();
    let made = subject.ask(made).await?;
    match made {
        Made::Pipeline(pipeline) => Ok(*pipeline),
        Made::Nothing(reason) => Err(no_pipeline(reason)),
        Made::Mistakes(rendered) => Err(mistakes(&path, &rendered)),
    }
}

/// What a configuration makes, without what only diagnostics need.
enum Made {
    Pipeline(Box<Pipeline>),
    Nothing(NoPipeline),
    Mistakes(String),
}

fn made(request: &Request<'_>) -> Made {
    let evaluation = evaluate(request);
    match (evaluation.pipeline, evaluation.no_pipeline) {
        (Some(pipeline), _) => Made::Pipeline(Box::new(pipeline)),
        (None, Some(reason)) => Made::Nothing(reason),
        (None, None) => Made::Mistakes(render(&evaluation.diagnostics, &evaluation.sources)),
    }
}

fn mistakes(path: &str, rendered: &str) -> CliError {
    CliError {
        kind: Kind::Code(local::CONFIGURATION),
        source: anyhow!("{path} has mistakes\n{}", rendered.trim_end()),
        hints: Vec::new(),
    }
}

fn no_pipeline(reason: NoPipeline) -> CliError {
    CliError {
        kind: Kind::Code(local::NOTHING_TO_RUN),
        source: anyhow!("no pipeline would be created: {reason}"),
        hints: vec![WHY_NO_PIPELINE.to_owned()],
    }
}

const WHY_NO_PIPELINE: &str =
    "pipglr ci explain JOB tells which rule decided; --branch, --tag, --mr, --schedule and -e choose another pipeline";
