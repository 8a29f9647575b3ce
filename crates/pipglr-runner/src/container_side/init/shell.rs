//! Starting a shell for a step.

use super::identity::Identity;
use rustix::process::{Gid, Pid, Uid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a shell is looked for, in this order.
///
/// Compat: gitlab-runner shells/bash.go.
const SHELLS: [&str; 7] = [
    "/usr/local/bin/bash",
    "/usr/bin/bash",
    "/bin/bash",
    "/usr/local/bin/sh",
    "/usr/bin/sh",
    "/bin/sh",
    "/busybox/sh",
];

/// The command that runs a script from its stdin. An entrypoint gets `sh -c <find a shell>` to exec, as images that
/// inspect their arguments expect; without one the shell is started directly.
pub(super) fn command(entrypoint: &[String]) -> io::Result<Vec<OsString>> {
    if entrypoint.iter().all(String::is_empty) {
        return Ok(vec![find()?.into()]);
    }
    let mut detector = String::new();
    for (index, shell) in SHELLS.iter().enumerate() {
        let keyword = if index == 0 { "if" } else { "elif" };
        detector.push_str(&format!("{keyword} [ -x {shell} ]; then exec {shell}; "));
    }
    detector.push_str("else echo shell not found; exit 1; fi");
    let mut argv: Vec<OsString> = entrypoint.iter().map(OsString::from).collect();
    argv.extend(["sh".into(), "-c".into(), detector.into()]);
    Ok(argv)
}

/// The image's shell.
pub(super) fn find() -> io::Result<&'static str> {
    let shell = SHELLS.into_iter().find(|path| is_executable(Path::new(path)));
    shell.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("shell not found: the image has none of {}", SHELLS.join(", ")),
        )
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Starts `argv` as `identity` and feeds it `script`. The child writes straight to the container's output.
pub(super) fn spawn(
    argv: &[OsString],
    identity: &Identity,
    environment: &BTreeMap<&str, &str>,
    script: &str,
) -> io::Result<Pid> {
    let program = &argv[0];
    let mut command = if identity.uid == 0 && identity.gid == 0 {
        let mut command = Command::new(program);
        command.args(&argv[1..]);
        command
    } else {
        // A second process of this program changes identity: supplementary groups need it, and process 1 stays root.
        let groups: Vec<String> = identity.groups.iter().map(u32::to_string).collect();
        let mut command = Command::new("/proc/self/exe");
        command.args([
            "job-init",
            "--run-as",
            &format!("{}:{}:{}", identity.uid, identity.gid, groups.join(",")),
            "--",
        ]);
        command.args(argv);
        command
    };
    for (key, value) in environment {
        // Such names and values cannot be in an environment at all.
        if !key.is_empty() && !key.contains(['=', '\0']) && !value.as_bytes().contains(&0) {
            command.env(key, value);
        }
    }
    let in_context = |e: io::Error| io::Error::new(e.kind(), format!("start {}: {e}", program.display()));
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(in_context)?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    let script = script.to_owned();
    // The shell reads as it goes: a long script must not block process 1. A shell that exits early closes the pipe.
    std::thread::spawn(move || drop(stdin.write_all(script.as_bytes())));
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a child has a positive pid");
    Ok(pid)
}

/// Becomes `uid:gid:group,group…` and then `argv`. Returns only on failure.
pub fn run_as(identity: &str, argv: &[OsString]) -> io::Error {
    match parse(identity).and_then(|(uid, gid, groups)| switch(uid, gid, &groups)) {
        Ok(()) => match argv.split_first() {
            Some((program, arguments)) => {
                let error = Command::new(program).args(arguments).exec();
                io::Error::new(error.kind(), format!("start {}: {error}", Path::new(program).display()))
            }
            None => io::Error::new(io::ErrorKind::InvalidInput, "no command given"),
        },
        Err(error) => io::Error::new(error.kind(), format!("become user {identity}: {error}")),
    }
}

fn parse(identity: &str) -> io::Result<(u32, u32, Vec<u32>)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "want uid:gid:groups");
    let mut parts = identity.splitn(3, ':');
    let mut number = || parts.next().and_then(|p| p.parse::<u32>().ok()).ok_or_else(invalid);
    let (uid, gid) = (number()?, number()?);
    let groups = parts.next().unwrap_or_default();
    Ok((uid, gid, groups.split(',').filter_map(|g| g.parse().ok()).collect()))
}

/// Gives this thread another identity, for what it executes next.
pub(super) fn switch(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
