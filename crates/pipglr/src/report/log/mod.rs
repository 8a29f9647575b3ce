//! A job's log for the page: bounded, in sections, with the colours of a terminal.
//!
//! bytes → `ends` → `lines` → `pieces` (with `ansi`) → `fit` → `html`.

mod ansi;
mod ends;
mod escape;
mod excerpt;
mod fit;
mod html;
mod lines;
mod phases;
mod pieces;

pub(crate) use ansi::{Palette, palette_colour};
pub(crate) use phases::Phases;

use ansi::Painter;
use std::io;
use std::path::Path;

/// What the page shows of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// HTML, of bounded size; empty if there is no output.
    pub(crate) html: String,
    /// HTML of the last lines that say why a job failed.
    pub(crate) excerpt: String,
    pub(crate) phases: Phases,
    pub(crate) palette: Palette,
    /// Bytes of the whole log.
    pub(crate) size: u64,
}

/// Reads the log at `path` and takes about `budget` bytes of HTML from both its ends.
pub(crate) fn read(path: &Path, budget: usize) -> io::Result<Log> {
    // HTML is hardly ever shorter than what it stands for.
    Ok(render(
        ends::read(path, budget as u64)?,
        budget,
        &path.display().to_string(),
    ))
}

fn render(ends: ends::Ends, budget: usize, path: &str) -> Log {
    let mut painter = Painter::default();
    let head = pieces::pieces(lines::split(&ends.head), &mut painter);
    let tail = ends.tail.map(|tail| pieces::pieces(lines::split(&tail), &mut painter));
    let phases = Phases::of(head.iter().chain(tail.iter().flatten()));
    let excerpt = excerpt::of(tail.as_deref().unwrap_or(&head));
    let fitted = fit::fit(head, tail, budget, ends.size);
    Log {
        html: html::html(&fitted, path),
        excerpt,
        phases,
        palette: painter.into_palette(),
        size: ends.size,
    }
}

#[cfg(test)]
mod tests;
