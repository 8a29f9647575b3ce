//! Further processes in a running container.
//!
//! What an exec session writes while nobody is attached is lost; a container's main process has a log.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::output::Attached;
use crate::request::{ApiRequest, segment};
use crate::spec::Environment;

/// A process to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables, over those of the container.
    pub env: Environment,
    /// `user[:group]`; `None`: the container's.
    pub user: Option<String>,
    /// Working directory; `None`: the container's.
    pub work_dir: Option<String>,
    /// Gives it a terminal. Its output then has no frames.
    pub terminal: bool,
    /// Feed standard input.
    pub attach_stdin: bool,
    /// Receive standard output.
    pub attach_stdout: bool,
    /// Receive standard error.
    pub attach_stderr: bool,
    /// Gives it all capabilities of podman's user namespace.
    pub privileged: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExecBody<'a> {
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
    tty: bool,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    privileged: bool,
}

/// An exec session that was made, to be started once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSession {
    id: String,
    terminal: bool,
}

impl ExecSession {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// An exec session as inspected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecState {
    /// Whether the process runs.
    pub running: bool,
    /// Exit code, meaningful once it does not run any more.
    pub exit_code: i32,
    /// Process as seen from podman's host.
    #[serde(default)]
    pub pid: i32,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StartBody {
    detach: bool,
    tty: bool,
}

impl Client {
    /// Prepares a process in a container.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such container, [`Error::Conflict`] when it does not run.
    pub async fn exec_create(&self, container: &str, spec: &ExecSpec) -> Result<ExecSession, Error> {
        let body = ExecBody {
            cmd: &spec.command,
            env: spec.env.entries(),
            user: spec.user.as_deref(),
            working_dir: spec.work_dir.as_deref(),
            tty: spec.terminal,
            attach_stdin: spec.attach_stdin,
            attach_stdout: spec.attach_stdout,
            attach_stderr: spec.attach_stderr,
            privileged: spec.privileged,
        };
        let path = format!("/containers/{}/exec", segment(container));
        let created: Created = self.fetch(&ApiRequest::post(path).json(&body)).await?;
        Ok(ExecSession {
            id: created.id,
            terminal: spec.terminal,
        })
    }

    /// Starts the process and attaches to it. When its output has ended, [`Self::exec_inspect`] has the exit code.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the container does not run any more. A program that cannot be started is told as a
    /// frame of standard error.
    pub async fn exec_start(&self, session: &ExecSession) -> Result<Attached, Error> {
        let request = ApiRequest::post(format!("/exec/{}/start", segment(&session.id))).json(&StartBody {
            detach: false,
            tty: session.terminal,
        });
        let hijacked = self.transport.hijack(request.clone()).await?;
        Ok(Attached::new(hijacked, request, !session.terminal))
    }

    /// Looks at an exec session; podman forgets it five minutes after its end.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is forgotten, or its container removed.
    pub async fn exec_inspect(&self, session: &ExecSession) -> Result<ExecState, Error> {
        self.fetch(&ApiRequest::get(format!("/exec/{}/json", segment(&session.id))))
            .await
    }

    /// Tells the process's terminal its size in characters.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the container does not run.
    pub async fn exec_resize(&self, session: &ExecSession, height: u16, width: u16) -> Result<(), Error> {
        let request = ApiRequest::post(format!("/exec/{}/resize", segment(&session.id)))
            .query("h", height.to_string())
            .query("w", width.to_string());
        self.run(&request).await
    }
}
