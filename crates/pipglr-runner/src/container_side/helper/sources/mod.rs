//! `get_sources`: brings the project directory to the job's commit. `clean_up`: leaves it tidy.
//!
//! Compat: gitlab-runner shells/abstract.go (order of steps, messages, what is removed before a fetch).

mod access;
mod git;
mod stale;
mod submodules;
mod work_tree;

use super::plan::{CleanUpPlan, SourcesPlan, Strategy};
use super::{Environment, PhaseFailed, failed};
use crate::container_side::notice;
use access::Files;
pub(crate) use access::{external_config, external_file};
use git::{Git, arguments};
use stale::Cleaned;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use work_tree::{create, remove_tree};

/// The first git whose `clone` can be told which commit to take.
const NATIVE_CLONE_SINCE: (u32, u32) = (2, 49);

/// Carries out the plan; `attempt` counts from 1.
pub(super) fn get(plan: &SourcesPlan, environment: &Environment, attempt: u32) -> Result<(), PhaseFailed> {
    let project = Path::new(&plan.project_dir);
    match plan.strategy {
        Strategy::None => create(project)?,
        Strategy::Empty => {
            remove_tree(project)?;
            create(project)?;
        }
        Strategy::Clone | Strategy::Fetch => return with_git(plan, environment, attempt),
    }
    for line in skipped(plan.strategy) {
        notice::info(line);
    }
    Ok(())
}

/// What is said instead of using git.
#[must_use]
pub fn skipped(strategy: Strategy) -> [&'static str; 3] {
    let setup = if strategy == Strategy::Empty {
        "Skipping Git repository setup and creating an empty build directory"
    } else {
        "Skipping Git repository setup"
    };
    [setup, "Skipping Git checkout", "Skipping Git submodules setup"]
}

fn with_git(plan: &SourcesPlan, environment: &Environment, attempt: u32) -> Result<(), PhaseFailed> {
    let project = Path::new(&plan.project_dir);
    let anywhere = Git {
        environment,
        directory: Path::new("/"),
    };
    if plan.trust_directory {
        trust(plan, anywhere)?;
    }
    let files = access::write(plan)?;
    run_scripts(&plan.pre_scripts, environment, Path::new("/"))?;
    let cleaned = make_ready(plan, project, attempt)?;
    if !plan.access.correlation_id.is_empty() {
        notice::line(&format!("Gitaly correlation ID: {}", plan.access.correlation_id));
    }
    let git = anywhere.at(project);
    create(project.parent().unwrap_or(Path::new("/")))?;
    match &plan.native_clone {
        Some(flags) if can_clone_natively(anywhere) => clone(plan, flags, anywhere, &files)?,
        _ => init_and_fetch(plan, git, &files)?,
    }
    work_tree::checkout(plan, git)?;
    match &plan.submodules {
        Some(submodules) => submodules::update(plan, submodules, git, &files, &cleaned)?,
        None => notice::info("Skipping Git submodules setup"),
    }
    run_scripts(&plan.post_scripts, environment, project)
}

/// git refuses directories of other users; what is here was made by jobs of this slot, whoever they ran as.
fn trust(plan: &SourcesPlan, git: Git<'_>) -> Result<(), PhaseFailed> {
    let mut directories = vec![plan.project_dir.clone()];
    if plan.submodules.is_some() {
        directories.push(format!("{}/*", plan.project_dir));
    }
    for directory in directories {
        git.run(&["config", "--global", "--add", "safe.directory", &directory])?;
    }
    Ok(())
}

/// Removes what is in the way: all of it for a clone, what an earlier try or job left for a fetch.
fn make_ready(plan: &SourcesPlan, project: &Path, attempt: u32) -> Result<Cleaned, PhaseFailed> {
    let git_dir = project.join(".git");
    if attempt > 1 && project.is_dir() {
        notice::info("Deleting tracked and untracked files...");
    }
    // A repository that was in order would not fail twice.
    let hopeless = attempt > 2 || stale::is_hijacked(&git_dir);
    if plan.strategy == Strategy::Clone || hopeless {
        remove_tree(project)?;
        return Ok(Cleaned::default());
    }
    let cleaned = stale::clean(&git_dir, plan.clean_config)
        .map_err(|error| failed(&format!("clean {}: {error}", git_dir.display())))?;
    if attempt > 1 && project.is_dir() {
        work_tree::clear(project)?;
    }
    Ok(cleaned)
}

fn init_and_fetch(plan: &SourcesPlan, git: Git<'_>, files: &Files) -> Result<(), PhaseFailed> {
    if plan.depth > 0 {
        notice::info(&format!("Fetching changes with git depth set to {}...", plan.depth));
    } else {
        notice::info("Fetching changes...");
    }
    let mut init = arguments(&["init", &plan.project_dir], &[]);
    init.push(format!("--template={}", files.template.display()));
    if !matches!(plan.object_format.as_str(), "" | "sha1") {
        init.push(format!("--object-format={}", plan.object_format));
    }
    git.at(Path::new("/")).run(&init)?;
    if git.succeeds(&["remote", "add", "origin", &plan.remote_url]) {
        notice::info("Created fresh repository.");
    } else {
        git.run(&["remote", "set-url", "origin", &plan.remote_url])?;
    }
    let include = files.external.display().to_string();
    git.run(&["config", "--replace-all", "include.path", &include])?;
    fetch(plan, git)
}

fn fetch(plan: &SourcesPlan, git: Git<'_>) -> Result<(), PhaseFailed> {
    let mut command = settings(plan);
    command.extend(arguments(
        &["fetch", "origin", "--no-recurse-submodules"],
        &plan.refspecs,
    ));
    if plan.depth > 0 {
        command.extend(["--depth".to_owned(), plan.depth.to_string()]);
    } else if git.directory.join(".git/shallow").exists() {
        command.push("--unshallow".to_owned());
    }
    command.extend(plan.fetch_flags.iter().cloned());
    git.run(&command)
}

fn clone(plan: &SourcesPlan, flags: &[String], git: Git<'_>, files: &Files) -> Result<(), PhaseFailed> {
    notice::info(&format!(
        "Git version at least \"{}.{}\"",
        NATIVE_CLONE_SINCE.0, NATIVE_CLONE_SINCE.1
    ));
    let depth = if plan.depth > 0 {
        format!(" with git depth set to {}", plan.depth)
    } else {
        String::new()
    };
    notice::info(&format!("Cloning repository for {}{depth}...", plan.reference));
    let mut command = settings(plan);
    command.extend(["-c".to_owned(), format!("include.path={}", files.external.display())]);
    command.extend(arguments(
        &["clone", "--no-checkout", &plan.remote_url, &plan.project_dir],
        &[format!("--template={}", files.template.display())],
    ));
    if plan.depth > 0 {
        command.extend(["--depth".to_owned(), plan.depth.to_string()]);
    }
    let by = if plan.reference.starts_with("refs/") {
        "--revision"
    } else {
        "--branch"
    };
    command.extend([by.to_owned(), plan.reference.clone()]);
    command.extend(flags.iter().cloned());
    git.run(&command)
}

/// Settings of a command that speaks to the remote.
fn settings(plan: &SourcesPlan) -> Vec<String> {
    let mut settings = vec!["-c".to_owned(), format!("http.userAgent={}", plan.user_agent)];
    if let Some(setting) = &plan.proactive_auth {
        settings.extend(["-c".to_owned(), setting.clone()]);
    }
    settings
}

fn can_clone_natively(git: Git<'_>) -> bool {
    let output = git.output(&["version"]).unwrap_or_default();
    version(&String::from_utf8_lossy(&output)).is_some_and(|version| version >= NATIVE_CLONE_SINCE)
}

/// Major and minor number of `git version 2.47.3`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Leaves the project directory as `FF_ENABLE_JOB_CLEANUP` wants it. The job's scripts had it in their hands, so its
/// configuration and hooks go first.
pub(super) fn clean_up(plan: &CleanUpPlan, environment: &Environment) -> Result<(), PhaseFailed> {
    let project = Path::new(&plan.project_dir);
    match plan.strategy {
        Strategy::None => {
            notice::info("Skipping build directory cleanup step");
            return Ok(());
        }
        Strategy::Clone | Strategy::Empty => return remove_tree(project),
        Strategy::Fetch => {}
    }
    let git_dir = project.join(".git");
    if stale::is_hijacked(&git_dir) {
        return remove_tree(project);
    }
    let cleaned =
        stale::clean(&git_dir, true).map_err(|error| failed(&format!("clean {}: {error}", git_dir.display())))?;
    if !git_dir.is_dir() {
        return Ok(());
    }
    let git = Git {
        environment,
        directory: project,
    };
    git.run(&["config", "--global", "--add", "safe.directory", "*"])?;
    if plan.submodules {
        submodules::drop_dishonest(git, &cleaned)?;
    }
    if let Some(flags) = &plan.clean_flags {
        git.run(&arguments(&["clean"], flags))?;
    }
    git.run(&["reset", "--hard"])?;
    if plan.submodules {
        let each = submodules::Each {
            git,
            recursive: plan.recursive,
        };
        if let Some(flags) = &plan.clean_flags {
            each.run(&submodules::clean_script(flags))?;
        }
        each.run("git reset --hard")?;
    }
    Ok(())
}

/// Runs hook scripts with the helper's own shell; they come rendered like steps, on stdin.
fn run_scripts(scripts: &[String], environment: &Environment, directory: &Path) -> Result<(), PhaseFailed> {
    for script in scripts {
        let run = || -> std::io::Result<_> {
            let mut shell = Command::new("bash")
                .envs(environment)
                .current_dir(directory)
                .stdin(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = shell.stdin.take() {
                stdin.write_all(script.as_bytes())?;
            }
            shell.wait()
        };
        let status = run().map_err(|error| failed(&format!("run a get_sources hook: {error}")))?;
        if !status.success() {
            return Err(PhaseFailed(status.code().unwrap_or(1)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn gits_version_is_read() {
        for (text, expected) in [
            ("git version 2.47.3\n", Some((2, 47))),
            ("git version 2.49.0.windows.1", Some((2, 49))),
            ("git version 3.0-rc1", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
