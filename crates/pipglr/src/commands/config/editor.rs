//! `pipglr config edit`.

use super::super::Outcome;
use super::Place;
use super::change::{Draft, change};
use crate::cli::EditArgs;
use crate::error::{CliError, tell};
use crate::output;
use anyhow::{Context as _, anyhow};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;

pub(super) fn run(args: &EditArgs) -> Outcome {
    let place = Place::of(&args.place)?;
    let old = place.read()?;
    let directory = Scratch::make()?;
    let file = directory.0.join("config.toml");
    write_private(&file, &old)?;
    loop {
        edit(&file)?;
        let text = std::fs::read_to_string(&file).context("read what was edited")?;
        match Draft::checked(text, &place.name()) {
            Ok(new) => return change(&place, &old, new, args.change.restart),
            Err(error) => {
                tell(&error, crate::cli::CalledAs::Pipglr);
                if !again()? {
                    return Err(CliError::with_hint(
                        anyhow!("the configuration stays as it was"),
                        "pipglr config edit begins anew",
                    ));
                }
            }
        }
    }
}

/// Runs the person's editor. As git does it, the variable may have arguments.
fn edit(file: &Path) -> Result<(), CliError> {
    let chosen = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let editor = chosen.unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), "sh"])
        .arg(file)
        .status()
        .with_context(|| format!("start the editor {editor:?}"))?;
    if status.success() {
        return Ok(());
    }
    Err(CliError::with_hint(
        anyhow!("the editor {editor:?} ended with {status}; the configuration stays as it was"),
        "set EDITOR to the editor of your choice",
    ))
}

/// Asks whether to go on; without a terminal nobody can.
fn again() -> Result<bool, CliError> {
    let mut stdin = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    output::aside("edit again? [Y/n] ");
    let mut answer = String::new();
    stdin.read_line(&mut answer).context("read standard input")?;
    Ok(!answer.is_empty() && !answer.trim().to_ascii_lowercase().starts_with('n'))
}

/// A directory for this person's eyes, which goes with the value.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn make() -> Result<Self, CliError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let parent = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_dir());
        let parent = parent.map_or_else(std::env::temp_dir, Into::into);
        let path = parent.join(format!("pipglr-edit-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            output::aside(format_args!("warning: {} is left behind: {error}", self.0.display()));
        }
    }
}

fn write_private(file: &Path, text: &str) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    opened
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", file.display()))?;
    Ok(())
}
