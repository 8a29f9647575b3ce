//! git, as a program: commands, the mirror that is served, and its HTTP transport.

mod backend;
mod command;
mod mirror;
mod snapshot;

pub(crate) use backend::{Service, respond};
pub(crate) use command::{git, plain_command};
pub(crate) use mirror::Mirror;
