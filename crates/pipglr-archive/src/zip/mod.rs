//! The zip format: [`write`](self::write) streams one out, [`extract`](self::extract) unpacks one safely.

pub(crate) mod extract;
mod metadata;
pub(crate) mod write;
