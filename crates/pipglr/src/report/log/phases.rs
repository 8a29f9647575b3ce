//! What a job did when, as its log tells.

use super::pieces::Piece;
use jiff::Timestamp;

/// The section of the job's own script.
pub(super) const SCRIPT: &str = "step_script";

/// When the job's script ran. Before it is preparation, after it is what is left to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    pub(crate) script_began: Option<Timestamp>,
    pub(crate) script_ended: Option<Timestamp>,
}

impl Phases {
    pub(super) fn of<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Self {
        let script = pieces.filter_map(|piece| match piece {
            Piece::Open(section) if section.name == SCRIPT => Some(section),
            _ => None,
        });
        script.last().map_or_else(Self::default, |section| Self {
            script_began: section.began,
            script_ended: section.ended,
        })
    }
}
