//! A log as a list of lines and of sections' beginnings and ends.

use super::ansi::Painter;
use super::lines::RawLine;
use jiff::Timestamp;

/// Sections within sections, at most; browsers have a limit as well.
const DEEPEST: usize = 8;

/// A part of a log, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Open(Section),
    Line(Line),
    Close { at: Option<Timestamp> },
}

/// A section's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    /// HTML.
    pub(super) title: String,
    pub(super) is_collapsed: bool,
    pub(super) began: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

/// A line to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time: Option<Timestamp>,
    pub(super) is_stderr: bool,
    pub(super) html: String,
    /// Bytes of the log.
    pub(super) size: usize,
}

/// Sections that are never closed end with the last piece.
pub(super) fn pieces(lines: Vec<RawLine>, painter: &mut Painter) -> Vec<Piece> {
    let mut builder = Builder::default();
    for line in lines {
        builder.line(&line, painter);
    }
    let open = std::mem::take(&mut builder.open);
    builder.pieces.extend(open.iter().map(|_| Piece::Close { at: None }));
    builder.pieces
}

#[derive(Default)]
struct Builder {
    pieces: Vec<Piece>,
    /// Places of the beginnings of open sections.
    open: Vec<usize>,
}

impl Builder {
    fn line(&mut self, line: &RawLine, painter: &mut Painter) {
        let mut rest = line.text.as_slice();
        let mut has_marker = false;
        while let Some((before, marker, after)) = next_marker(rest) {
            has_marker = true;
            if !before.is_empty() {
                self.text(painter.line(before), line);
            }
            rest = after;
            if marker.is_start {
                let title;
                (title, rest) = after.split_at(next_marker(after).map_or(after.len(), |(before, ..)| before.len()));
                self.open(&marker, painter.line(title), line);
            } else {
                self.close(&marker, line.time.or(marker.time));
            }
        }
        let html = painter.line(rest);
        if !has_marker || !html.is_empty() {
            self.text(html, line);
        }
    }

    fn text(&mut self, html: String, line: &RawLine) {
        self.pieces.push(Piece::Line(Line {
            time: line.time,
            is_stderr: line.is_stderr,
            html,
            size: line.size,
        }));
    }

    fn open(&mut self, marker: &Marker, title: String, line: &RawLine) {
        if self.open.len() == DEEPEST {
            return self.text(title, line);
        }
        self.open.push(self.pieces.len());
        self.pieces.push(Piece::Open(Section {
            name: marker.name.clone(),
            title,
            is_collapsed: marker.is_collapsed,
            began: line.time.or(marker.time),
            ended: None,
        }));
    }

    /// Closes the section of this name and those in it; an end without a beginning has no effect.
    fn close(&mut self, marker: &Marker, at: Option<Timestamp>) {
        let is_named = |&place: &usize| matches!(&self.pieces[place], Piece::Open(s) if s.name == marker.name);
        let Some(depth) = self.open.iter().rposition(is_named) else {
            return;
        };
        for place in self.open.split_off(depth) {
            if let Piece::Open(section) = &mut self.pieces[place] {
                section.ended = at;
            }
            self.pieces.push(Piece::Close { at });
        }
    }
}

struct Marker {
    is_start: bool,
    name: String,
    is_collapsed: bool,
    time: Option<Timestamp>,
}

/// The text before the first `section_start:TIME:NAME[OPTIONS]\r`, the marker, and the text after it.
fn next_marker(text: &[u8]) -> Option<(&[u8], Marker, &[u8])> {
    let mut from = 0;
    while let Some(at) = find(&text[from..], b"section_") {
        let place = from + at;
        if let Some((marker, length)) = marker(&text[place..]) {
            return Some((&text[..place], marker, &text[place + length..]));
        }
        from = place + 1;
    }
    None
}

fn marker(text: &[u8]) -> Option<(Marker, usize)> {
    let end = text.iter().take(512).position(|&b| b == b'\r')?;
    let words = std::str::from_utf8(&text[..end]).ok()?;
    let (is_start, rest) = match words.strip_prefix("section_start:") {
        Some(rest) => (true, rest),
        None => (false, words.strip_prefix("section_end:")?),
    };
    let (time, rest) = rest.split_once(':')?;
    let time = Timestamp::from_second(time.parse().ok()?).ok();
    let (name, options) = rest.split_once('[').unwrap_or((rest, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let is_collapsed = options
        .trim_end_matches(']')
        .split(',')
        .any(|option| option.trim() == "collapsed=true");
    let marker = Marker {
        is_start,
        name: name.to_owned(),
        is_collapsed,
        time,
    };
    Some((marker, end + 1))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{Painter, Piece, pieces};
    use crate::report::log::lines::split;

    fn check(log: &str, expected: &str) {
        let found = pieces(split(log.as_bytes()), &mut Painter::default());
        let words: Vec<String> = found
            .iter()
            .map(|piece| match piece {
                Piece::Open(s) => format!("{}({}{}", s.name, s.title, if s.is_collapsed { "~" } else { "" }),
                Piece::Line(line) => line.html.clone(),
                Piece::Close { .. } => ")".to_owned(),
            })
            .collect();
        assert_eq!(words.join("|"), expected, "{log:?}");
    }

    #[test]
    fn sections_hold_lines() {
        check("a\nb\n\nc\n", "a|b||c");
        check(
            "section_start:1:x\r\x1b[0KTitle\nin\nsection_end:2:x\r\x1b[0K\nout\n",
            "x(Title|in|)|out",
        );
        check(
            "section_start:1:x[collapsed=true]\rT\nsection_end:1:x\rafter\n",
            "x(T~|)|after",
        );
        check("beforesection_start:1:x\rT\n", "before|x(T|)");
        check("section_end:1:x\rsection_start:1:y\rT\nz\n", "y(T|z|)");
        check(
            "section_start:1:a\rA\nsection_start:1:b\rB\nsection_end:1:a\rx\n",
            "a(A|b(B|)|)|x",
        );
    }

    #[test]
    fn what_only_looks_like_a_marker_is_text() {
        check("section_end:1:nothing\r\nx\n", "x");
        check("section_start:1:x no return\n", "section_start:1:x no return");
        check("section_start:no:x\rT\n", "T");
        check("section_start:1:<b>\rT\n", "T");
    }

    #[test]
    fn depth_is_bounded() {
        let log = "section_start:1:x\rT\n".repeat(1000);
        let found = pieces(split(log.as_bytes()), &mut Painter::default());
        assert_eq!(found.iter().filter(|p| matches!(p, Piece::Open(_))).count(), 8);
        assert_eq!(found.len(), 1008);
    }
}
