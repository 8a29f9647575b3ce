//! The runner API over a real socket, driven as a runner would.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

mod artifacts;
mod caches;
mod jobs;
mod lfs;
mod pipelines;
mod repository;
mod runners;
mod support;
mod trace;
mod working_tree;
