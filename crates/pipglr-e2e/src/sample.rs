//! The sample project: a git repository made from the files beside this crate.

use crate::command::CommandExt as _;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a git repository at `directory` from the sample project `name`, with `@KEY@` replaced.
///
/// # Errors
/// Files or git fail.
pub fn materialize(name: &str, directory: &Path, values: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let target = directory.join("sample");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    copy(&source, &target, values).with_context(|| format!("copy {}", source.display()))?;
    commit(&target)?;
    Ok(target)
}

/// Makes a git repository at `directory` from single files.
///
/// # Errors
/// Files or git fail.
pub fn from_files(directory: &Path, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().context("files lie below the repository")?)?;
        fs::write(&path, content)?;
    }
    commit(directory)?;
    Ok(directory.to_owned())
}

fn copy(source: &Path, target: &Path, values: &[(&str, &str)]) -> anyhow::Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to, values)?;
            continue;
        }
        let mut text = fs::read_to_string(entry.path())?;
        for (key, value) in values {
            text = text.replace(&format!("@{key}@"), value);
        }
        fs::write(&to, text)?;
        fs::set_permissions(&to, entry.metadata()?.permissions())?;
    }
    Ok(())
}

fn commit(repository: &Path) -> anyhow::Result<()> {
    let git = |arguments: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new("git");
        command.current_dir(repository).args(arguments);
        for (key, value) in [("NAME", "Sample"), ("EMAIL", "sample@localhost")] {
            command
                .env(format!("GIT_AUTHOR_{key}"), value)
                .env(format!("GIT_COMMITTER_{key}"), value);
        }
        // The same files are the same commit.
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
        }
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .run_text()
            .map(drop)
    };
    git(&["init", "--quiet", "--initial-branch=main"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "Sample project"])
}
