//! Archives of every format: written, unpacked, and made to do harm.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod roundtrip;
mod scene;
mod tar_hostile;
mod tar_roundtrip;
mod tree;
mod zip_hostile;
mod zip_roundtrip;
