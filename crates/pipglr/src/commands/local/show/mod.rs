//! What a person or a program sees while the pipeline runs.

mod json;
mod plain;
mod screen;
mod tree;

pub(super) use json::ends;

use super::board::{Board, Row};
use crate::cli::LocalArgs;
use crate::error::CliError;
pub(super) use crate::output::Style;
use pipglr_coordinator::PipelineRecord;
use screen::Screen;
use std::io::IsTerminal as _;
use std::time::Duration;

/// One of the ways to show a pipeline.
#[derive(Debug)]
pub(super) enum Show {
    /// A tree that is redrawn in place.
    Tree(Screen),
    /// Lines with the name of their job before them.
    Plain(Style),
    /// An event a line.
    Json,
}

impl Show {
    /// The way that fits arguments and standard output.
    pub(super) fn of(args: &LocalArgs) -> Self {
        if args.json {
            return Self::Json;
        }
        let style = Style::of_stdout();
        let can_move = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        if std::io::stdout().is_terminal() && can_move {
            Self::Tree(Screen::new(style))
        } else {
            Self::Plain(style)
        }
    }

    /// There is a pipeline.
    pub(super) fn begins(&mut self, pipeline: &PipelineRecord, board: &Board) -> Result<(), CliError> {
        match self {
            Self::Tree(_) | Self::Plain(_) => Ok(()),
            Self::Json => json::begins(pipeline, board),
        }
    }

    /// A job has another state.
    pub(super) fn state(&mut self, board: &Board, row: &Row, now: Duration) -> Result<(), CliError> {
        match self {
            Self::Tree(_) => Ok(()),
            Self::Plain(style) => plain::state(board, row, now, *style),
            Self::Json => json::state(row, now),
        }
    }

    /// A job's log has another line.
    pub(super) fn line(&mut self, board: &Board, row: &Row, line: &str) -> Result<(), CliError> {
        match self {
            Self::Tree(_) => Ok(()),
            Self::Plain(style) => plain::line(board, row, line, *style),
            Self::Json => json::line(row, line),
        }
    }

    /// Something may have changed, time has passed at least.
    pub(super) fn draw(&mut self, board: &Board, now: Duration) -> Result<(), CliError> {
        match self {
            Self::Tree(screen) => screen.draw(board, now),
            Self::Plain(_) | Self::Json => Ok(()),
        }
    }

    /// Leaves the terminal to somebody else, or to what is written for good.
    pub(super) fn clear(&mut self) -> Result<(), CliError> {
        match self {
            Self::Tree(screen) => screen.clear(),
            Self::Plain(_) | Self::Json => Ok(()),
        }
    }

    /// A word to the person who watches.
    pub(super) fn say(&mut self, text: &str) -> Result<(), CliError> {
        self.clear()?;
        crate::output::aside(text);
        Ok(())
    }
}
