//! The tar format in one zstd stream: [`write`](self::write) streams one out, [`extract`](self::extract) unpacks one
//! safely.

pub(crate) mod extract;
pub(crate) mod write;
