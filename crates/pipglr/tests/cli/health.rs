//! `pipglr health`, which asks a running manager.

use crate::running::{HEALTH_SOCKET, Running};
use crate::support::{called, pipglr};
use std::net::TcpListener;

/// Containers are restarted that are not healthy, and that brings no GitLab back.
#[test]
fn a_gitlab_that_is_away_is_told_and_no_illness() {
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config =
        format!("[[runners]]\nname = \"r\"\nurl = \"http://{address}\"\ntoken = \"glrt-a\"\nexecutor = \"docker\"\n");
    let mut running = Running::start(&config, "asking for a job failed");
    let told = called(&mut pipglr(
        running.directory.path(),
        &["health", "--socket", HEALTH_SOCKET],
    ));
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{}", told.out);
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!((lines[0], lines.len()), ("runner and engine answer", 2), "{}", told.out);
    let beginning = format!("GitLab at http://{address}, runner r: no answer since ");
    assert!(lines[1].starts_with(&beginning), "{}", told.out);
    assert!(lines[1].contains("onnection refused"), "{}", told.out);
    running.send("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
