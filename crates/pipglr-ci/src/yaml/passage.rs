//! What is given to the parser: a part of a file, some of whose pieces may have been replaced.

use super::events::Place;
use crate::diagnostics::{FileId, Problems, Span, Text};
use std::ops::Range;

/// A text with the place in a file of each of its bytes.
pub(crate) struct Passage {
    pub(super) file: FileId,
    pub(super) text: String,
    pieces: Vec<Piece>,
    /// Byte offset of each character, when the two counts differ.
    characters: Option<Vec<usize>>,
}

struct Piece {
    /// First byte in the passage.
    at: usize,
    source: Range<usize>,
    /// It reads in the file as it does here.
    verbatim: bool,
}

impl Passage {
    pub(crate) fn new(file: FileId) -> Self {
        Self {
            file,
            text: String::new(),
            pieces: Vec::new(),
            characters: None,
        }
    }

    pub(crate) fn whole(problems: &Problems, file: FileId) -> Self {
        let length = problems.text(file).as_str().len();
        Self::part(problems, file, 0..length)
    }

    /// `range` is on character boundaries.
    pub(crate) fn part(problems: &Problems, file: FileId, range: Range<usize>) -> Self {
        let mut passage = Self::new(file);
        passage.keep(problems.text(file).as_str(), range);
        passage.finished()
    }

    /// Adds a range of the file as it is.
    pub(crate) fn keep(&mut self, source: &str, range: Range<usize>) {
        if let Some(text) = source.get(range.clone()).filter(|text| !text.is_empty()) {
            self.push(text, range, true);
        }
    }

    /// Adds a text that stands for a range of the file.
    pub(crate) fn replace(&mut self, range: Range<usize>, text: &str) {
        if !text.is_empty() {
            self.push(text, range, false);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// To be called when nothing will be added any more.
    pub(crate) fn finished(mut self) -> Self {
        let characters = || self.text.char_indices().map(|(at, _)| at).collect();
        self.characters = (!self.text.is_ascii()).then(characters);
        self
    }

    fn push(&mut self, text: &str, source: Range<usize>, verbatim: bool) {
        self.pieces.push(Piece {
            at: self.text.len(),
            source,
            verbatim,
        });
        self.text.push_str(text);
    }

    pub(super) fn byte(&self, place: Place) -> usize {
        match (place, &self.characters) {
            (Place::Character(index), Some(offsets)) => offsets.get(index).copied().unwrap_or(self.text.len()),
            (Place::Character(at), None) => at.min(self.text.len()),
            (Place::Byte(at), _) => self.text.floor_char_boundary(at.min(self.text.len())),
        }
    }

    /// The place in the file of a range of the passage.
    pub(super) fn span(&self, text: &Text, start: usize, end: usize) -> Span {
        let start_in_file = self.source_start(start);
        let end = if end > start {
            self.source_end(end)
        } else {
            start_in_file
        };
        text.span(start_in_file, end)
    }

    fn source_start(&self, byte: usize) -> usize {
        let index = self.pieces.partition_point(|piece| piece.at <= byte);
        let piece = index.checked_sub(1).and_then(|index| self.pieces.get(index));
        piece.map_or(0, |piece| {
            let into = if piece.verbatim { byte - piece.at } else { 0 };
            (piece.source.start + into).min(piece.source.end)
        })
    }

    fn source_end(&self, byte: usize) -> usize {
        let index = self.pieces.partition_point(|piece| piece.at < byte);
        let piece = index.checked_sub(1).and_then(|index| self.pieces.get(index));
        piece.map_or(0, |piece| {
            let end = piece.source.start + byte - piece.at;
            if piece.verbatim {
                end.min(piece.source.end)
            } else {
                piece.source.end
            }
        })
    }
}
