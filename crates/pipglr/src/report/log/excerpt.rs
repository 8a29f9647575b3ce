//! The lines that most likely say why a job failed.

use super::html;
use super::phases::SCRIPT;
use super::pieces::{Line, Piece};

const LINES: usize = 15;
/// HTML, in bytes; a line may be very long.
const LONGEST: usize = 24 * 1024;

/// HTML of the last lines of the script, or of the log where none ran, and of the runner's last word.
pub(super) fn of(pieces: &[Piece]) -> String {
    let script = script(pieces).filter(|lines| !lines.is_empty());
    let mut lines = script.unwrap_or_else(|| lines_of(pieces));
    lines.drain(..lines.len().saturating_sub(LINES));
    if let Some(last) = lines_of(pieces).last()
        && !lines.contains(last)
    {
        lines.push(last);
    }
    let mut left = LONGEST;
    let fitting = lines.iter().rev().take_while(|line| {
        let fits = line.html.len() <= left;
        left = left.saturating_sub(line.html.len());
        fits
    });
    let first = lines.len() - fitting.count();
    let mut out = String::new();
    lines[first..].iter().for_each(|line| html::line(&mut out, line));
    out
}

fn script(pieces: &[Piece]) -> Option<Vec<&Line>> {
    let begin = pieces
        .iter()
        .rposition(|piece| matches!(piece, Piece::Open(section) if section.name == SCRIPT))?;
    let mut depth = 0;
    let end = pieces[begin..].iter().position(|piece| {
        match piece {
            Piece::Open(_) => depth += 1,
            Piece::Close { .. } => depth -= 1,
            Piece::Line(_) => {}
        }
        depth == 0
    });
    Some(lines_of(&pieces[begin..end.map_or(pieces.len(), |end| begin + end)]))
}

/// Lines with text.
fn lines_of(pieces: &[Piece]) -> Vec<&Line> {
    let lines = pieces.iter().filter_map(|piece| match piece {
        Piece::Line(line) if !line.html.trim().is_empty() => Some(line),
        _ => None,
    });
    lines.collect()
}
