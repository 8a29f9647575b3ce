//! Pieces of a log as HTML. It is written here and not by the template: it is most of the page.

use super::escape::escape_into;
use super::fit::Fitted;
use super::pieces::{Line, Piece, Section};
use crate::report::words;
use std::fmt::Write as _;

/// Lines a browser lays out together, and only when they come into view.
const CHUNK: usize = 100;

/// At most this many bytes of HTML beside its text are spent on a piece.
const MARKUP: usize = 160;

/// At most as many bytes of HTML.
pub(super) fn cost(piece: &Piece) -> usize {
    match piece {
        Piece::Open(section) => MARKUP + section.title.len() + section.name.len(),
        Piece::Line(line) => 21 + if line.time.is_some() { 26 } else { 0 } + line.html.len(),
        Piece::Close { .. } => 32,
    }
}

pub(super) fn html(log: &Fitted, path: &str) -> String {
    let mut out = Writer::default();
    log.head.iter().for_each(|piece| out.piece(piece));
    if let Some((left_out, tail)) = &log.rest {
        out.end_all();
        out.gap(*left_out, log.size, path);
        tail.iter().for_each(|piece| out.piece(piece));
    }
    out.end_all();
    out.html
}

/// One line.
pub(super) fn line(html: &mut String, line: &Line) {
    html.push_str(if line.is_stderr { "<div class=e>" } else { "<div>" });
    if let Some(time) = line.time {
        let _ = write!(html, "<time>{}</time>", words::clock(time));
    }
    html.push_str(&line.html);
    html.push_str("</div>\n");
}

#[derive(Default)]
struct Writer {
    html: String,
    /// Open sections.
    depth: usize,
    /// Lines in the open chunk.
    lines: usize,
}

impl Writer {
    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Open(section) => self.open(section),
            Piece::Line(text) => {
                if self.lines == CHUNK {
                    self.end_chunk();
                }
                if self.lines == 0 {
                    self.html.push_str("<div class=c>");
                }
                self.lines += 1;
                line(&mut self.html, text);
            }
            // Its beginning was left out.
            Piece::Close { .. } if self.depth == 0 => {}
            Piece::Close { .. } => self.end_section(),
        }
    }

    fn open(&mut self, section: &Section) {
        self.end_chunk();
        self.depth += 1;
        let open = if section.is_collapsed { "" } else { " open" };
        let _ = write!(self.html, "<details class=sec{open}><summary>");
        if section.title.trim().is_empty() {
            escape_into(&mut self.html, &section.name);
        } else {
            self.html.push_str(&section.title);
        }
        if let (Some(began), Some(ended)) = (section.began, section.ended) {
            let _ = write!(self.html, "<span class=took>{}</span>", words::between(began, ended));
        }
        self.html.push_str("</summary>\n");
    }

    fn end_chunk(&mut self) {
        if self.lines > 0 {
            self.html.push_str("</div>\n");
            self.lines = 0;
        }
    }

    fn end_section(&mut self) {
        self.end_chunk();
        self.depth -= 1;
        self.html.push_str("</details>\n");
    }

    fn end_all(&mut self) {
        self.end_chunk();
        while self.depth > 0 {
            self.end_section();
        }
    }

    fn gap(&mut self, left_out: u64, size: u64, path: &str) {
        let _ = write!(
            self.html,
            "<p class=gap>{} of {} are left out here. The whole log: <code>",
            words::size(left_out),
            words::size(size)
        );
        escape_into(&mut self.html, path);
        self.html.push_str("</code></p>\n");
    }
}
