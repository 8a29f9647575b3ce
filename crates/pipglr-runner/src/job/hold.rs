//! Jobs that failed, held open for somebody who wants to look around in their containers.

use super::JobError;
use crate::containers::terminal::Shells;
use pipglr_protocol::payload::JobId;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// Told of every job that failed, before its containers go.
#[derive(Debug, Clone)]
pub struct FailureHold(mpsc::UnboundedSender<FailedJob>);

/// A job that failed. It ends when this value is dropped.
#[derive(Debug)]
pub struct FailedJob {
    pub id: JobId,
    pub name: String,
    /// Shells in its build container.
    pub shells: Shells,
    _holds: oneshot::Sender<std::convert::Infallible>,
}

impl FailureHold {
    /// A hold, and where the jobs come in.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<FailedJob>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// The hold of one job.
    #[must_use]
    pub fn of_job(&self, id: JobId, name: &str) -> JobHold {
        JobHold {
            hold: self.clone(),
            id,
            name: name.to_owned(),
            shells: Arc::default(),
        }
    }
}

/// The hold as one job sees it.
#[derive(Debug, Clone)]
pub struct JobHold {
    hold: FailureHold,
    id: JobId,
    name: String,
    /// There once the job has a build container.
    shells: Arc<OnceLock<Shells>>,
}

impl JobHold {
    pub(super) fn offer(&self, shells: Shells) {
        // A container that was started anew has the same name.
        self.shells.get_or_init(|| shells);
    }

    /// Waits for whoever looks around, if the job failed by its own doing.
    pub(super) async fn wait(&self, end: &Result<(), JobError>) {
        let by_itself = matches!(
            end,
            Err(JobError::ExitCode(_) | JobError::ScriptTimeout | JobError::Timeout(_))
        );
        let (Some(shells), true) = (self.shells.get(), by_itself) else {
            return;
        };
        let (sender, released) = oneshot::channel();
        let job = FailedJob {
            id: self.id,
            name: self.name.clone(),
            shells: shells.clone(),
            _holds: sender,
        };
        if self.hold.0.send(job).is_ok() {
            // Nothing is ever sent: it ends when the job is let go.
            let _released = released.await;
        }
    }
}
