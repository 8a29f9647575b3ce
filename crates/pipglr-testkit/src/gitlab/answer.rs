//! Scripted answers: what a test wants of the next calls.

use super::record::Request;
use crate::Gate;
use std::fmt;
use std::time::Duration;

/// A call of the runner API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `POST runners`
    Register,
    /// `POST runners/verify`
    Verify,
    /// `DELETE runners`
    Unregister,
    /// `DELETE runners/managers`
    UnregisterManager,
    /// `POST runners/reset_authentication_token`, with the number of a runner or without
    ResetToken,
    /// `POST jobs/request`
    JobRequest,
    /// `PUT jobs/:id`
    JobUpdate,
    /// `PATCH jobs/:id/trace`
    Trace,
    /// `POST jobs/:id/artifacts`
    Upload,
    /// `GET jobs/:id/artifacts`
    Download,
    /// `GET` where direct downloads are redirected to.
    Storage,
    /// Anything else; always a violation.
    Unknown,
}

/// How a call is answered. Without a status the call is processed as usual and only what else is set here is added.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<(String, Vec<u8>)>,
    pub(super) applied: bool,
    pub(super) gate: Option<Gate>,
    pub(super) gate_after: Option<Gate>,
    pub(super) delay: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

/// Ways to lose a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Before the body was read.
    Unread,
    /// After the body was read, nothing kept of it.
    Read,
    /// After the call was carried out.
    Applied,
}

impl Answer {
    /// Processed as usual.
    #[must_use]
    pub fn usual() -> Self {
        Self::default()
    }

    /// This status, and nothing is done.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// The connection is dropped before the request's body is read.
    #[must_use]
    pub fn drop_unread() -> Self {
        Self {
            fault: Some(Fault::Unread),
            ..Self::default()
        }
    }

    /// The connection is dropped after the request was read; nothing is kept of it.
    #[must_use]
    pub fn drop_read() -> Self {
        Self {
            fault: Some(Fault::Read),
            ..Self::default()
        }
    }

    /// The request is carried out, then the connection is dropped instead of answering.
    #[must_use]
    pub fn drop_applied() -> Self {
        Self {
            fault: Some(Fault::Applied),
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Some((content_type.to_owned(), body.to_vec()));
        self
    }

    /// The call is carried out although its answer says otherwise.
    #[must_use]
    pub fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// Carried out at once, answered when `gate` opens.
    #[must_use]
    pub fn answer_held(mut self, gate: &Gate) -> Self {
        self.gate_after = Some(gate.clone());
        self
    }

    /// Neither carried out nor answered before `gate` opens.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Answered this much later.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }
}

/// An answer waiting for its call.
pub(super) struct Rule {
    pub(super) endpoint: Endpoint,
    pub(super) left: usize,
    pub(super) matches: Box<dyn Fn(&Request) -> bool + Send>,
    pub(super) answer: Answer,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("endpoint", &self.endpoint)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
