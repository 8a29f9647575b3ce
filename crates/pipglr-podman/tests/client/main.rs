//! The client against a scripted service on a Unix socket. No podman needed.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod answers;
mod calls;
mod fake;
mod specification;
