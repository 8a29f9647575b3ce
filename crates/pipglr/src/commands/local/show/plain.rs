//! Lines with the name of their job before them, for pipes and files.

use super::super::board::{Board, Row, time};
use super::Style;
use crate::error::CliError;
use crate::job_log::shown;
use crate::output;
use pipglr_coordinator::JobState;
use std::time::Duration;

/// The longest name that others are padded for.
const WIDEST: usize = 40;
/// Colours that are told apart on dark and light, by SGR number.
const COLOURS: [&str; 6] = ["36", "33", "35", "34", "32", "31"];

/// How wide the column of names is.
fn padding(board: &Board) -> usize {
    let widths = board.rows.iter().map(|row| row.name.chars().count());
    widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
}

pub(super) fn line(board: &Board, row: &Row, line: &str, style: Style) -> Result<(), CliError> {
    output::line(format_args!(
        "{} | {}",
        prefix(board, row, style),
        shown(line, style.colours)
    ))
}

pub(super) fn state(board: &Board, row: &Row, now: Duration, style: Style) -> Result<(), CliError> {
    if matches!(row.state, JobState::Created | JobState::Pending) {
        return Ok(());
    }
    output::line(format_args!("{} # {}", prefix(board, row, style), change(row, now)))
}

/// `running`, `success after 2.0s`, `failed after 2.0s: exit code 1`.
pub(super) fn change(row: &Row, now: Duration) -> String {
    let mut text = row.outcome();
    if let Some(elapsed) = row.elapsed(now).filter(|_| row.state.is_finished()) {
        text.push_str(&format!(" after {}", time(elapsed)));
    }
    let why = row.why();
    if row.state == JobState::Failed && !why.is_empty() {
        text.push_str(&format!(": {why}"));
    }
    text
}

fn prefix(board: &Board, row: &Row, style: Style) -> String {
    let width = padding(board);
    let place = board.rows.iter().position(|other| other.id == row.id).unwrap_or(0);
    style.paint(COLOURS[place % COLOURS.len()], &format!("{:<width$}", row.name))
}

#[cfg(test)]
mod tests {
    use super::change;
    use crate::commands::local::board::tests::row;
    use pipglr_coordinator::JobState;
    use std::time::Duration;

    #[test]
    fn changes_are_told_in_a_few_words() {
        let at = Duration::from_secs(5);
        let mut job = row(1, "a", "test", JobState::Running, Some(2), None);
        assert_eq!(change(&job, at), "running");
        (job.state, job.ended) = (JobState::Success, Some(Duration::from_secs(4)));
        assert_eq!(change(&job, at), "success after 2.0s");
        (job.state, job.exit_code, job.reason) = (JobState::Failed, Some(7), Some("script_failure".to_owned()));
        assert_eq!(change(&job, at), "failed after 2.0s: exit code 7");
        (job.allow_failure, job.exit_code, job.reason) = (true, None, Some("job_execution_timeout".to_owned()));
        assert_eq!(change(&job, at), "failed, allowed after 2.0s: job execution timeout");
    }
}
