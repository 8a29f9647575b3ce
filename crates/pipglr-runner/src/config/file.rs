//! Changing a config.toml in place: comments, order and unknown keys of the rest stay as they are.

use super::NewToken;
use pipglr_protocol::Secret;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

/// Never-expiring, as gitlab-runner writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Why a configuration file cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is not valid TOML: {reason}", path.display())]
    Syntax { path: PathBuf, reason: String },
}

/// A configuration file opened for change.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    document: DocumentMut,
}

impl ConfigFile {
    /// Opens `path`; a missing file is an empty one.
    ///
    /// # Errors
    /// The file cannot be read or is no TOML.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(FileError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let document = text.parse::<DocumentMut>().map_err(|e| FileError::Syntax {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            document,
        })
    }

    /// Appends a runner; global keys that are missing get their usual values.
    pub fn append_runner(&mut self, runner: Table) {
        for (key, value) in [("concurrent", 1), ("check_interval", 0), ("shutdown_timeout", 0)] {
            if !self.document.contains_key(key) {
                self.document.insert(key, toml_edit::value(value));
            }
        }
        let entry = self
            .document
            .entry("runners")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        match entry.as_array_of_tables_mut() {
            Some(runners) => runners.push(runner),
            None => *entry = Item::ArrayOfTables(std::iter::once(runner).collect()),
        }
    }

    /// The `[[runners]]`.
    pub(crate) fn runners(&self) -> Vec<&Table> {
        let runners = self.document.get("runners").and_then(Item::as_array_of_tables);
        runners.into_iter().flat_map(ArrayOfTables::iter).collect()
    }

    /// Whether a runner has a token for which `is_it` is true.
    pub(crate) fn has_token(&self, is_it: impl Fn(&Secret) -> bool) -> bool {
        self.runners().into_iter().any(|r| is_it(&token_of(r)))
    }

    /// The key `concurrent`.
    pub(crate) fn concurrent(&self) -> i64 {
        let written = self.document.get("concurrent").and_then(Item::as_integer);
        written.unwrap_or(1)
    }

    /// Removes the runners for which `unwanted` is true and says how many there were.
    pub fn remove_runners(&mut self, unwanted: impl Fn(&Secret) -> bool) -> usize {
        let Some(runners) = self.document.get_mut("runners").and_then(Item::as_array_of_tables_mut) else {
            return 0;
        };
        let before = runners.len();
        runners.retain(|r| !unwanted(&token_of(r)));
        before - runners.len()
    }

    /// Gives the runners whose token `is_it` a new one and says how many there were.
    pub fn replace_token(&mut self, is_it: impl Fn(&Secret) -> bool, new: &NewToken) -> usize {
        let runners = self.document.get_mut("runners").and_then(Item::as_array_of_tables_mut);
        let mut count = 0;
        for runner in runners.into_iter().flat_map(ArrayOfTables::iter_mut) {
            if !is_it(&token_of(runner)) {
                continue;
            }
            set(runner, "token", toml_edit::value(new.token.expose()));
            set(runner, "token_obtained_at", datetime(&new.obtained_at));
            set(
                runner,
                "token_expires_at",
                datetime(new.expires_at.as_deref().unwrap_or(NEVER)),
            );
            count += 1;
        }
        count
    }

    /// Writes the file: beside it and renamed where possible, in place where the file itself is a mount.
    ///
    /// # Errors
    /// Neither way works.
    pub fn save(&self) -> Result<(), FileError> {
        write(&self.path, &self.document.to_string())
    }
}

/// Writes a whole configuration file as [`ConfigFile::save`] does.
///
/// # Errors
/// Neither way works.
pub fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let failed = |source| FileError::Write {
        path: path.to_owned(),
        source,
    };
    let beside = path.with_extension("toml.new");
    let replaced = write_new(&beside, text)
        .and_then(|file| belong_as(&file, path))
        .and_then(|()| fs::rename(&beside, path));
    if replaced.is_ok() {
        return Ok(());
    }
    // A file mounted into a container cannot be replaced, only rewritten. A stray copy would hold the token.
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "temporary configuration file was not removed");
    }
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

fn token_of(runner: &Table) -> Secret {
    Secret::new(runner.get("token").and_then(Item::as_str).unwrap_or_default())
}

/// Gives a file the owner and the mode of the one it will replace.
fn belong_as(file: &File, old: &Path) -> io::Result<()> {
    let old = match fs::metadata(old) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    file.set_permissions(old.permissions())?;
    let new = file.metadata()?;
    if (old.uid(), old.gid()) == (new.uid(), new.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

/// Changes a value and keeps the comment behind it.
fn set(table: &mut Table, key: &str, mut item: Item) {
    let decor = table.get(key).and_then(Item::as_value).map(|old| old.decor().clone());
    if let (Some(decor), Some(new)) = (decor, item.as_value_mut()) {
        *new.decor_mut() = decor;
    }
    table.insert(key, item);
}

/// A time as the file has it; one that cannot be read is never.
pub(crate) fn datetime(text: &str) -> Item {
    let never = || {
        NEVER
            .parse::<toml_edit::Datetime>()
            .map_or(Item::None, toml_edit::value)
    };
    text.parse::<toml_edit::Datetime>()
        .map_or_else(|_| never(), toml_edit::value)
}

fn write_new(path: &Path, text: &str) -> io::Result<File> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::ConfigFile;
    use toml_edit::{Table, value};

    fn runner(token: &str) -> Table {
        let mut table = Table::new();
        table.insert("token", value(token));
        table
    }

    #[test]
    fn runners_are_appended_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "# mine\nconcurrent = 7 # keep\nodd_key = true\n").unwrap();
        for token in ["a", "b"] {
            let mut file = ConfigFile::open(&path).unwrap();
            file.append_runner(runner(token));
            file.save().unwrap();
        }
        let expected = "# mine\nconcurrent = 7 # keep\nodd_key = true\ncheck_interval = 0\nshutdown_timeout = 0\n\n\
                        [[runners]]\ntoken = \"a\"\n\n[[runners]]\ntoken = \"b\"\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        let mut file = ConfigFile::open(&path).unwrap();
        assert_eq!(file.remove_runners(|t| t.expose() == "a"), 1);
        file.save().unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("\"a\""));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no stray copy");
    }
}
