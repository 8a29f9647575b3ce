//! What a container's process does, as data.

use crate::Gate;

/// One thing a stage does. A stage without acts ends with 0 at once.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes to stdout.
    Out(Vec<u8>),
    /// Writes to stderr.
    Err(Vec<u8>),
    /// Ends the stage with this exit code.
    Exit(i32),
    /// Ends the stage as out of time.
    TimeOut,
    /// Ends the stage as one that could not be started.
    CannotStart,
    /// Goes on for ever; SIGTERM ends a script as canceled, other stages take no notice.
    Hang,
    /// Goes on when the gate opens; SIGTERM as for [`Act::Hang`].
    WaitFor(Gate),
    /// The container ends with this exit code, without another word.
    Die(i32),
    /// The container is killed for want of memory.
    OutOfMemory,
    /// Somebody removes the container, as long as that happened fewer than `times` times in this job.
    Vanish { times: usize },
    /// Writes a marker with the container's own nonce to stdout alone, as only a job that spies on process 1 can.
    ForgeMarker(String),
    /// The attach connection ends; the log goes on. `mid_frame`: within an output frame.
    LoseAttach { mid_frame: bool },
}

/// When the ports of a service answer.
#[derive(Debug, Clone)]
pub enum Ports {
    Open,
    /// From when the gate opens.
    After(Gate),
    /// The probe gives up at once: no test waits.
    Never,
}

impl Act {
    /// Writes to stdout.
    #[must_use]
    pub fn out(text: impl AsRef<[u8]>) -> Self {
        Self::Out(text.as_ref().to_vec())
    }

    /// Writes to stderr.
    #[must_use]
    pub fn err(text: impl AsRef<[u8]>) -> Self {
        Self::Err(text.as_ref().to_vec())
    }
}
