//! The one way to run git.

use crate::Error;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Variables that would point git at another repository than the one named, as in a git hook.
const REPOSITORY_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_WORK_TREE",
];

/// A git command that works on `directory`, asks nothing and takes no optional locks in the user's repository.
pub(super) fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C.UTF-8");
    command
        .current_dir(directory)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same for threads that may block.
pub(crate) fn plain_command(directory: &Path) -> std::process::Command {
    command(directory).into_std()
}

/// Runs git and returns its standard output without the line end.
pub(crate) async fn git(directory: &Path, args: &[&str]) -> Result<String, Error> {
    run(command(directory), args, None).await
}

/// Runs git with `input` on its standard input.
pub(super) async fn git_with_input(directory: &Path, args: &[&str], input: &str) -> Result<String, Error> {
    let mut command = command(directory);
    command.stdin(Stdio::piped());
    run(command, args, Some(input)).await
}

pub(super) async fn run(mut command: Command, args: &[&str], input: Option<&str>) -> Result<String, Error> {
    let failed = |message: String| Error::Git {
        command: args.join(" "),
        message,
    };
    let mut child = command.args(args).spawn().map_err(|e| failed(e.to_string()))?;
    let stdin = child.stdin.take();
    let write = async {
        match (stdin, input) {
            (Some(mut stdin), Some(input)) => stdin.write_all(input.as_bytes()).await,
            _ => Ok(()),
        }
    };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = if stderr.trim().is_empty() {
            output.status.to_string()
        } else {
            stderr.trim().to_owned()
        };
        return Err(failed(message));
    }
    written.map_err(|e| failed(e.to_string()))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
