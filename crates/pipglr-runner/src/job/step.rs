//! The steps of a job, as its journal has them: each is written down before it is taken.

use super::JobError;
use serde::{Deserialize, Serialize};

/// Where a job is. What happens to one that an earlier process left there stands with each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// It was handed out, and perhaps acknowledged: it begins from the start.
    Accepted,
    /// Containers are being made ready, no script of the user ran: this is done again.
    Preparing,
    /// Output of the first helper container goes to the log: the container is listened to from there on.
    Sources,
    /// The build container has its plan or is about to get it: the container is listened to from there on. A plan that
    /// did not arrive whole is not carried out, so it is safe to send it to a new container then, and only then.
    Scripts,
    /// Scripts ended like this, the second helper container is at work or about to be started.
    Finishing { end: Result<(), JobError> },
    /// All is done, a web terminal holds the job open: it has lost its connection, so the job ends.
    Open { end: Result<(), JobError> },
    /// The log is complete: the end is reported, again if need be, and what the job made is removed.
    Ended { end: Result<(), JobError> },
    /// Nobody knows what was done: the job fails.
    Lost { reason: String },
}

impl Step {
    /// The end that is written in it.
    pub(super) fn into_end(self) -> Result<(), JobError> {
        match self {
            Self::Finishing { end } | Self::Open { end } | Self::Ended { end } => end,
            Self::Accepted | Self::Preparing | Self::Sources | Self::Scripts | Self::Lost { .. } => Ok(()),
        }
    }

    /// The step an earlier process was at.
    pub(super) fn resume(written: serde_json::Value, rebooted: bool) -> Self {
        match serde_json::from_value(written) {
            Ok(step @ Self::Ended { .. }) => step,
            Ok(_) if rebooted => Self::Lost {
                reason: "the machine was restarted while the job was running".to_owned(),
            },
            Ok(step) => step,
            Err(_) => Self::Lost {
                reason: "the runner was restarted, and the job's journal on the state volume is not readable"
                    .to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JobError, Step};
    use std::time::Duration;

    #[test]
    fn every_end_survives_the_journal() {
        let ends = [
            JobError::ExitCode(3),
            JobError::Timeout(Duration::from_secs(5)),
            JobError::ScriptTimeout,
            JobError::StageTimeout {
                what: "prepare".into(),
                limit: Duration::from_secs(1),
            },
            JobError::Canceled,
            JobError::Interrupted("terminated".into()),
            JobError::Configuration("x".into()),
            JobError::ContainerGone { id: "c".into() },
            JobError::System(anyhow::anyhow!("b").context("a")),
        ];
        for end in ends {
            let (line, reason) = (end.last_line(), end.reason());
            let text = serde_json::to_value(Step::Ended { end: Err(end) }).unwrap();
            match Step::resume(text, true) {
                Step::Ended { end: Err(end) } => assert_eq!((end.last_line(), end.reason()), (line, reason)),
                other => panic!("{other:?}"),
            }
        }
        let open = serde_json::to_value(Step::Open {
            end: Err(JobError::ExitCode(3)),
        });
        match Step::resume(open.unwrap(), false) {
            Step::Open { end } => assert_eq!(end.unwrap_err().reason(), JobError::ExitCode(3).reason()),
            other => panic!("{other:?}"),
        }
        let fine = serde_json::to_value(Step::Ended { end: Ok(()) }).unwrap();
        assert!(matches!(Step::resume(fine, false), Step::Ended { end: Ok(()) }));
    }

    #[test]
    fn after_a_restart_of_the_machine_only_a_finished_job_is_known() {
        let scripts = || serde_json::to_value(Step::Scripts).unwrap();
        assert!(matches!(Step::resume(scripts(), false), Step::Scripts));
        assert!(matches!(Step::resume(scripts(), true), Step::Lost { .. }));
        assert!(matches!(
            Step::resume(serde_json::Value::Null, false),
            Step::Lost { .. }
        ));
    }
}
