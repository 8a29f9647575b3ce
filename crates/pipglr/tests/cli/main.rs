//! The built program as scripts use it: output, exit codes, files.

#![expect(clippy::unwrap_used, reason = "tests")]
mod ci;
mod config;
mod documents;
mod health;
mod includes;
mod local;
mod own_pipeline;
mod runners;
mod running;
mod serve;
mod signals;
mod support;
