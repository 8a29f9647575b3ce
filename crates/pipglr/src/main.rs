//! `pipglr`: host command line, engine, and what runs inside job containers, in one static program.

mod cli;
mod commands;
mod error;
mod job_log;
mod observability;
mod output;
mod report;
mod signals;

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let called_as = cli::CalledAs::of(&arguments);
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(usage) => return error::print_usage(&usage, called_as),
    };
    match commands::run(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => error::print(&error, called_as),
    }
}
