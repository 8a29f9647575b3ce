//! The one place where the configuration is evaluated.

use crate::Error;
use pipglr_ci::model::Pipeline;
use pipglr_ci::{SourceFile, evaluate_alone, render};

/// Evaluates the text of `path` into a pipeline.
pub(crate) fn evaluate_config(path: &str, text: String) -> Result<Pipeline, Error> {
    let source = SourceFile {
        path: path.to_owned(),
        text,
    };
    let evaluation = evaluate_alone(&source);
    let rendered = || render(&evaluation.diagnostics, &evaluation.sources);
    match evaluation.pipeline {
        Some(pipeline) => {
            if !evaluation.diagnostics.is_empty() {
                tracing::warn!(diagnostics = rendered(), "{path} has warnings");
            }
            Ok(pipeline)
        }
        None => Err(Error::InvalidConfig {
            path: path.to_owned(),
            rendered: rendered(),
        }),
    }
}
