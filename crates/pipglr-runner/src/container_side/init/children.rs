//! Processes below process 1: waiting for one, reaping all, ending all. Visitors are spared until their client is gone.

use super::super::marker::StageEnd;
use super::visitors::{Processes, signal_each};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{Instant, timeout_at};

/// How long processes have to react to SIGTERM before they are killed.
const GRACE: Duration = Duration::from_secs(6);

/// Pause between two looks at processes nobody tells about.
const LOOK: Duration = Duration::from_millis(200);

/// When waiting for a step ends early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) until: Option<Instant>,
    /// SIGTERM to process 1 stops the step.
    pub(super) cancelable: bool,
}

/// The signals process 1 lives by.
#[derive(Debug)]
pub(super) struct Children {
    child_exited: SignalStream,
    asked_to_stop: SignalStream,
    /// The client of the web terminal is gone.
    hung_up: SignalStream,
}

enum Wake {
    Child,
    Stop,
    HungUp,
    TimeUp,
}

impl Children {
    /// Starts listening; must happen before the first child.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            child_exited: signal(SignalKind::child())?,
            asked_to_stop: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for `pid`, reaping everything else on the way.
    pub(super) async fn wait_for(&mut self, pid: Pid, limit: Limit) -> io::Result<StageEnd> {
        loop {
            if let Some(code) = reap(Some(pid))? {
                return Ok(StageEnd::Exited(code));
            }
            match self.wake(limit).await {
                Wake::Child => {}
                Wake::HungUp => end_visitors()?,
                Wake::Stop => return Ok(StageEnd::Canceled),
                Wake::TimeUp => return Ok(StageEnd::TimedOut),
            }
        }
    }

    /// Waits until no visitor is left, or until it is asked to stop.
    pub(super) async fn wait_for_visitors(&mut self) -> io::Result<()> {
        while !Processes::look()?.visitors.is_empty() {
            tokio::select! {
                _ = self.child_exited.recv() => drop(reap(None)?),
                _ = self.hung_up.recv() => end_visitors()?,
                _ = self.asked_to_stop.recv() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Waits until it is asked to stop.
    pub(super) async fn wait_for_the_end(&mut self) -> io::Result<()> {
        loop {
            tokio::select! {
                _ = self.child_exited.recv() => drop(reap(None)?),
                _ = self.hung_up.recv() => end_visitors()?,
                _ = self.asked_to_stop.recv() => return Ok(()),
            }
        }
    }

    /// Ends every process but this one and visitors: SIGTERM, a grace period, SIGKILL.
    pub(super) async fn end_all(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + GRACE;
        if !signal_all(Signal::TERM)? {
            return Ok(());
        }
        loop {
            reap(None)?;
            if !has_children()? {
                return Ok(());
            }
            if timeout_at(deadline, self.child_exited.recv()).await.is_err() {
                break;
            }
        }
        while has_children()? {
            // Again and again: where visitors are spared, a process that is just being born may be missed.
            signal_all(Signal::KILL)?;
            drop(timeout_at(Instant::now() + LOOK, self.child_exited.recv()).await);
            reap(None)?;
        }
        Ok(())
    }

    async fn wake(&mut self, limit: Limit) -> Wake {
        let time_up = async {
            match limit.until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.child_exited.recv() => Wake::Child,
            _ = self.asked_to_stop.recv(), if limit.cancelable => Wake::Stop,
            _ = self.hung_up.recv() => Wake::HungUp,
            () = time_up => Wake::TimeUp,
        }
    }
}

/// Collects every child that has ended; gives the exit code of `wanted` if it was among them.
fn reap(wanted: Option<Pid>) -> io::Result<Option<i32>> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if Some(pid) == wanted {
                    code = Some(
                        status
                            .exit_status()
                            .unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0)),
                    );
                }
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(code),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends what a web terminal has left.
fn end_visitors() -> io::Result<()> {
    signal_each(&Processes::look()?.visitors, Signal::KILL).map(drop)
}

/// Sends `signal` to every process of the container but this one and visitors; false if there is none.
fn signal_all(signal: Signal) -> io::Result<bool> {
    // Only process 1 of a container may do this: anywhere else "everybody" is the whole machine.
    if rustix::process::getpid() != Pid::INIT {
        return Err(io::Error::other("job-init must be process 1 of a container"));
    }
    let processes = Processes::look()?;
    if !processes.visitors.is_empty() {
        return signal_each(&processes.own, signal);
    }
    // kill(-1): process group "1" negated means "everybody".
    match kill_process_group(Pid::INIT, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn has_children() -> io::Result<bool> {
    match rustix::process::waitid(
        rustix::process::WaitId::All,
        rustix::process::WaitIdOptions::EXITED
            | rustix::process::WaitIdOptions::NOHANG
            | rustix::process::WaitIdOptions::NOWAIT,
    ) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::CHILD) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
