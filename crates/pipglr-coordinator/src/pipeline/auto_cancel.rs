//! What is canceled by itself: the rest after a failure, and older pipelines of a ref.

use super::{PipelineRun, status::JobState};
use jiff::Timestamp;
use pipglr_ci::model::OnNewCommit;

impl PipelineRun {
    /// `workflow:auto_cancel:on_job_failure`: a failure that counts ends everything else.
    ///
    /// Compat: GitLab app/models/ci/pipeline.rb `cancel_jobs_after_failure`.
    pub(super) fn cancel_after_failure(&mut self, index: usize, now: Timestamp) {
        let job = &self.jobs[index];
        if self.auto_cancel.on_job_failure && job.state == JobState::Failed && !job.allow_failure {
            self.cancel_all(now);
        }
    }

    /// Cancels what `workflow:auto_cancel:on_new_commit` allows to cancel because of a newer pipeline.
    ///
    /// Compat: GitLab app/services/ci/pipeline_creation/cancel_redundant_pipelines_service.rb.
    pub(crate) fn cancel_as_redundant(&mut self, now: Timestamp) -> bool {
        if self.status().0.is_finished() {
            return false;
        }
        match self.auto_cancel.on_new_commit {
            OnNewCommit::None => return false,
            OnNewCommit::Conservative => {
                let started = |job: &&super::JobRun| job.times.started_at.is_some() && !job.reused;
                if self
                    .jobs
                    .iter()
                    .filter(started)
                    .any(|job| !job.definition.interruptible)
                {
                    return false;
                }
                self.cancel_all(now);
            }
            OnNewCommit::Interruptible => {
                for job in self.jobs.iter_mut().filter(|job| job.definition.interruptible) {
                    job.cancel(now);
                }
                self.process(now);
            }
        }
        true
    }
}
