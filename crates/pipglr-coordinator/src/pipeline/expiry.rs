//! What happens by itself when time passes.

use super::job::{JobRun, Outcome};
use super::status::JobState;
use super::{PipelineRun, after};
use jiff::Timestamp;
use pipglr_protocol::update::FailureReason;
use std::time::Duration;

/// A runner that still has a job this long after the job's timeout is taken for dead.
const SERVER_TIMEOUT_GRACE: Duration = Duration::from_mins(10);

enum Expiry {
    /// A delayed job's time has come.
    Start,
    Requeue,
    Drop(&'static str),
}

impl PipelineRun {
    /// When [`PipelineRun::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.jobs.iter().filter_map(|j| deadline(j).map(|(at, _)| at)).min()
    }

    /// Starts delayed jobs, puts unaccepted ones back into the queue and ends those whose runner is gone.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for index in 0..self.jobs.len() {
            let job = &mut self.jobs[index];
            match deadline(job) {
                Some((at, Expiry::Start)) if at <= now => job.enqueue(now),
                Some((at, Expiry::Requeue)) if at <= now => job.requeue(now),
                Some((at, Expiry::Drop(reason))) if at <= now => {
                    let outcome = Outcome::Failed {
                        reason: FailureReason::from(reason),
                        exit_code: None,
                    };
                    self.finish(index, outcome, now);
                }
                _ => {}
            }
        }
        self.process(now);
    }
}

/// The next moment at which waiting or a runner's silence has a consequence.
fn deadline(job: &JobRun) -> Option<(Timestamp, Expiry)> {
    if job.state == JobState::Scheduled {
        return Some((job.start_at?, Expiry::Start));
    }
    let assignment = job.assignment.as_ref()?;
    let (timeout_reason, silence_reason) = match job.state {
        JobState::Pending => return Some((assignment.accept_by, Expiry::Requeue)),
        JobState::Running => ("server_timeout_running", "no_updates_running"),
        JobState::Canceling => ("server_timeout_canceling", "no_updates_canceling"),
        _ => return None,
    };
    let silent = after(assignment.last_contact, assignment.silence_limit);
    let late = after(
        job.times.started_at?,
        assignment.timeout.saturating_add(SERVER_TIMEOUT_GRACE),
    );
    Some(if late < silent {
        (late, Expiry::Drop(timeout_reason))
    } else {
        (silent, Expiry::Drop(silence_reason))
    })
}
