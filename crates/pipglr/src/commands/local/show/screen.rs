//! The tree on a terminal: drawn over itself, only if something is different.

use super::super::board::Board;
use super::Style;
use super::tree::{Size, frame};
use crate::error::CliError;
use crate::output;
use std::fmt::Write as _;
use std::time::Duration;

/// A terminal that does not say how large it is.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// What is drawn.
#[derive(Debug)]
pub(in super::super) struct Screen {
    style: Style,
    drawn: Vec<String>,
    /// How large the terminal was then.
    size: Size,
}

impl Screen {
    pub(super) fn new(style: Style) -> Self {
        Self {
            style,
            drawn: Vec::new(),
            size: USUAL,
        }
    }

    /// Draws the pipeline as it is.
    pub(super) fn draw(&mut self, board: &Board, now: Duration) -> Result<(), CliError> {
        let size = size();
        let lines = frame(board, now, size, self.style);
        if lines == self.drawn && size == self.size {
            return Ok(());
        }
        let text = redraw(&self.drawn, &lines);
        (self.drawn, self.size) = (lines, size);
        output::raw(&text)
    }

    /// Takes it away.
    pub(super) fn clear(&mut self) -> Result<(), CliError> {
        let text = redraw(&self.drawn, &[]);
        self.drawn.clear();
        output::raw(&text)
    }
}

/// What turns one frame into the next, shown at once where the terminal knows how to do that.
fn redraw(before: &[String], after: &[String]) -> String {
    let mut text = String::from("\x1b[?2026h");
    if !before.is_empty() {
        // Writing to a text cannot fail.
        let _ = write!(text, "\x1b[{}A", before.len());
    }
    for (at, line) in after.iter().enumerate() {
        if before.get(at) == Some(line) {
            text.push_str("\r\n");
        } else {
            let _ = write!(text, "\r{line}\x1b[K\r\n");
        }
    }
    text.push_str("\x1b[J\x1b[?2026l");
    text
}

fn size() -> Size {
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        },
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::redraw;

    #[test]
    fn only_what_is_different_is_written() {
        let lines = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        let (begin, end) = ("\x1b[?2026h", "\x1b[J\x1b[?2026l");
        for (before, after, expected) in [
            (&[][..], &["a", "b"][..], "\ra\x1b[K\r\n\rb\x1b[K\r\n"),
            (&["a", "b"], &["a", "c"], "\x1b[2A\r\n\rc\x1b[K\r\n"),
            (&["a", "b"], &["b"], "\x1b[2A\rb\x1b[K\r\n"),
            (&["a", "b"], &[], "\x1b[2A"),
        ] {
            let text = redraw(&lines(before), &lines(after));
            assert_eq!(text, format!("{begin}{expected}{end}"));
        }
    }
}
