//! Reading and changing one value of a config.toml by its path. Comments and order stay.

use std::fmt;
use std::str::FromStr;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

/// The way to a value: `concurrent`, `runners[0].limit`, `runners.NAME.limit`, `runners."a.b".docker.image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// What a value is meant to be when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A text, whatever it looks like.
    Text,
    /// What TOML takes it for, and a text if that is nothing.
    Toml,
}

/// Why a value cannot be had or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("{0:?} is no path of a value: they look like concurrent, runners[0].limit or runners.NAME.limit")]
    Path(String),
    /// What a parser says could show secrets.
    #[error("syntax error in line {line}")]
    Syntax { line: usize },
    #[error("there is no `{path}`")]
    Missing { path: String },
    #[error("there is no `{path}`: there are {count} of them, counted from 0")]
    Beyond { path: String, count: usize },
    #[error("no runner is named {name:?}; there are: {}", names.join(", "))]
    NoRunner { name: String, names: Vec<String> },
    #[error("{count} runners are named {name:?}: give a number, as in runners[0]")]
    Ambiguous { name: String, count: usize },
    #[error("`{path}` is a table: name one of its keys")]
    Table { path: String },
    #[error("`{path}` has no keys of its own")]
    NoTable { path: String },
    #[error("`{path}` is a list of tables: give a number, as in {path}[0]")]
    Tables { path: String },
}

impl FromStr for Path {
    type Err = EditError;

    fn from_str(text: &str) -> Result<Self, EditError> {
        let wrong = || EditError::Path(text.to_owned());
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
                None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            };
            if key.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
            while let Some(number) = rest.strip_prefix('[') {
                let (number, after) = number.split_once(']').ok_or_else(wrong)?;
                steps.push(Step::Index(number.parse().map_err(|_| wrong())?));
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => return Ok(Self(steps)),
                None => return Err(wrong()),
            }
        }
    }
}

impl Path {
    /// The tables and the key, separated by dots, without numbers.
    #[must_use]
    pub fn without_numbers(&self) -> String {
        let keys = self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.0).fmt(f)
    }
}

fn shown(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if key.contains(['.', '[']) => text.push_str(&format!(".\"{key}\"")),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(number) => text.push_str(&format!("[{number}]")),
        }
    }
    text.trim_start_matches('.').to_owned()
}

/// The text as TOML, or the line where it is none.
pub(super) fn document_of(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error| EditError::Syntax {
        line: line_of(text, &error),
    })
}

/// The line of a text in which it is no TOML.
pub(crate) fn line_of(text: &str, error: &toml_edit::TomlError) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// A config.toml that can be changed.
#[derive(Clone)]
pub struct Document(DocumentMut);

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// # Errors
    /// [`EditError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, EditError> {
        document_of(text).map(Self)
    }

    /// The whole text, with its secrets.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.to_string()
    }

    /// The path with numbers for the names of runners, and keys as they are written there.
    ///
    /// # Errors
    /// It cannot lead anywhere in this document.
    pub fn resolve(&self, path: &Path) -> Result<Path, EditError> {
        let names: Vec<&str> = self.runners().map(name_of).collect();
        let mut steps = path.0.clone();
        if let [Step::Key(list), Step::Key(name), ..] = steps.as_slice()
            && list == "runners"
        {
            let found: Vec<usize> = (0..names.len()).filter(|&at| names[at] == name).collect();
            let number = match found.as_slice() {
                [only] => *only,
                [] => {
                    return Err(EditError::NoRunner {
                        name: name.clone(),
                        names: names.into_iter().map(|name| format!("{name:?}")).collect(),
                    });
                }
                several => {
                    return Err(EditError::Ambiguous {
                        name: name.clone(),
                        count: several.len(),
                    });
                }
            };
            steps[1] = Step::Index(number);
        }
        Ok(Path(steps))
    }

    fn runners(&self) -> impl Iterator<Item = &dyn TableLike> {
        let tables = self.0.get("runners").and_then(Item::as_array_of_tables);
        tables
            .into_iter()
            .flat_map(ArrayOfTables::iter)
            .map(|table| table as &dyn TableLike)
    }

    /// The value at a path: a text as it is, anything else as TOML.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, path: &Path) -> Result<String, EditError> {
        let path = self.resolve(path)?.0;
        let mut at = Found::Table(self.0.as_table());
        for depth in 0..path.len() {
            at = at.step(&path, depth)?;
        }
        Ok(at.text())
    }

    /// Writes a value; tables that are missing on the way are made.
    ///
    /// # Errors
    /// The path does not lead to a value.
    pub fn set(&mut self, path: &Path, text: &str, wanted: Wanted) -> Result<(), EditError> {
        let path = self.resolve(path)?.0;
        let value = match wanted {
            Wanted::Text => text.into(),
            Wanted::Toml => text.trim().parse().unwrap_or_else(|_| Value::from(text)),
        };
        set_in_table(self.0.as_table_mut(), &path, 0, value)
    }
}

fn name_of(runner: &dyn TableLike) -> &str {
    runner.get("name").and_then(Item::as_str).unwrap_or_default()
}

/// The key as the table writes it.
///
/// Compat: gitlab-runner's TOML library does not mind letter case.
fn written(table: &dyn TableLike, key: &str) -> String {
    let mut alike = table
        .iter()
        .map(|(name, _)| name)
        .filter(|name| name.eq_ignore_ascii_case(key));
    let found = if table.contains_key(key) { None } else { alike.next() };
    found.unwrap_or(key).to_owned()
}

/// A place in a document.
enum Found<'d> {
    Table(&'d dyn TableLike),
    Item(&'d Item),
    Value(&'d Value),
}

impl<'d> Found<'d> {
    fn step(self, path: &[Step], depth: usize) -> Result<Self, EditError> {
        let here = || shown(&path[..depth]);
        let missing = || EditError::Missing {
            path: shown(&path[..=depth]),
        };
        match &path[depth] {
            Step::Key(key) => {
                let table = match self {
                    Self::Table(table) => Some(table),
                    Self::Item(Item::ArrayOfTables(_)) => return Err(EditError::Tables { path: here() }),
                    Self::Item(item) => item.as_table_like(),
                    Self::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
                };
                let table = table.ok_or_else(|| EditError::NoTable { path: here() })?;
                table.get(&written(table, key)).map(Self::Item).ok_or_else(missing)
            }
            Step::Index(number) => {
                let (found, count) = match self {
                    Self::Item(Item::ArrayOfTables(tables)) => {
                        (tables.get(*number).map(|table| Self::Table(table)), tables.len())
                    }
                    Self::Item(Item::Value(Value::Array(items))) | Self::Value(Value::Array(items)) => {
                        (items.get(*number).map(Self::Value), items.len())
                    }
                    _ => return Err(missing()),
                };
                found.ok_or_else(|| EditError::Beyond {
                    path: shown(&path[..=depth]),
                    count,
                })
            }
        }
    }

    fn text(self) -> String {
        let of_value = |value: &Value| match value {
            Value::String(text) => text.value().clone(),
            other => other.clone().decorated("", "").to_string(),
        };
        match self {
            Self::Value(value) | Self::Item(Item::Value(value)) => of_value(value),
            Self::Item(item) => item.to_string().trim().to_owned(),
            Self::Table(table) => {
                let pairs = table.iter().map(|(key, item)| (key.to_owned(), item.clone()));
                pairs.collect::<Table>().to_string().trim().to_owned()
            }
        }
    }
}

fn set_in_table(table: &mut dyn TableLike, path: &[Step], depth: usize, value: Value) -> Result<(), EditError> {
    let Step::Key(key) = &path[depth] else {
        return Err(EditError::NoTable {
            path: shown(&path[..depth]),
        });
    };
    let name = written(table, key);
    let here = || shown(&path[..=depth]);
    let Some(next) = path.get(depth + 1) else {
        return match table.get_mut(&name) {
            Some(Item::Value(old)) => {
                replace(old, value);
                Ok(())
            }
            Some(Item::Table(_)) => Err(EditError::Table { path: here() }),
            Some(Item::ArrayOfTables(_)) => Err(EditError::Tables { path: here() }),
            Some(Item::None) | None => {
                table.insert(&name, Item::Value(value));
                Ok(())
            }
        };
    };
    if !table.contains_key(&name) {
        if matches!(next, Step::Index(_)) {
            return Err(EditError::Missing { path: here() });
        }
        table.insert(&name, Item::Table(Table::new()));
    }
    match table.get_mut(&name) {
        Some(item) => set_in_item(item, path, depth + 1, value),
        None => Err(EditError::Missing { path: here() }),
    }
}

fn set_in_item(item: &mut Item, path: &[Step], depth: usize, value: Value) -> Result<(), EditError> {
    let here = shown(&path[..depth]);
    let Step::Index(number) = &path[depth] else {
        if item.is_array_of_tables() {
            return Err(EditError::Tables { path: here });
        }
        let table = item.as_table_like_mut().ok_or(EditError::NoTable { path: here })?;
        return set_in_table(table, path, depth, value);
    };
    let last = depth + 1 == path.len();
    let path_of_it = shown(&path[..=depth]);
    match item {
        Item::ArrayOfTables(_) if last => Err(EditError::Table { path: path_of_it }),
        Item::ArrayOfTables(tables) => {
            let count = tables.len();
            let table = tables.get_mut(*number);
            let table = table.ok_or(EditError::Beyond {
                path: path_of_it,
                count,
            })?;
            set_in_table(table, path, depth + 1, value)
        }
        Item::Value(Value::Array(items)) => {
            let count = items.len();
            match items.get_mut(*number) {
                None => Err(EditError::Beyond {
                    path: path_of_it,
                    count,
                }),
                Some(old) if last => {
                    replace(old, value);
                    Ok(())
                }
                Some(Value::InlineTable(table)) => set_in_table(table, path, depth + 1, value),
                Some(_) => Err(EditError::NoTable { path: path_of_it }),
            }
        }
        _ => Err(EditError::NoTable { path: here }),
    }
}

/// The comment behind a value stays.
fn replace(old: &mut Value, mut new: Value) {
    *new.decor_mut() = old.decor().clone();
    *old = new;
}

#[cfg(test)]
mod tests;
