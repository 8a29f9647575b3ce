//! The tree of stages and jobs as lines. Pure.

use super::super::board::{Board, Row, time};
use super::Style;
use crate::job_log::shown;
use pipglr_coordinator::JobState;
use std::time::Duration;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The widest column of names.
const NAMES: usize = 32;
/// The column of times.
const TIMES: usize = 7;

/// What stands on the terminal at this moment: at most one line less than it has, none wider than it is.
pub(super) fn frame(board: &Board, now: Duration, size: Size, style: Style) -> Vec<String> {
    let room = size.rows.saturating_sub(1).max(1);
    let stages: Vec<(&str, Vec<&Row>)> = board
        .stages
        .iter()
        .map(|stage| (stage.as_str(), rows_of(board, stage)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let mut folded = vec![false; stages.len()];
    // What is over goes first, then what has not begun, the last ones first; then whatever is left.
    let over = |rows: &[&Row]| rows.iter().all(|row| row.state.is_finished() && !row.failed());
    let waits = |rows: &[&Row]| rows.iter().all(|row| !row.state.is_finished() && row.began.is_none());
    let order = (0..stages.len())
        .filter(|at| over(&stages[*at].1))
        .chain((0..stages.len()).rev().filter(|at| waits(&stages[*at].1)))
        .collect::<Vec<_>>();
    let height = |folded: &[bool]| -> usize {
        stages
            .iter()
            .zip(folded)
            .map(|((_, rows), folded)| if *folded { 1 } else { 1 + rows.len() })
            .sum()
    };
    for at in order {
        if height(&folded) <= room {
            break;
        }
        folded[at] = true;
    }
    let names = board
        .rows
        .iter()
        .map(|row| row.name.width())
        .max()
        .unwrap_or(0)
        .min(NAMES);
    let mut lines = Vec::new();
    for ((stage, rows), folded) in stages.iter().zip(&folded) {
        lines.push(stage_line(stage, rows, *folded, size.columns, style));
        if !folded {
            lines.extend(rows.iter().map(|row| job_line(row, now, names, size.columns, style)));
        }
    }
    if lines.len() > room {
        let hidden = lines.len() + 1 - room;
        // Where jobs run is what matters: the end is cut.
        lines.truncate(room - 1);
        lines.push(style.paint("2", &cut(&format!("  … {hidden} more lines"), size.columns)));
    }
    lines
}

fn rows_of<'b>(board: &'b Board, stage: &str) -> Vec<&'b Row> {
    board.rows.iter().filter(|row| row.stage == stage).collect()
}

fn stage_line(stage: &str, rows: &[&Row], folded: bool, columns: usize, style: Style) -> String {
    if !folded {
        return style.paint("1", &cut(stage, columns));
    }
    let done = rows.iter().filter(|row| row.state.is_finished()).count();
    style.paint("1", &cut(&format!("{stage}  {done}/{}", rows.len()), columns))
}

fn job_line(row: &Row, now: Duration, names: usize, columns: usize, style: Style) -> String {
    let (symbol, sgr) = symbol(row);
    let elapsed = row.elapsed(now).map(time).unwrap_or_default();
    let name = padded(&cut(&row.name, names), names);
    let said = match row.state {
        JobState::Failed => [row.outcome(), row.why()].join(": ").trim_end_matches(": ").to_owned(),
        JobState::Running | JobState::Canceling if !row.last_line.is_empty() => shown(&row.last_line, false),
        JobState::Running | JobState::Success => String::new(),
        _ => row.outcome(),
    };
    // Two blanks, a symbol, a blank, the name, a blank, the time, two blanks.
    let before = 4 + names + 1 + TIMES + 2;
    if columns <= before {
        let text = cut(&format!("  {symbol} {name}"), columns);
        return style.paint(sgr, &text);
    }
    let said = cut(&said, columns - before);
    let line = format!(
        "  {} {name} {elapsed:>TIMES$}  {}",
        style.paint(sgr, symbol),
        style.paint(if row.state == JobState::Failed { sgr } else { "2" }, &said)
    );
    line.trim_end().to_owned()
}

fn symbol(row: &Row) -> (&'static str, &'static str) {
    match row.state {
        JobState::Success => ("✓", "32"),
        JobState::Failed if row.allow_failure => ("!", "33"),
        JobState::Failed => ("✗", "31"),
        JobState::Running => ("●", "36"),
        JobState::Canceling => ("●", "33"),
        JobState::Canceled => ("■", "33"),
        JobState::Skipped => ("»", "2"),
        JobState::Manual => ("▶", "2"),
        _ => ("·", "2"),
    }
}

/// A text that is at most so wide.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

#[cfg(test)]
mod tests {
    use super::{Size, Style, cut, frame};
    use crate::commands::local::board::Board;
    use crate::commands::local::board::tests::row;
    use pipglr_coordinator::JobState::{Created, Failed, Manual, Pending, Running, Success};
    use std::time::Duration;
    use unicode_width::UnicodeWidthStr as _;

    const PLAIN: Style = Style { colours: false };

    fn board() -> Board {
        let mut failed = row(3, "unit", "test", Failed, Some(2), Some(4));
        failed.exit_code = Some(1);
        failed.reason = Some("script_failure".to_owned());
        let mut running = row(4, "end to end", "test", Running, Some(2), None);
        running.last_line = "\x1b[32mtest 5 of 90\x1b[0m: the quick brown fox jumps over the lazy dog".to_owned();
        Board {
            stages: [".pre", "build", "test", "deploy"].map(str::to_owned).to_vec(),
            rows: vec![
                row(1, "compile", "build", Success, Some(0), Some(2)),
                row(2, "assets", "build", Success, Some(0), Some(1)),
                failed,
                running,
                row(5, "deploy", "deploy", Created, None, None),
                row(6, "docs", "deploy", Manual, None, None),
            ],
        }
    }

    fn drawn(columns: usize, rows: usize) -> String {
        frame(&board(), Duration::from_millis(7_350), Size { columns, rows }, PLAIN).join("\n")
    }

    #[test]
    fn a_pipeline_is_a_tree() {
        let expected = "\
build
  ✓ compile       2.0s
  ✓ assets        1.0s
test
  ✗ unit          2.0s  failed: exit code 1
  ● end to end    5.3s  test 5 of 90: the quick brown…
deploy
  · deploy              created
  ▶ docs                manual";
        assert_eq!(drawn(54, 25), expected);
    }

    #[test]
    fn a_low_terminal_folds_what_is_over_then_what_waits() {
        let expected = "\
build  2/2
test
  ✗ unit          2.0s  failed: exit code 1
  ● end to end    5.3s  test 5 of 90: the quick brown…
deploy
  · deploy              created
  ▶ docs                manual";
        assert_eq!(drawn(54, 8), expected);
        let expected = "\
build  2/2
test
  ✗ unit          2.0s  failed: exit code 1
  ● end to end    5.3s  test 5 of 90: the quick brown…
deploy  0/2";
        assert_eq!(drawn(54, 6), expected);
        assert_eq!(drawn(54, 4), "build  2/2\ntest\n  … 3 more lines");
    }

    #[test]
    fn no_line_is_wider_and_no_frame_higher_than_the_terminal() {
        for columns in 1..80 {
            for rows in 2..14 {
                let lines = frame(&board(), Duration::from_secs(4000), Size { columns, rows }, PLAIN);
                assert!(lines.len() < rows, "{columns}x{rows}");
                for line in lines {
                    assert!(line.width() <= columns, "{columns}x{rows}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn wide_characters_take_two_columns() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, width), expected);
        }
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let size = Size { columns: 80, rows: 25 };
        let coloured = frame(&board(), Duration::ZERO, size, Style { colours: true }).join("\n");
        assert!(coloured.contains("\x1b[31m✗\x1b[0m"), "{coloured:?}");
        assert!(!drawn(80, 25).contains('\x1b'));
        let state = row(9, "x", "test", Pending, None, None);
        assert_eq!(state.elapsed(Duration::from_secs(9)), None);
    }
}
