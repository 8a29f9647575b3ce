//! Development commands of pipglr.
#![expect(clippy::print_stdout, reason = "these commands talk to a person at a terminal")]

mod acceptance;
mod bench;
mod compare;
mod faults;
mod image;
mod load;
mod quickstart;
mod release;
mod soak;
mod test;
mod upgrades;

use clap::Parser;

/// Development commands of pipglr.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Xtask {
    /// From a bare machine to a finished pipeline in the nested sandbox
    Quickstart(quickstart::Args),
    /// Run the tests, but for a few stories that run when they are asked for; `.ci/run` is this command
    Test(test::Args),
    /// Follow the README on a stock Debian 13 in a virtual machine, with a reboot in the middle; takes minutes
    Acceptance(acceptance::Args),
    /// Print figures: job overhead, image size, idle memory
    Bench(bench::Args),
    /// Run the same jobs by GitLab's own runner and by ours, and show what differs
    Compare(compare::Args),
    /// Kill runner and engine at random moments while jobs run in the nested sandbox
    Faults(faults::Args),
    /// Run many jobs with services at once, which look up names all the time
    Load(load::Args),
    /// Many short jobs in a row; counts what they leave
    Soak(soak::Args),
    /// Make what is published for a version: archives, bills of materials, checksums, signature
    Release(release::Args),
    /// Replace the image of a runner again and again while jobs run: none may be lost, none may run twice
    Upgrades(upgrades::Args),
    /// Build the container image where no container registry can be reached
    Image(image::Args),
}

fn main() -> std::process::ExitCode {
    let outcome = match Xtask::parse() {
        Xtask::Quickstart(args) => quickstart::run(&args),
        Xtask::Test(args) => test::run(&args),
        Xtask::Acceptance(args) => acceptance::run(&args),
        Xtask::Bench(args) => bench::run(&args),
        Xtask::Compare(args) => compare::run(&args),
        Xtask::Faults(args) => faults::run(&args),
        Xtask::Load(args) => load::run(&args),
        Xtask::Soak(args) => soak::run(&args),
        Xtask::Release(args) => release::run(&args),
        Xtask::Upgrades(args) => upgrades::run(&args),
        Xtask::Image(args) => image::build(&args),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
