//! `pipglr config …`: the runner's configuration, looked at and changed where it is.

mod change;
mod editor;
mod place;

pub(super) use place::{Owner, Place};

use super::{Outcome, check};
use crate::cli::{ApplyArgs, ConfigCommand, DiffArgs, GetArgs, SetArgs, ShowArgs};
use crate::error::CliError;
use crate::output;
use anyhow::Context as _;
use change::{Draft, change};
use pipglr_host::config::{Document, HIDDEN, Path, Wanted, difference, redact};
use pipglr_runner::config::keys::{self, Kind};
use std::io::Read as _;

/// Lines beside a difference.
const AROUND: usize = 1;

pub(super) fn run(command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Show(args) => show(&args),
        ConfigCommand::Get(args) => get(&args),
        ConfigCommand::Set(args) => set(&args),
        ConfigCommand::Edit(args) => editor::run(&args),
        ConfigCommand::Apply(args) => apply(&args),
        ConfigCommand::Diff(args) => diff(&args),
        ConfigCommand::Check(args) => check::run(&args),
    }
}

fn show(args: &ShowArgs) -> Outcome {
    let place = Place::of(&args.place)?;
    let text = place.read()?;
    output::raw(&if args.secrets {
        text
    } else {
        without_secrets(&text, &place.name())?
    })?;
    Ok(0)
}

fn get(args: &GetArgs) -> Outcome {
    let path: Path = args.key.parse().map_err(CliError::usage)?;
    let place = Place::of(&args.place)?;
    let text = place.read()?;
    let shown = if args.secrets {
        text
    } else {
        without_secrets(&text, &place.name())?
    };
    let value = document(&shown, &place)?.get(&path).map_err(at(&place))?;
    if !args.secrets && value == HIDDEN {
        return Err(CliError::with_hint(
            anyhow::anyhow!("`{path}` is a secret"),
            "--secrets prints it",
        ));
    }
    output::line(value)?;
    Ok(0)
}

fn set(args: &SetArgs) -> Outcome {
    let path: Path = args.key.parse().map_err(CliError::usage)?;
    let place = Place::of(&args.place)?;
    let old = place.read()?;
    let mut document = document(&old, &place)?;
    // Names of runners are not part of a key's path in the table.
    let table_path = document.resolve(&path).map_err(at(&place))?.without_numbers();
    let value = if args.value == "-" {
        standard_input()?.trim_end_matches(['\r', '\n']).to_owned()
    } else if keys::is_secret(&table_path) {
        return Err(CliError {
            hints: vec![format!("pipglr config set {} - <FILE", args.key)],
            ..CliError::usage(format_args!(
                "`{path}` is a secret: others see arguments, so it is read from standard input"
            ))
        });
    } else {
        args.value.clone()
    };
    let kind = keys::all().find(|key| key.path.eq_ignore_ascii_case(&table_path));
    let wanted = match kind.map(|key| key.kind) {
        Some(Kind::Text | Kind::Word(_)) => Wanted::Text,
        _ => Wanted::Toml,
    };
    document.set(&path, &value, wanted).map_err(at(&place))?;
    let new = Draft::checked(document.expose(), &place.name())?;
    change(&place, &old, new, args.change.restart)
}

fn apply(args: &ApplyArgs) -> Outcome {
    let place = Place::of(&args.place)?;
    let new = Draft::checked(read_new(&args.new)?, &args.new)?;
    let old = match &place {
        Place::Secret(owner) => owner.read()?,
        Place::File(file) if file.exists() => Some(place.read()?),
        Place::File(_) => None,
    };
    change(&place, old.as_deref().unwrap_or_default(), new, args.change.restart)
}

fn diff(args: &DiffArgs) -> Outcome {
    let place = Place::of(&args.place)?;
    let (old, new) = (place.read()?, read_new(&args.new)?);
    let lines = shown_difference((&old, &place.name()), (&new, &args.new))?;
    for line in &lines {
        output::line(line)?;
    }
    Ok(u8::from(!lines.is_empty()))
}

/// What differs, without secrets; where nothing but secrets differ, that is said.
fn shown_difference(
    (old, old_name): (&str, &std::path::Path),
    (new, new_name): (&str, &std::path::Path),
) -> Result<Vec<String>, CliError> {
    let shown = difference(
        &without_secrets(old, old_name)?,
        &without_secrets(new, new_name)?,
        AROUND,
    );
    if old == new || !shown.is_empty() {
        return Ok(shown);
    }
    let lines = old
        .lines()
        .zip(new.lines())
        .enumerate()
        .filter(|(_, (old, new))| old != new);
    let numbers: Vec<String> = lines.map(|(at, _)| (at + 1).to_string()).collect();
    Ok(vec![if numbers.is_empty() {
        "only ends of lines differ".to_owned()
    } else {
        format!("only secrets differ, in lines: {}", numbers.join(", "))
    }])
}

fn without_secrets(text: &str, name: &std::path::Path) -> Result<String, CliError> {
    redact(text, &keys::is_secret).map_err(|error| {
        CliError::with_hint(
            anyhow::anyhow!("{}: {error}", name.display()),
            "it can be corrected by pipglr config edit",
        )
    })
}

fn document(text: &str, place: &Place) -> Result<Document, CliError> {
    Document::parse(text).map_err(at(place))
}

/// An error with the name of what it is about.
fn at(place: &Place) -> impl Fn(pipglr_host::config::EditError) -> CliError {
    let name = place.name();
    move |error| anyhow::Error::new(error).context(name.display().to_string()).into()
}

/// A file's text, or that of standard input for `-`.
pub(super) fn read_new(file: &std::path::Path) -> Result<String, CliError> {
    if file == std::path::Path::new("-") {
        return standard_input();
    }
    Ok(pipglr_runner::config::read(file)?)
}

fn standard_input() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("read standard input")?;
    Ok(text)
}
