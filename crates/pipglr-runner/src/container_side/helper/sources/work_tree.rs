//! The project directory: made, emptied, brought to a commit, left behind.

use super::git::{Git, arguments};
use crate::container_side::helper::plan::SourcesPlan;
use crate::container_side::helper::{PhaseFailed, failed};
use crate::container_side::notice;
use std::fs;
use std::io;
use std::path::Path;

/// Checks the commit out and cleans up around it.
pub(super) fn checkout(plan: &SourcesPlan, git: Git<'_>) -> Result<(), PhaseFailed> {
    if !plan.checkout {
        notice::info("Skipping Git checkout");
        return Ok(());
    }
    let short = plan.sha.get(..8).unwrap_or(&plan.sha);
    notice::info(&format!(
        "Checking out {short} as detached HEAD (ref is {})...",
        plan.reference
    ));
    let mut command = arguments(&["-c", "submodule.recurse=false"], &[]);
    if let Some(setting) = &plan.proactive_auth {
        command.extend(["-c".to_owned(), setting.clone()]);
    }
    command.extend(arguments(&["checkout", "-f", "-q"], std::slice::from_ref(&plan.sha)));
    git.run(&command)?;
    if let Some(flags) = &plan.clean_flags {
        git.run(&arguments(&["clean"], flags))?;
    }
    pull_lfs(plan, git)
}

/// Puts content in place of LFS pointers.
fn pull_lfs(plan: &SourcesPlan, git: Git<'_>) -> Result<(), PhaseFailed> {
    if plan.skip_lfs || !git.succeeds(&USES_LFS) || !git.succeeds(&["lfs", "version"]) {
        return Ok(());
    }
    // For the helper only: with filters in the repository's configuration every git of the job's image would need LFS.
    git.run(&["lfs", "install", "--skip-repo"])?;
    git.run(&["lfs", "pull"])?;
    notice::line("");
    Ok(())
}

/// Whether the commit has files that are kept in LFS.
const USES_LFS: [&str; 6] = [
    "grep",
    "--quiet",
    "filter=lfs",
    "HEAD",
    "--",
    ":(glob)**/.gitattributes",
];

/// The same as a command for a shell.
pub(super) fn uses_lfs_script() -> String {
    let words: Vec<String> = USES_LFS.iter().map(|word| format!("'{word}'")).collect();
    format!("git {}", words.join(" "))
}

/// Removes everything but the repository itself; its index and the submodules' repositories go, too, as they may be
/// what is broken.
pub(super) fn clear(project: &Path) -> Result<(), PhaseFailed> {
    let clear = || -> io::Result<()> {
        for entry in fs::read_dir(project)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        let git_dir = project.join(".git");
        for result in [
            fs::remove_file(git_dir.join("index")),
            fs::remove_dir_all(git_dir.join("modules")),
        ] {
            match result {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    };
    clear().map_err(|error| failed(&format!("empty {}: {error}", project.display())))
}

pub(super) fn remove_tree(path: &Path) -> Result<(), PhaseFailed> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        other => other,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(&format!("remove {}: {error}", path.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn create(path: &Path) -> Result<(), PhaseFailed> {
    fs::create_dir_all(path).map_err(|error| failed(&format!("create {}: {error}", path.display())))
}
