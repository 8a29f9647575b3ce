//! What is shown when the pipeline has ended: how failed jobs ended, then a table, failures first.

use super::board::{Board, Row, time};
use super::logs::Logs;
use super::show::Style;
use crate::error::CliError;
use crate::job_log::shown;
use crate::output;
use pipglr_coordinator::{JobRecord, JobState, PipelineRecord};
use std::path::Path;
use std::time::Duration;

/// Prints it.
pub(super) fn print(
    pipeline: &PipelineRecord,
    board: &Board,
    logs: &Logs,
    style: Style,
    timings: bool,
    with_tails: bool,
) -> Result<(), CliError> {
    let mut rows: Vec<&Row> = board.rows.iter().collect();
    rows.sort_by_key(|row| rank(row));
    if with_tails {
        for row in rows.iter().filter(|row| row.state == JobState::Failed) {
            print_tail(row, logs, style)?;
        }
    }
    let lines: Vec<Line> = rows.iter().map(|row| Line::of(row, pipeline, logs, timings)).collect();
    output::line("")?;
    for (line, row) in laid_out(&lines, timings)
        .iter()
        .zip(std::iter::once(None).chain(rows.iter().map(Some)))
    {
        output::line(row.map_or_else(|| style.paint("1", line), |row| style.paint(colour(row), line)))?;
    }
    let warnings = if pipeline.has_warnings {
        " (with allowed failures)"
    } else {
        ""
    };
    let state = match pipeline.state {
        JobState::Manual => blocked(&board.rows),
        state => state.to_string(),
    };
    output::line(format_args!("\npipeline: {state}{warnings}"))
}

/// That the pipeline waits for somebody, and how to go on.
fn blocked(rows: &[Row]) -> String {
    let blocks = |row: &&Row| row.state == JobState::Manual && !row.allow_failure;
    let mut text = "blocked: a manual job has to be played:".to_owned();
    for row in rows.iter().filter(blocks) {
        let is_plain = row
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
        let name = row.name.replace('\'', "'\\''");
        text += &if is_plain {
            format!(" --manual {name}")
        } else {
            format!(" --manual '{name}'")
        };
    }
    text
}

/// Failures first, then what is unfinished or was canceled, then the rest.
fn rank(row: &Row) -> u8 {
    match row.state {
        JobState::Failed if !row.allow_failure => 0,
        JobState::Failed => 1,
        JobState::Success => 3,
        JobState::Skipped => 4,
        _ => 2,
    }
}

fn colour(row: &Row) -> &'static str {
    match row.state {
        JobState::Failed if !row.allow_failure => "31",
        JobState::Failed | JobState::Canceled => "33",
        JobState::Success => "32",
        _ => "2",
    }
}

fn print_tail(row: &Row, logs: &Logs, style: Style) -> Result<(), CliError> {
    output::line(style.paint(
        "1",
        &format!("\n--- {}: {} ---", row.name, [row.outcome(), row.why()].join(", ")),
    ))?;
    for line in logs.tail(row.id) {
        output::line(shown(line, style.colours))?;
    }
    Ok(())
}

/// One line of the table.
struct Line {
    cells: [String; 4],
    waited: String,
    why: String,
    log: String,
}

impl Line {
    fn of(row: &Row, pipeline: &PipelineRecord, logs: &Logs, timings: bool) -> Self {
        let job = pipeline.jobs.iter().find(|job| job.id == row.id);
        let ran = job.and_then(ran).or_else(|| row.elapsed(row.ended?)).map(time);
        let waited = job.filter(|_| timings).and_then(waited).map(time);
        let log = logs.path(row.id).filter(|_| row.state == JobState::Failed);
        let dash = || "-".to_owned();
        Self {
            cells: [
                row.name.clone(),
                row.stage.clone(),
                row.outcome(),
                ran.unwrap_or_else(dash),
            ],
            waited: waited.unwrap_or_else(dash),
            why: if row.state == JobState::Failed {
                row.why()
            } else {
                let coverage = logs.coverage(row.id);
                coverage.map_or_else(String::new, |percent| format!("coverage {percent}%"))
            },
            log: log.map(Path::display).map(|path| path.to_string()).unwrap_or_default(),
        }
    }
}

fn ran(job: &JobRecord) -> Option<Duration> {
    Duration::try_from(job.times.finished_at?.duration_since(job.times.started_at?)).ok()
}

/// From its creation to its begin.
fn waited(job: &JobRecord) -> Option<Duration> {
    Duration::try_from(job.times.started_at?.duration_since(job.times.created_at)).ok()
}

/// The table with its heading.
fn laid_out(lines: &[Line], timings: bool) -> Vec<String> {
    let heading = Line {
        cells: ["job", "stage", "state", "time"].map(str::to_owned),
        waited: "waited".to_owned(),
        why: String::new(),
        log: String::new(),
    };
    let all: Vec<&Line> = std::iter::once(&heading).chain(lines).collect();
    let width = |cell: usize| {
        all.iter()
            .map(|line| line.cells[cell].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    all.iter()
        .map(|line| {
            let [name, stage, state, ran] = &line.cells;
            let [a, b, c] = widths;
            let waited = if timings {
                format!(" {:>8}", line.waited)
            } else {
                String::new()
            };
            let text = format!(
                "{name:<a$}  {stage:<b$}  {state:<c$}{waited} {ran:>8}  {}  {}",
                line.why, line.log
            );
            text.trim_end().to_owned()
        })
        .collect()
}
