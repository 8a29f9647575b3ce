//! Starting the program with nothing of this process's environment.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A working tree with one commit of these files.
pub(crate) fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    pipglr_testkit::working_tree::commit(directory.path(), files);
    directory
}

/// `pipglr` with these arguments, in `directory`, which is also its home.
pub(crate) fn pipglr<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_pipglr")), directory, arguments)
}

/// The same program by the name `gitlab-runner`.
pub(crate) fn gitlab_runner<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Command {
    let link = directory.join("gitlab-runner");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pipglr"), &link).unwrap();
    }
    command(&link, directory, arguments)
}

fn command<S: AsRef<OsStr>>(program: &Path, directory: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env_clear();
    command.env("HOME", directory).env("PATH", "/usr/bin:/bin");
    command
}

pub(crate) fn called(command: &mut Command) -> Called {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Called {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
