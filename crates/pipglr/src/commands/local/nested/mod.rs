//! `pipglr local --nested`: the same command in a container of the pipglr image, which has an engine of its own. The
//! machine's podman runs that one container, and nothing of a job.

mod arguments;
mod plan;

use super::CANCELED;
use super::places::{self, Places};
use super::stop::Stops;
use crate::cli::LocalArgs;
use crate::commands::Outcome;
use crate::error::CliError;
use anyhow::{Context as _, anyhow};
use plan::{ARCHIVES, Facts, PID, Plan, REPORT};
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};

/// `podman exec`'s own failures: no such container, command cannot be started or is not there.
const OF_PODMAN: std::ops::RangeInclusive<i32> = 125..=127;
/// Variables that say how to show things and how to pull, for the command in the sandbox.
const PASSED_ON: [&str; 4] = ["TERM", "NO_COLOR", "COLORTERM", "DOCKER_AUTH_CONFIG"];

/// Runs the command in a sandbox, which goes with it.
pub(super) async fn run(args: &LocalArgs, image: &str, places: &Places, stops: &mut Stops) -> Outcome {
    check_devices()?;
    let directory = std::env::current_dir().context("find the current directory")?;
    let plan = Plan::new(
        args,
        &Facts {
            image,
            repo: &places.repo,
            git: git_elsewhere(&places.repo).await?,
            project: &places.project,
            slot: &places.slot,
            directory: &directory,
            home: std::env::home_dir(),
            options: &std::env::var("PIPGLR_OPTIONS").unwrap_or_default(),
            terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            environment: environment(args),
        },
    );
    // We have the slot: a sandbox of this name was left by a run that was killed.
    remove(&plan.container).await?;
    if args.log_dir.is_none() {
        places::remove_tree(&plan.logs)?;
    }
    places::create_private(&plan.logs).with_context(|| format!("create {}", plan.logs.display()))?;
    let outcome = in_sandbox(&plan, &places.runtime, stops).await;
    let removed = remove(&plan.container).await;
    let code = outcome?;
    removed?;
    Ok(code)
}

/// From the start of the sandbox until all that is wanted was taken out of it.
async fn in_sandbox(plan: &Plan, runtime: &Path, stops: &mut Stops) -> Outcome {
    for volume in &plan.volumes {
        provide_volume(volume, &plan.labels).await?;
    }
    let mut starting = podman();
    starting.args(&plan.run).process_group(0).stdout(Stdio::null());
    let mut starting = starting.spawn().context("start podman")?;
    let started = tokio::select! {
        status = starting.wait() => status.context("podman run")?,
        _ = stops.next() => {
            starting.kill().await.context("end podman run")?;
            return Ok(CANCELED);
        }
    };
    if !started.success() {
        return Err(CliError::with_hint(
            anyhow!("the sandbox cannot be started: podman run ended with {started}"),
            "what podman said is above; --nested=IMAGE names another image, --pull says when it is pulled",
        ));
    }
    let mut command = podman();
    command.args(&plan.exec);
    if !plan.exec.iter().any(|word| word == "--tty") {
        // Ctrl-C is for us: podman would go away and leave the command alone.
        command.process_group(0).stdin(Stdio::null());
    }
    let code = follow(command.spawn().context("start podman")?, plan, stops).await?;
    if OF_PODMAN.contains(&code) {
        return Err(anyhow!("the command in the sandbox cannot be started: podman exec ended with {code}").into());
    }
    take_out(plan, runtime).await?;
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Waits for the command, and passes signals on to it.
async fn follow(mut command: Child, plan: &Plan, stops: &mut Stops) -> Result<i32, CliError> {
    loop {
        tokio::select! {
            status = command.wait() => return Ok(status.context("podman exec")?.code().unwrap_or(CANCELED.into())),
            _ = stops.next() => {
                let kill = format!("kill -INT $(cat {PID})");
                let killed = quiet(&["exec", &plan.container, "sh", "-c", &kill]).await?;
                if !killed.status.success() {
                    // It has not begun, or has ended already.
                    command.kill().await.context("end podman exec")?;
                    return Ok(CANCELED.into());
                }
            }
        }
    }
}

/// Logs, and artifacts if they are wanted; their archives pass through `runtime`, which goes with us.
async fn take_out(plan: &Plan, runtime: &Path) -> Result<(), CliError> {
    copy(plan, &plan.logs, &plan.logs).await?;
    if let Some(report) = &plan.report {
        take_report(plan, report).await?;
    }
    let Some(directory) = &plan.artifacts else {
        return Ok(());
    };
    if !is_there(plan, ARCHIVES).await? {
        return Ok(());
    }
    let archives = runtime.join("artifacts");
    places::create_private(&archives).with_context(|| format!("create {}", archives.display()))?;
    copy(plan, Path::new(ARCHIVES), &archives).await?;
    let mut all: Vec<PathBuf> = fs::read_dir(&archives)
        .context("read the artifacts")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()
        .context("read the artifacts")?;
    // In the order in which their jobs ended.
    all.sort();
    for archive in &all {
        pipglr_runner::unpack(archive, directory).context("artifacts")?;
    }
    Ok(())
}

/// The page about the run; there is none of a run that did not begin.
async fn take_report(plan: &Plan, report: &Path) -> Result<(), CliError> {
    if is_there(plan, REPORT).await? {
        checked(&["cp", &format!("{}:{REPORT}", plan.container), &report.to_string_lossy()]).await?;
    }
    Ok(())
}

/// Keeps a job's archive for the host, as the `number`th.
pub(super) fn keep_archive(archive: &Path, directory: &Path, number: usize) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let target = directory.join(format!("{number:09}"));
    fs::copy(archive, &target).with_context(|| format!("write {}", target.display()))?;
    Ok(())
}

/// The sandbox of a slot, by its name; its volumes' names begin with that and a hyphen.
pub(super) fn sandbox(project: &str, slot: &Path) -> String {
    plan::container(project, &slot.file_name().unwrap_or_default().to_string_lossy())
}

async fn copy(plan: &Plan, from: &Path, to: &Path) -> Result<(), CliError> {
    let from = format!("{}:{}/.", plan.container, from.display());
    checked(&["cp", &from, &to.to_string_lossy()]).await
}

async fn is_there(plan: &Plan, path: &str) -> Result<bool, CliError> {
    let output = quiet(&["exec", &plan.container, "test", "-e", path]).await?;
    Ok(output.status.success())
}

async fn provide_volume(name: &str, labels: &[String]) -> Result<(), CliError> {
    if quiet(&["volume", "exists", name]).await?.status.success() {
        return Ok(());
    }
    let labels = labels.iter().map(|label| format!("--label={label}"));
    let words: Vec<String> = ["volume".to_owned(), "create".to_owned()]
        .into_iter()
        .chain(labels)
        .collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push(name);
    checked(&words).await
}

async fn remove(container: &str) -> Result<(), CliError> {
    checked(&["rm", "--force", "--ignore", "--volumes", "--time", "0", container]).await
}

async fn checked(arguments: &[&str]) -> Result<(), CliError> {
    let output = quiet(arguments).await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(anyhow!("podman {}: {}", arguments.join(" "), said.trim()).into())
}

async fn quiet(arguments: &[&str]) -> Result<Output, CliError> {
    let mut command = podman();
    command.args(arguments).process_group(0).stdin(Stdio::null());
    let output = command.output().await;
    output.map_err(super::podman::not_started)
}

/// This machine's podman: the sandbox's options mean nothing to another one.
fn podman() -> Command {
    let mut command = Command::new("podman");
    command.env_remove("CONTAINER_HOST").env_remove("CONTAINER_CONNECTION");
    command
}

/// Names only: values are no part of a command line.
fn environment(args: &LocalArgs) -> Vec<String> {
    let wanted = args.context.variables.iter().filter(|text| !text.contains('='));
    let names = PASSED_ON.into_iter().map(str::to_owned).chain(wanted.cloned());
    names.filter(|name| std::env::var_os(name).is_some()).collect()
}

/// git's directory of a linked working tree or a submodule.
async fn git_elsewhere(repo: &Path) -> Result<Option<PathBuf>, CliError> {
    let mut git = Command::new("git");
    git.args(["rev-parse", "--path-format=absolute", "--git-common-dir"])
        .current_dir(repo);
    let output = git.output().await.context("start git")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let directory = PathBuf::from(said.trim_end_matches('\n'));
    Ok(Some(directory).filter(|directory| output.status.success() && !directory.starts_with(repo)))
}

fn check_devices() -> Result<(), CliError> {
    for device in ["/dev/fuse", "/dev/net/tun"] {
        let opened = fs::OpenOptions::new().read(true).write(true).open(device);
        opened.map_err(|error| {
            let hint = format!("as root, modprobe its driver and chmod 666 {device}");
            CliError::with_hint(anyhow::Error::new(error).context(format!("open {device}")), hint)
        })?;
    }
    Ok(())
}
