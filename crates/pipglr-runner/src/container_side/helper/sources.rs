//! `get_sources`: brings the project directory to the job's commit.
//!
//! Compat: gitlab-runner shells/abstract.go (order of steps, messages, what is removed before a fetch).

use super::git::Git;
use super::plan::{SourcesPlan, Strategy};
use super::{Environment, PhaseFailed};
use crate::container_side::notice;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lock files and hooks an earlier job can have left in `.git`.
const STALE: [&str; 5] = [
    "index.lock",
    "shallow.lock",
    "HEAD.lock",
    "config.lock",
    "hooks/post-checkout",
];

/// Carries out the plan; `attempt` counts from 1.
pub(super) fn get(plan: &SourcesPlan, environment: &Environment, attempt: u32) -> Result<(), PhaseFailed> {
    let project = Path::new(&plan.project_dir);
    match plan.strategy {
        Strategy::None => {
            notice::info("Skipping Git repository setup");
            create(project)?;
        }
        Strategy::Empty => {
            notice::info("Skipping Git repository setup and creating an empty build directory");
            remove_tree(project)?;
            create(project)?;
        }
        Strategy::Clone | Strategy::Fetch => return with_git(plan, environment, attempt),
    }
    notice::info("Skipping Git checkout");
    notice::info("Skipping Git submodules setup");
    Ok(())
}

fn with_git(plan: &SourcesPlan, environment: &Environment, attempt: u32) -> Result<(), PhaseFailed> {
    let project = Path::new(&plan.project_dir);
    let anywhere = Git {
        environment,
        directory: Path::new("/"),
    };
    anywhere.run(&["config", "--global", "--add", "safe.directory", &plan.project_dir])?;
    run_scripts(&plan.pre_scripts, environment, Path::new("/"))?;
    if attempt > 1 && project.is_dir() {
        notice::info("Deleting tracked and untracked files...");
        remove_tree(project)?;
    }
    let git_dir = project.join(".git");
    if is_hijacked(&git_dir) {
        remove_tree(project)?;
    }
    remove_stale(&git_dir)?;
    if plan.strategy == Strategy::Clone {
        remove_tree(project)?;
    }
    let credentials = write_git_files(plan)?;
    let fresh = !git_dir.is_dir();
    let mut init: Vec<String> = vec!["init".into(), plan.project_dir.clone()];
    init.push(format!("--template={}", template_dir(plan).display()));
    if !matches!(plan.object_format.as_str(), "" | "sha1") {
        init.push(format!("--object-format={}", plan.object_format));
    }
    announce_fetch(plan);
    create(project.parent().unwrap_or(Path::new("/")))?;
    anywhere.run(&init)?;
    let git = Git {
        environment,
        directory: project,
    };
    if git.succeeds(&["remote", "add", "origin", &plan.remote_url]) {
        notice::info("Created fresh repository.");
    } else {
        git.run(&["remote", "set-url", "origin", &plan.remote_url])?;
    }
    git.run(&["config", "include.path", &credentials.display().to_string()])?;
    fetch(plan, &git, fresh)?;
    checkout(plan, &git)?;
    notice::info("Skipping Git submodules setup");
    run_scripts(&plan.post_scripts, environment, project)
}

fn announce_fetch(plan: &SourcesPlan) {
    if plan.depth > 0 {
        notice::info(&format!("Fetching changes with git depth set to {}...", plan.depth));
    } else {
        notice::info("Fetching changes...");
    }
}

fn fetch(plan: &SourcesPlan, git: &Git<'_>, fresh: bool) -> Result<(), PhaseFailed> {
    let mut arguments: Vec<String> = vec!["-c".into(), format!("http.userAgent={}", plan.user_agent)];
    arguments.extend(["fetch".into(), "origin".into(), "--no-recurse-submodules".into()]);
    arguments.extend(plan.refspecs.iter().cloned());
    if plan.depth > 0 {
        arguments.extend(["--depth".into(), plan.depth.to_string()]);
    } else if !fresh && git.directory.join(".git/shallow").exists() {
        arguments.push("--unshallow".into());
    }
    arguments.extend(plan.fetch_flags.iter().cloned());
    git.run(&arguments)
}

fn checkout(plan: &SourcesPlan, git: &Git<'_>) -> Result<(), PhaseFailed> {
    if !plan.checkout {
        notice::info("Skipping Git checkout");
        return Ok(());
    }
    let short = plan.sha.get(..8).unwrap_or(&plan.sha);
    notice::info(&format!(
        "Checking out {short} as detached HEAD (ref is {})...",
        plan.reference
    ));
    git.run(&["-c", "submodule.recurse=false", "checkout", "-f", "-q", &plan.sha])?;
    if let Some(flags) = &plan.clean_flags {
        let mut arguments = vec!["clean".to_owned()];
        arguments.extend(flags.iter().cloned());
        git.run(&arguments)?;
    }
    let uses_lfs = || {
        git.succeeds(&[
            "grep",
            "--quiet",
            "filter=lfs",
            "HEAD",
            "--",
            ":(glob)**/.gitattributes",
        ])
    };
    if !plan.skip_lfs && uses_lfs() && git.succeeds(&["lfs", "install", "--local", "--skip-smudge"]) {
        git.run(&["lfs", "pull"])?;
        notice::line("");
    }
    Ok(())
}

/// Writes the template directory and the file with credentials, both outside the work tree, and returns the latter.
/// It is included by the repository's configuration so that scripts can fetch and push; the build container removes
/// it when the job's scripts are done.
fn write_git_files(plan: &SourcesPlan) -> Result<PathBuf, PhaseFailed> {
    let external = Path::new(&plan.temp_dir).join(".gitlab-runner.ext.conf");
    let mut rules = String::from("[transfer]\n\tbundleURI = true\n");
    for rule in &plan.url_rules {
        rules.push_str(&format!(
            "[url {}]\n\tinsteadOf = {}\n",
            config_string(rule.with_credentials.expose()),
            config_string(&rule.plain)
        ));
    }
    if let Some(tls) = &plan.tls {
        rules.push_str(&format!(
            "[http {}]\n\tsslCAInfo = {}\n",
            config_string(&tls.base_url),
            config_string(&tls.ca_file)
        ));
    }
    let template = template_dir(plan);
    let template_config = format!(
        "[init]\n\tdefaultBranch = none\n[fetch]\n\trecurseSubmodules = false\n[credential]\n\tinteractive = never\n\
         [gc]\n\tautoDetach = false\n[include]\n\tpath = {}\n",
        config_string(&external.display().to_string())
    );
    let write = || -> io::Result<()> {
        match fs::remove_dir_all(&template) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&template)?;
        fs::write(template.join("config"), &template_config)?;
        super::write_file(&external, &rules)
    };
    write().map_err(|error| failed(&format!("prepare {}: {error}", plan.temp_dir)))?;
    Ok(external)
}

/// A value as git's configuration quotes it.
fn config_string(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn template_dir(plan: &SourcesPlan) -> PathBuf {
    Path::new(&plan.temp_dir).join("git-template")
}

/// Whether an earlier job turned `.git` into something that leads elsewhere, where configuration and hooks would be
/// found that are not removed.
fn is_hijacked(git_dir: &Path) -> bool {
    let metadata = fs::symlink_metadata(git_dir);
    let elsewhere = ["commondir", "worktrees"]
        .iter()
        .any(|name| fs::symlink_metadata(git_dir.join(name)).is_ok());
    metadata.is_ok_and(|m| !m.is_dir() || elsewhere)
}

/// Removes what an earlier job can have left to disturb or hijack git.
fn remove_stale(git_dir: &Path) -> Result<(), PhaseFailed> {
    if !git_dir.is_dir() {
        return Ok(());
    }
    let clean = || -> io::Result<()> {
        for name in STALE.iter().chain(["config"].iter()) {
            remove_file(&git_dir.join(name))?;
        }
        match fs::remove_dir_all(git_dir.join("hooks")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        remove_locks(&git_dir.join("refs"))
    };
    clean().map_err(|error| failed(&format!("clean {}: {error}", git_dir.display())))
}

fn remove_locks(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_locks(&entry.path())?;
        } else if entry.path().extension().is_some_and(|e| e == "lock") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_tree(path: &Path) -> Result<(), PhaseFailed> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(&format!("remove {}: {error}", path.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn create(path: &Path) -> Result<(), PhaseFailed> {
    fs::create_dir_all(path).map_err(|error| failed(&format!("create {}: {error}", path.display())))
}

/// Runs hook scripts with the helper's own shell.
fn run_scripts(scripts: &[String], environment: &Environment, directory: &Path) -> Result<(), PhaseFailed> {
    for script in scripts {
        let status = Command::new("bash")
            .args(["-c", script])
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| failed(&format!("run a get_sources hook: {error}")))?;
        if !status.success() {
            return Err(PhaseFailed(status.code().unwrap_or(1)));
        }
    }
    Ok(())
}

fn failed(message: &str) -> PhaseFailed {
    notice::error(message);
    PhaseFailed(1)
}

#[cfg(test)]
mod tests {
    use super::config_string;

    #[test]
    fn urls_cannot_break_out_of_the_configuration() {
        assert_eq!(config_string("http://a:b@h/x"), "\"http://a:b@h/x\"");
        assert_eq!(config_string("a\"]\n[core]\\"), "\"a\\\"]\\n[core]\\\\\"");
    }
}
