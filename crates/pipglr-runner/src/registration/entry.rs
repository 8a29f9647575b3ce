//! Options of the command line as a `[[runners]]` entry.

use super::options::{Kind, OPTIONS};
use crate::config::{ConfigError, RunnerConfig, parse_config};
use pipglr_protocol::Secret;
use std::collections::BTreeMap;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

/// An option's text is not what it has to be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(String);

/// Why options make no runner.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The runner that options of [`OPTIONS`] describe, without a config.toml.
///
/// # Errors
/// A value is wrong; it is named by its flag or its key.
pub fn runner_of(
    name: &str,
    url: &str,
    token: &Secret,
    options: &BTreeMap<String, Vec<String>>,
) -> Result<RunnerConfig, EntryError> {
    let mut table = Table::new();
    table.insert("name", value(name));
    table.insert("executor", value("docker"));
    insert_options(&mut table, options)?;
    let mut document = DocumentMut::new();
    let entries: ArrayOfTables = std::iter::once(table).collect();
    document.insert("runners", Item::ArrayOfTables(entries));
    let parsed = parse_config(&document.to_string(), "the options")?;
    let mut runner = parsed.config.runners.into_iter().next().unwrap_or_default();
    // Not by the file: there, a `$` would have a meaning.
    runner.url = url.to_owned();
    runner.token = token.clone();
    Ok(runner)
}

/// Adds the options that were given.
pub(super) fn insert_options(table: &mut Table, given: &BTreeMap<String, Vec<String>>) -> Result<(), OptionError> {
    for option in OPTIONS.iter() {
        if let Some(texts) = given.get(option.flag) {
            insert(table, option.key, item(option.flag, option.kind, texts)?);
        }
    }
    Ok(())
}

fn insert(table: &mut Table, key: &str, item: Item) {
    match key.split_once('.') {
        None => {
            table.insert(key, item);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Item::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                insert(inner, rest, item);
            }
        }
    }
}

fn item(flag: &str, kind: Kind, texts: &[String]) -> Result<Item, OptionError> {
    let last = texts.last().map(String::as_str).unwrap_or_default();
    let wrong = |want: &str, text: &str| OptionError(format!("--{flag}: {text:?} is not {want}"));
    let switch = |text: &str| crate::job::parse_bool(text).ok_or_else(|| wrong("true or false", text));
    let pair = |text: &str| -> Result<(String, String), OptionError> {
        let (name, text) = text
            .split_once(':')
            .ok_or_else(|| wrong("of the form NAME:value", text))?;
        Ok((name.to_owned(), text.to_owned()))
    };
    Ok(match kind {
        Kind::Text => value(last),
        Kind::Integer => value(last.parse::<i64>().map_err(|_| wrong("a whole number", last))?),
        Kind::Switch => value(switch(last)?),
        Kind::List => value(Array::from_iter(texts.iter().map(String::as_str))),
        Kind::CommaList => value(Array::from_iter(
            texts
                .iter()
                .flat_map(|t| t.split(','))
                .map(str::trim)
                .filter(|t| !t.is_empty()),
        )),
        Kind::Map | Kind::SwitchMap => {
            let mut map = Table::new();
            for text in texts {
                let (name, text) = pair(text)?;
                let entry: Value = if kind == Kind::Map {
                    text.into()
                } else {
                    switch(&text)?.into()
                };
                map.insert(&name, Item::Value(entry));
            }
            Item::Table(map)
        }
    })
}
