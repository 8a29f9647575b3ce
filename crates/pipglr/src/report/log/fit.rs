//! What of a log is shown, if it is too long.

use super::html;
use super::pieces::{Line, Piece};

/// A log as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) head: Vec<Piece>,
    /// If something was left out: how many bytes, and what follows.
    pub(super) rest: Option<(u64, Vec<Piece>)>,
    /// Bytes of the whole log.
    pub(super) size: u64,
}

/// Keeps a quarter of `budget` bytes of HTML from the beginning, the rest from the end.
pub(super) fn fit(mut head: Vec<Piece>, tail: Option<Vec<Piece>>, budget: usize, size: u64) -> Fitted {
    if tail.is_none() && head.iter().map(html::cost).sum::<usize>() <= budget {
        return Fitted { head, rest: None, size };
    }
    let left = head.split_off(first(&head, budget / 4));
    let mut tail = tail.unwrap_or(left);
    tail.drain(..last(&tail, budget - budget / 4));
    let shown = lines(&head).chain(lines(&tail)).map(|line| line.size as u64).sum();
    Fitted {
        head,
        rest: Some((size.saturating_sub(shown), tail)),
        size,
    }
}

/// How many pieces from the beginning cost at most `budget`.
fn first(pieces: &[Piece], budget: usize) -> usize {
    let mut left = budget;
    pieces.iter().take_while(|piece| spend(&mut left, piece)).count()
}

/// From which piece on they cost at most `budget`.
fn last(pieces: &[Piece], budget: usize) -> usize {
    let mut left = budget;
    pieces.len() - pieces.iter().rev().take_while(|piece| spend(&mut left, piece)).count()
}

fn spend(left: &mut usize, piece: &Piece) -> bool {
    let rest = left.checked_sub(html::cost(piece));
    *left = rest.unwrap_or(0);
    rest.is_some()
}

fn lines(pieces: &[Piece]) -> impl Iterator<Item = &Line> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Line(line) => Some(line),
        _ => None,
    })
}
