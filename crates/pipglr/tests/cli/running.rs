//! A runner as a process: `pipglr runner run` with a podman that has nothing.

use crate::support::pipglr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

/// Below the runner's directory.
pub(crate) const HEALTH_SOCKET: &str = "health.sock";

/// Every list of it is empty.
fn empty_podman(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            thread::spawn(move || {
                let mut connection = connection.unwrap();
                let mut bytes = Vec::new();
                let mut byte = [0];
                while connection.read(&mut byte).is_ok_and(|n| n == 1) {
                    bytes.push(byte[0]);
                    if bytes.ends_with(b"\r\n\r\n") {
                        bytes.clear();
                        let answer =
                            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]";
                        connection.write_all(answer).unwrap();
                    }
                }
            });
        }
    });
}

/// A runner without jobs.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) directory: tempfile::TempDir,
}

impl Running {
    /// Starts it, and waits for the words in its log.
    pub(crate) fn start(config: &str, words: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("podman.sock");
        empty_podman(&socket);
        std::fs::write(directory.path().join("config.toml"), config).unwrap();
        let mut child = pipglr(
            directory.path(),
            &[
                "runner",
                "run",
                "--config",
                "config.toml",
                "--health-socket",
                HEALTH_SOCKET,
            ],
        )
        .env("PIPGLR_PODMAN_SOCKET", &socket)
        .env("PIPGLR_STATE_DIR", directory.path().join("state"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, log, directory };
        running.read_until(words);
        running
    }

    pub(crate) fn read_until(&mut self, words: &str) {
        let mut all = String::new();
        while !all.contains(words) {
            let read = self.log.read_line(&mut all).unwrap();
            assert!(read > 0, "{words:?} does not come: {all}");
        }
    }

    pub(crate) fn send(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}
