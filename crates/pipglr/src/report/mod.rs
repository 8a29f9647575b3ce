//! A pipeline's outcome as a file: a page for people, or JSON for programs.
//!
//! `run` is what happened, `log` what jobs said, `page` what is shown of both; `templates/report/` shows it.

mod budget;
mod json;
mod links;
mod log;
mod page;
mod run;
mod timeline;
mod words;

use anyhow::Context as _;
use pipglr_coordinator::{Coordinator, PipelineId, PipelineRecord};
use std::path::Path;

/// Writes what became of pipeline `id`: a page if `path` ends with `.html`, else JSON. Its logs and artifacts have to be
/// there still.
///
/// # Errors
/// A log cannot be read or the file not written.
pub(crate) fn write(coordinator: &Coordinator, id: PipelineId, path: &Path) -> anyhow::Result<()> {
    let pipelines = family(coordinator, id);
    let pipeline = pipelines
        .first()
        .with_context(|| format!("pipeline {id} is not there"))?;
    let is_page = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("html"));
    let text = if is_page {
        html(coordinator.project_path(), &pipelines, path)?
    } else {
        json::render(pipeline)?
    };
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// A pipeline, its children, and theirs.
fn family(coordinator: &Coordinator, id: PipelineId) -> Vec<PipelineRecord> {
    let mut found: Vec<PipelineRecord> = coordinator.pipeline(id).into_iter().collect();
    let mut next = 0;
    while let Some(pipeline) = found.get(next) {
        let children: Vec<PipelineRecord> = pipeline
            .children
            .iter()
            .filter_map(|id| coordinator.pipeline(*id))
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

fn html(project: &str, pipelines: &[PipelineRecord], path: &Path) -> anyhow::Result<String> {
    let run = run::Run::of(project, pipelines).context("there is no pipeline to tell of")?;
    let logs = budget::read_logs(&run)?;
    let place = std::path::absolute(path).with_context(|| format!("find {}", path.display()))?;
    page::render(&run, logs, &place)
}

#[cfg(test)]
mod tests;
