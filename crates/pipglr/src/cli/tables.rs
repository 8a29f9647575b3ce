//! What of the command line is a table: options that end up in config.toml, and refused commands.

use super::Cli;
use super::refused::{REFUSED, Refused};
use super::runner::{RunnerArgs, RunnerCommand};
use clap::{ArgMatches, CommandFactory as _};
use pipglr_runner::registration::{Kind, OPTIONS};
use std::collections::BTreeMap;

/// Commands that take the options of the table.
const WITH_OPTIONS: [&str; 2] = ["register", "run-single"];

/// clap's own description plus the tables.
pub(super) fn command() -> clap::Command {
    Cli::command().mut_subcommand("runner", |mut runner| {
        for name in WITH_OPTIONS {
            runner = runner.mut_subcommand(name, add_options);
        }
        runner.subcommands(REFUSED.iter().map(refused))
    })
}

fn add_options(mut command: clap::Command) -> clap::Command {
    for option in &OPTIONS {
        let mut arg = clap::Arg::new(option.flag)
            .long(option.flag)
            .help(option.help)
            .help_heading("Kept in config.toml");
        if !option.env.is_empty() {
            arg = arg.env(option.env).hide_env_values(true);
        }
        arg = match option.kind {
            Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
            Kind::List | Kind::CommaList | Kind::Map | Kind::SwitchMap => arg.action(clap::ArgAction::Append),
            Kind::Text | Kind::Integer => arg,
        };
        command = command.arg(arg);
    }
    command
}

/// Takes whatever is given to it: the answer is the same.
fn refused(refused: &Refused) -> clap::Command {
    let rest = clap::Arg::new("rest")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(clap::value_parser!(std::ffi::OsString));
    clap::Command::new(refused.name)
        .hide(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(rest)
}

/// The refused command of these matches of `runner`.
pub(super) fn find_refused(runner: &ArgMatches) -> Option<&'static Refused> {
    let name = runner.subcommand_name()?;
    REFUSED.iter().find(|refused| refused.name == name)
}

/// Puts options of the table where their command finds them.
pub(super) fn fill_options(args: &mut RunnerArgs, runner: &ArgMatches) {
    let given = runner.subcommand().map(|(_, matches)| matches);
    match &mut args.command {
        RunnerCommand::Register(register) => register.options = given.map(given_options).unwrap_or_default(),
        RunnerCommand::RunSingle(single) => single.options = given.map(given_options).unwrap_or_default(),
        _ => {}
    }
}

/// Options of the table that were given, by flag or environment; empty environment variables count as absent.
fn given_options(matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    let values = |flag: &str| -> Vec<String> {
        matches
            .get_many::<String>(flag)
            .into_iter()
            .flatten()
            .filter(|v| !v.is_empty())
            .cloned()
            .collect()
    };
    OPTIONS
        .iter()
        .map(|option| (option.flag.to_owned(), values(option.flag)))
        .filter(|(_, given)| !given.is_empty())
        .collect()
}
