//! What runs inside job containers: the same program, mounted into them.
//!
//! The engine writes one plan as a line of JSON to the container's stdin; the program carries it out, lets children
//! write straight to the container's stdout and stderr, and announces stages in band with [`marker`]s. It needs nothing
//! else from the engine, so a job goes on while the engine restarts.
//!
//! - [`init`]: process 1 of the build container; runs the job's scripts. Beside it, the shell of a web terminal.
//! - [`helper`]: process 1 of the helper container; git and artifacts.
//! - [`probe`]: a process beside the init; finds out when services answer.
//! - [`relay`]: the way to a coordinator on the loopback of the machine outside.

mod gitlab_env;
pub mod helper;
pub mod init;
pub mod marker;
mod notice;
mod plan_input;
pub mod probe;
pub mod relay;

/// Exit code when a container could not do its work at all.
pub(crate) const CANNOT_RUN: i32 = 125;
