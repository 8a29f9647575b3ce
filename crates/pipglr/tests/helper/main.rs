//! `pipglr helper` as helper containers run it: a process that reads a plan from stdin, on plain directories, with real
//! git, against real HTTP on the loopback interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod artifacts;
mod clean_up;
mod credentials;
mod sources;
mod submodules;
mod support;
