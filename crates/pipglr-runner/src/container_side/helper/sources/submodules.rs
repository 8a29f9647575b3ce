//! Submodules: kept ones are cleaned first, then all are brought to what the commit names.
//!
//! Compat: gitlab-runner shells/abstract.go `writeSubmoduleUpdateCmd` (order of commands, messages).

use super::access::Files;
use super::git::{Git, arguments};
use super::stale::Cleaned;
use super::work_tree::{remove_tree, uses_lfs_script};
use crate::container_side::helper::PhaseFailed;
use crate::container_side::helper::plan::{SourcesPlan, SubmodulesPlan};
use crate::container_side::notice;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Brings all wanted submodules to the commits the checked out commit names; `cleaned` are the ones of earlier jobs.
pub(super) fn update(
    plan: &SourcesPlan,
    submodules: &SubmodulesPlan,
    git: Git<'_>,
    files: &Files,
    cleaned: &Cleaned,
) -> Result<(), PhaseFailed> {
    let each = Each {
        git,
        recursive: submodules.recursive,
    };
    announce(submodules);
    drop_dishonest(git, cleaned)?;
    git.run(&["submodule", "init"])?;
    if submodules.recursive {
        reconnect_nested(git)?;
    }
    sync(submodules, git)?;
    each.clean(submodules)?;
    each.run("git reset --hard")?;
    let update = update_command(plan, submodules, files);
    if git.run(&update).is_ok() {
        notice::info("Updated submodules");
        sync(submodules, git)?;
    } else {
        notice::caution("Updating submodules failed. Retrying...");
        if submodules.update_flags.iter().any(|f| f == "--remote") {
            // The commit a remote branch points at is found among remote branches only.
            each.run("git fetch origin +refs/heads/*:refs/remotes/origin/*")?;
        }
        sync(submodules, git)?;
        git.run(&update)?;
        each.run("git reset --hard")?;
    }
    each.clean(submodules)?;
    notice::info("Configuring submodules to use parent git credentials...");
    let include = format!(
        "git config --replace-all include.path {}",
        shell_quoted(&files.external.display().to_string())
    );
    Each {
        recursive: true,
        ..each
    }
    .run(&include)?;
    if !plan.skip_lfs && git.succeeds(&["lfs", "version"]) {
        notice::info("Pulling LFS files...");
        each.run(&format!("if {}; then git lfs pull; fi", uses_lfs_script()))?;
    }
    Ok(())
}

fn announce(plan: &SubmodulesPlan) {
    let recursively = if plan.recursive { " recursively" } else { "" };
    let depth = if plan.depth > 0 {
        format!(" with git depth set to {}", plan.depth)
    } else {
        String::new()
    };
    notice::info(&format!("Updating/initializing submodules{recursively}{depth}..."));
}

/// Kept submodules lost their configuration, and with it the addresses of those inside them, which `git submodule sync`
/// only renews where they are known already. From the outside in, each gets its own back.
fn reconnect_nested(git: Git<'_>) -> Result<(), PhaseFailed> {
    git.run(&["submodule", "--quiet", "sync"])?;
    let nested = "git submodule --quiet init && git submodule --quiet sync";
    git.run(&["submodule", "--quiet", "foreach", "--recursive", nested])
}

fn sync(plan: &SubmodulesPlan, git: Git<'_>) -> Result<(), PhaseFailed> {
    let mut command = arguments(&["submodule", "sync"], &[]);
    if plan.recursive {
        command.push("--recursive".to_owned());
    }
    add_paths(&mut command, plan);
    git.run(&command)
}

fn update_command(plan: &SourcesPlan, submodules: &SubmodulesPlan, files: &Files) -> Vec<String> {
    // git hands these settings on to what it runs for each submodule.
    let mut command = arguments(
        &["-c", "fetch.recurseSubmodules=false", "-c"],
        &[format!("include.path={}", files.external.display())],
    );
    if let Some(setting) = &plan.proactive_auth {
        command.extend(["-c".to_owned(), setting.clone()]);
    }
    command.extend(arguments(&["submodule", "update", "--init"], &[]));
    if submodules.recursive {
        command.push("--recursive".to_owned());
    }
    if submodules.depth > 0 {
        command.extend(["--depth".to_owned(), submodules.depth.to_string()]);
    }
    command.extend(submodules.update_flags.iter().cloned());
    add_paths(&mut command, submodules);
    command
}

fn add_paths(command: &mut Vec<String>, plan: &SubmodulesPlan) {
    if !plan.paths.is_empty() {
        command.push("--".to_owned());
        command.extend(plan.paths.iter().cloned());
    }
}

/// `git submodule foreach`.
#[derive(Clone, Copy)]
pub(super) struct Each<'a> {
    pub(super) git: Git<'a>,
    pub(super) recursive: bool,
}

impl Each<'_> {
    pub(super) fn run(self, script: &str) -> Result<(), PhaseFailed> {
        let mut command = arguments(&["submodule", "foreach"], &[]);
        if self.recursive {
            command.push("--recursive".to_owned());
        }
        command.push(script.to_owned());
        self.git.run(&command)
    }

    fn clean(self, plan: &SubmodulesPlan) -> Result<(), PhaseFailed> {
        match &plan.foreach_clean_flags {
            Some(flags) => self.run(&clean_script(flags)),
            None => Ok(()),
        }
    }
}

/// `git clean` with flags, for a shell.
pub(super) fn clean_script(flags: &[String]) -> String {
    let mut script = "git clean".to_owned();
    for flag in flags {
        script.push(' ');
        script.push_str(&shell_quoted(flag));
    }
    script
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Empties the directories of submodules whose `.git` is not what git made: an earlier job can have put a repository
/// there whose configuration runs programs. Not only those this job wants are looked at, as git enters them all.
pub(super) fn drop_dishonest(git: Git<'_>, cleaned: &Cleaned) -> Result<(), PhaseFailed> {
    for path in submodule_paths(git) {
        if let Some(link) = first_link(git.directory, &path) {
            remove_tree(&link)?;
            continue;
        }
        let work_tree = git.directory.join(path);
        if !work_tree.is_dir() {
            continue;
        }
        if !cleaned.is_honest_submodule(&work_tree) {
            remove_tree(&work_tree)?;
        } else if work_tree.join(".git").exists() {
            drop_dishonest(git.at(&work_tree), cleaned)?;
        }
    }
    Ok(())
}

/// What stands on the way to a submodule and leads elsewhere.
fn first_link(directory: &Path, path: &Path) -> Option<PathBuf> {
    let mut place = directory.to_owned();
    path.components().find_map(|component| {
        place.push(component);
        place.is_symlink().then(|| place.clone())
    })
}

/// Directories that are submodules by the index.
fn submodule_paths(git: Git<'_>) -> Vec<PathBuf> {
    let listed = git.output(&["ls-files", "--stage", "-z"]).unwrap_or_default();
    listed
        .split(|&b| b == 0)
        .filter(|entry| entry.starts_with(b"160000 "))
        .filter_map(|entry| {
            let tab = entry.iter().position(|&b| b == b'\t')?;
            Some(PathBuf::from(OsString::from_vec(entry[tab + 1..].to_vec())))
        })
        .collect()
}
