//! `pipglr`: host command line, engine, and what runs inside job containers, in one static program.

mod cli;
mod commands;
mod error;
mod observability;
mod signals;

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(usage) => return error::print_usage(&usage),
    };
    match commands::run(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => error::print(&error),
    }
}
