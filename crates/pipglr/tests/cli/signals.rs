//! `pipglr runner run` and the signals it is sent.

use crate::running::Running;

fn idle() -> Running {
    Running::start("concurrent = 1\n", "no runner is configured")
}

#[test]
fn signals_end_an_idle_runner_well() {
    for signal in ["QUIT", "TERM", "INT"] {
        let mut running = idle();
        running.send(signal);
        running.read_until("stop requested");
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn sighup_reads_the_configuration_again() {
    let mut running = idle();
    running.send("HUP");
    running.read_until("SIGHUP: the configuration is read again");
    running.send("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
