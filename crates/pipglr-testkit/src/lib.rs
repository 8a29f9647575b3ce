//! Servers that misbehave on command, for tests. Development only.
//!
//! Nothing here depends on our other crates: the JSON is written and checked by hand, as a second witness of the
//! protocols. Every server listens on a socket of its own, records what it was asked, and waits for conditions on that
//! record instead of sleeping. A wait that takes too long panics and prints the record.
//!
//! - [`git`]: repositories over HTTP.
//! - [`gitlab`]: the runner API of a GitLab instance.
//! - [`podman`]: libpod's API with containers that run a scripted behaviour.
//! - [`proxy`]: a TCP connection that can be cut.
//! - [`s3`]: a bucket.
//! - [`vault`]: a server for secrets.
//! - [`working_tree`]: a commit of some files.

pub mod git;
pub mod gitlab;
pub mod podman;
pub mod proxy;
pub mod s3;
pub mod vault;
mod watched;
pub mod working_tree;

pub use watched::Gate;
