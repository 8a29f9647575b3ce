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
use pipglr_coordinator::PipelineRecord;
use std::path::Path;

/// Writes what became of `pipeline` of `project`: a page if `path` ends with `.html`, else JSON.
///
/// # Errors
/// A log cannot be read or the file not written.
pub(crate) fn write(project: &str, pipeline: &PipelineRecord, path: &Path) -> anyhow::Result<()> {
    let is_page = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("html"));
    let text = if is_page {
        html(project, pipeline, path)?
    } else {
        json::render(pipeline)?
    };
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn html(project: &str, pipeline: &PipelineRecord, path: &Path) -> anyhow::Result<String> {
    let run = run::Run::of(project, pipeline);
    let logs = budget::read_logs(&run)?;
    let place = std::path::absolute(path).with_context(|| format!("find {}", path.display()))?;
    page::render(&run, logs, &place)
}

#[cfg(test)]
mod tests;
