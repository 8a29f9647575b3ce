//! `pipglr job-terminal` as a web terminal starts it: on a terminal of its own, with a real shell.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

use pipglr_runner::container_side::init::{READY, TerminalPlan};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The engine's end of the terminal, and the program.
struct Terminal {
    engine: File,
    seen: Vec<u8>,
    child: Child,
}

impl Terminal {
    fn start() -> Self {
        let engine = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&engine).unwrap();
        unlockpt(&engine).unwrap();
        let name = ptsname(&engine, Vec::new()).unwrap().into_string().unwrap();
        let open = || -> Stdio {
            let file = OpenOptions::new().read(true).write(true).open(&name).unwrap();
            file.into()
        };
        // As podman does it: in a session of its own, of which this is the terminal.
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "setsid", "--ctty", "--wait"])
            .args([env!("CARGO_BIN_EXE_pipglr"), "job-terminal"])
            .env_remove("TERM")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("unshare and setsid of util-linux");
        Self {
            engine: File::from(engine),
            seen: Vec::new(),
            child,
        }
    }

    /// What comes until `end`, which is taken as well.
    fn read_until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.seen.windows(end.len()).position(|window| window == end) {
                let rest = self.seen.split_off(at + end.len());
                let seen = std::mem::replace(&mut self.seen, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let mut buffer = [0; 4096];
            // The end of the other side is an error of the terminal.
            match self.engine.read(&mut buffer) {
                Ok(count @ 1..) => self.seen.extend(&buffer[..count]),
                _ => panic!(
                    "{:?} is not in {:?}",
                    String::from_utf8_lossy(end),
                    String::from_utf8_lossy(&self.seen)
                ),
            }
        }
    }

    fn tell(&mut self, plan: &TerminalPlan) {
        self.read_until(READY);
        let line = serde_json::to_string(plan).unwrap() + "\n";
        self.engine.write_all(line.as_bytes()).unwrap();
    }

    fn type_line(&mut self, line: &str) {
        self.engine.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

fn plan(home: &Path) -> TerminalPlan {
    TerminalPlan {
        project_dir: home.display().to_string(),
        environment: vec![
            ("COLOUR".to_owned(), "blue 'n\" $HOME".into()),
            // Longer than a line of a terminal may be.
            ("BIG".to_owned(), "x".repeat(40_000).as_str().into()),
            ("HOME".to_owned(), home.display().to_string().as_str().into()),
            ("=bad".to_owned(), "".into()),
        ],
        ..TerminalPlan::default()
    }
}

#[test]
fn a_shell_starts_with_what_scripts_have() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".profile"), "LOGIN=yes\n").unwrap();
    let mut terminal = Terminal::start();
    terminal.tell(&plan(home.path()));
    let before = terminal.read_until(READY);
    assert_eq!(before.as_bytes(), READY, "the plan is not echoed");
    terminal.type_line("echo \"<$COLOUR> ${#BIG} $LOGIN $TERM $(pwd) $(stty size) \"end");
    let expected = format!(
        "<blue 'n\" $HOME> 40000 yes xterm {} 24 80 end\r\n",
        home.path().display()
    );
    let shown = terminal.read_until(b" end\r\n");
    assert!(shown.ends_with(&expected), "{expected:?} does not end {shown:?}");
    assert!(shown.contains("echo \"<$COLOUR>"), "what is typed is echoed: {shown:?}");
    terminal.type_line("exit 7");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(7));
}

#[test]
fn what_cannot_be_started_says_why() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start();
    terminal.tell(&TerminalPlan {
        user: "ghost".to_owned(),
        ..plan(home.path())
    });
    terminal.read_until(b"unable to find user ghost: no matching entry in /etc/passwd");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_directory_that_is_not_there_yet_is_no_obstacle() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start();
    terminal.tell(&TerminalPlan {
        project_dir: "/builds/not/there".to_owned(),
        ..plan(home.path())
    });
    terminal.read_until(b"/builds/not/there: No such file or directory");
    terminal.type_line("exit");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
