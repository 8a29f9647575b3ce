//! A container's main process live (attach) and afterwards (logs).

use crate::client::Client;
use crate::error::Error;
use crate::output::{Attached, Output, chunks_of};
use crate::request::{ApiRequest, segment};

/// What to attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    /// Feed standard input; the container must have been made with `stdin`.
    pub stdin: bool,
    /// Receive standard output.
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
    /// First replay what was written so far.
    pub logs: bool,
    /// Then stay attached.
    pub stream: bool,
    /// The container has a terminal: its output is raw.
    pub terminal: bool,
}

impl Default for AttachOptions {
    /// All three streams, from now on, no terminal.
    fn default() -> Self {
        Self {
            stdin: true,
            stdout: true,
            stderr: true,
            logs: false,
            stream: true,
            terminal: false,
        }
    }
}

/// Which part of a container's log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on until the container ends.
    pub follow: bool,
    /// Starts at this time: RFC 3339, or seconds since 1970 with an optional fraction.
    pub since: Option<String>,
    /// Starts at most so many lines before the end.
    pub tail: Option<u64>,
    /// Prefixes each frame with its time and a space. Compat: in whole seconds (podman `compat/containers_logs.go`).
    pub timestamps: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Default for LogOptions {
    /// Everything so far, of both streams.
    fn default() -> Self {
        Self {
            follow: false,
            since: None,
            tail: None,
            timestamps: false,
            stdout: true,
            stderr: true,
        }
    }
}

impl Client {
    /// Attaches to a container's main process.
    ///
    /// A container that was made but not started is set up first (which includes its network), so nothing of its output
    /// is missed when it is started afterwards. Errors podman meets later arrive as a frame of standard error.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Api`] or [`Error::Conflict`] when it cannot be set up.
    pub async fn attach(&self, id: &str, options: AttachOptions) -> Result<Attached, Error> {
        // Compat: without `detachKeys=`, the bytes 16 and 17 in the input would detach (podman `compat/containers_attach.go`).
        let request = ApiRequest::post(format!("/containers/{}/attach", segment(id)))
            .query("detachKeys", "")
            .flag("stdin", options.stdin)
            .flag("stdout", options.stdout)
            .flag("stderr", options.stderr)
            .flag("logs", options.logs)
            .flag("stream", options.stream);
        let hijacked = self.transport.hijack(request.clone()).await?;
        Ok(Attached::new(hijacked, request, !options.terminal))
    }

    /// Reads a container's log. A frame is a line with its newline, or a part of a long line or an unended one without.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Api`] when its log driver cannot be read.
    pub async fn logs(&self, id: &str, options: &LogOptions) -> Result<Output, Error> {
        let request = ApiRequest::get(format!("/containers/{}/logs", segment(id)))
            .flag("follow", options.follow)
            .flag("timestamps", options.timestamps)
            .flag("stdout", options.stdout)
            .flag("stderr", options.stderr)
            .query_if("since", options.since.as_deref())
            .query_if("tail", options.tail.map(|lines| lines.to_string()));
        let (connection, response) = self.transport.open_ok(&request).await?;
        let chunks = chunks_of(connection, response, request.clone());
        Ok(Output::new(&request, chunks, true))
    }
}
