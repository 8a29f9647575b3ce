//! The shell of a web terminal: a process beside process 1, with a terminal of its own, that reads what to do and
//! becomes the image's shell.
//!
//! The plan arrives over the terminal, so that no secret is in the engine's description of the process.

use super::super::plan_input;
use super::InitPlan;
use super::{identity, shell};
use pipglr_protocol::Secret;
use rustix::process::Uid;
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Written when the plan may come, and again when all of it was read: what comes in then is for the shell.
pub const READY: &[u8] = b"\x1epipglr:terminal\x1e";

/// Nobody says how large the terminal is.
const SIZE: (u16, u16) = (24, 80);

/// What the shell gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalPlan {
    /// The shell starts there, if it is there already.
    pub project_dir: String,
    /// `user[:group]`, by name or number; empty is root.
    pub user: String,
    /// Further groups of the user.
    pub groups: Vec<String>,
    /// `HOME` is set by the image itself and stays.
    pub keep_home: bool,
    /// As scripts have it; later entries win.
    pub environment: Vec<(String, Secret)>,
}

impl From<&InitPlan> for TerminalPlan {
    fn from(plan: &InitPlan) -> Self {
        Self {
            project_dir: plan.project_dir.clone(),
            user: plan.user.clone(),
            groups: plan.groups.clone(),
            keep_home: plan.keep_home,
            environment: plan.environment.clone(),
        }
    }
}

/// Reads the plan from the terminal that is stdin and becomes the shell. Returns only on failure.
pub fn become_shell() -> io::Error {
    match prepare() {
        Ok((mut command, shell)) => {
            let error = command.exec();
            io::Error::new(error.kind(), format!("start {shell}: {error}"))
        }
        Err(error) => error,
    }
}

fn prepare() -> io::Result<(Command, &'static str)> {
    let plan = read_plan()?;
    let identity = identity::resolve(&plan.user, &plan.groups)?;
    let shell = shell::find()?;
    // Compat: gitlab-runner executors/docker/terminal.go starts a login shell.
    let mut command = Command::new(shell);
    command.arg("-l");
    if std::env::var_os("TERM").is_none() {
        command.env("TERM", "xterm");
    }
    let mut home = (!plan.keep_home).then_some(identity.home.as_str());
    for (key, value) in &plan.environment {
        // Such names and values cannot be in an environment at all.
        if !key.is_empty() && !key.contains(['=', '\0']) && !value.expose().as_bytes().contains(&0) {
            command.env(key, value.expose());
            home = home.filter(|_| key != "HOME");
        }
    }
    if let Some(home) = home {
        command.env("HOME", home);
    }
    if identity.uid != 0 || identity.gid != 0 {
        // The terminal was made for root.
        rustix::fs::fchown(io::stdin(), Some(Uid::from_raw(identity.uid)), None)?;
        shell::switch(identity.uid, identity.gid, &identity.groups)?;
    }
    if let Err(error) = std::env::set_current_dir(&plan.project_dir) {
        // Sources may not have been fetched yet: the shell starts where the image says.
        let _ = writeln!(io::stderr(), "{}: {error}", plan.project_dir);
    }
    Ok((command, shell))
}

/// A terminal echoes, and its lines are short; neither is for a plan.
fn read_plan() -> io::Result<TerminalPlan> {
    let terminal = io::stdin();
    let modes = tcgetattr(&terminal)?;
    let mut raw = modes.clone();
    raw.make_raw();
    tcsetattr(&terminal, OptionalActions::Now, &raw)?;
    announce()?;
    let plan = plan_input::read_plan();
    tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    let plan = plan?;
    let size = tcgetwinsize(&terminal)?;
    if size.ws_row == 0 || size.ws_col == 0 {
        let (ws_row, ws_col) = SIZE;
        tcsetwinsize(&terminal, Winsize { ws_row, ws_col, ..size })?;
    }
    announce()?;
    Ok(plan)
}

fn announce() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(READY)?;
    out.flush()
}
