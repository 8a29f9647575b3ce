//! The zip format: [`write`](self::write) streams one out, [`extract`](self::extract) unpacks one safely.

pub(crate) mod extract;
mod metadata;
pub(crate) mod write;

/// How hard to compress; levels of deflate 0 (stored), 1, 5, 7 and 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    Fastest,
    Fast,
    #[default]
    Default,
    Slow,
    Slowest,
}
