//! `--template-config`: values of a file for what the command line does not say.
//!
//! Compat: gitlab-runner commands/register.go.

use super::register::RegisterError;
use crate::config::file::{ConfigFile, FileError};
use std::path::Path;
use toml_edit::{Item, Table};

/// Of other executors than the one that is registered.
const OTHER_EXECUTORS: [&str; 9] = [
    "autoscaler",
    "custom",
    "instance",
    "kubernetes",
    "machine",
    "parallels",
    "referees",
    "ssh",
    "virtualbox",
];

/// The one `[[runners]]` of a template, without its token.
#[derive(Debug, Clone)]
pub struct Template(Table);

impl Template {
    /// Reads `path`.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has none or several `[[runners]]`.
    pub fn load(path: &Path) -> Result<Self, RegisterError> {
        let usage = |what: String| RegisterError::Usage(format!("template {}: {what}", path.display()));
        if !path.exists() {
            return Err(usage("there is no such file".to_owned()));
        }
        let file = ConfigFile::open(path).map_err(|error| {
            usage(match error {
                FileError::Syntax { reason, .. } => reason,
                FileError::Read { source, .. } | FileError::Write { source, .. } => source.to_string(),
            })
        })?;
        let runners = file.runners();
        let [runner] = runners.as_slice() else {
            return Err(usage(format!("must have one `[[runners]]`, it has {}", runners.len())));
        };
        let mut table = Table::clone(runner);
        for key in OTHER_EXECUTORS.iter().chain(&["token"]) {
            table.remove(key);
        }
        Ok(Self(table))
    }

    /// The text at `key`, tables separated by dots.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let mut item: Option<&Item> = None;
        for part in key.split('.') {
            item = match item {
                None => self.0.get(part),
                Some(outer) => outer.get(part),
            };
            item?;
        }
        item?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Adds what `table` has not.
    pub(super) fn fill(&self, table: &mut Table) {
        fill(table, &self.0);
    }
}

fn fill(table: &mut Table, from: &Table) {
    for (key, item) in from {
        match (table.get_mut(key), item) {
            (None, item) => {
                table.insert(key, item.clone());
            }
            (Some(Item::Table(inner)), Item::Table(more)) => fill(inner, more),
            (Some(given), item) => {
                // A name nobody gave is no wish.
                if given.as_str() == Some("") {
                    *given = item.clone();
                }
            }
        }
    }
}
