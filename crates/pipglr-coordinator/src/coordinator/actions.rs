//! What a person can do to jobs and pipelines.

use super::Coordinator;
use crate::Error;
use crate::pipeline::{PipelineId, PipelineRun};
use jiff::Timestamp;
use pipglr_protocol::payload::JobId;

impl Coordinator {
    /// Cancels a job that is not over; a running one is asked to stop and may still run `after_script`.
    ///
    /// # Errors
    /// There is no such job, or it is over or being canceled.
    pub fn cancel_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on_job(id, "canceled", PipelineRun::cancel_job)
    }

    /// Starts a manual or delayed job now.
    ///
    /// # Errors
    /// There is no such job, or it does not wait to be played.
    pub fn play_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on_job(id, "played", PipelineRun::play)
    }

    /// Takes a delayed job's time away: it waits to be played.
    ///
    /// # Errors
    /// There is no such job, or it is not delayed.
    pub fn unschedule_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on_job(id, "unscheduled", PipelineRun::unschedule)
    }

    /// Makes another attempt at a job that is over; gives its number.
    ///
    /// # Errors
    /// There is no such job, or it is not over, or another attempt was made already.
    pub fn retry_job(&self, id: JobId) -> Result<JobId, Error> {
        self.change(|state| {
            let place = state.place(id).ok_or(Error::NotFound { what: "job", id: id.0 })?;
            let before = state.job(place).state;
            state.retry(place, Timestamp::now()).ok_or(Error::WrongState {
                id: id.0,
                action: "retried",
                state: before,
            })
        })
    }

    fn act_on_job(
        &self,
        id: JobId,
        action: &'static str,
        act: impl FnOnce(&mut PipelineRun, usize, Timestamp) -> bool,
    ) -> Result<(), Error> {
        self.change(|state| {
            let place = state.place(id).ok_or(Error::NotFound { what: "job", id: id.0 })?;
            let before = state.job(place).state;
            let now = Timestamp::now();
            match state.change(place.pipeline, now, |p| act(p, place.index, now)) {
                Some(true) => Ok(()),
                _ => Err(Error::WrongState {
                    id: id.0,
                    action,
                    state: before,
                }),
            }
        })
    }

    /// Cancels everything of a pipeline that is not over, and of the pipelines it started.
    ///
    /// # Errors
    /// There is no such pipeline.
    pub fn cancel_pipeline(&self, id: PipelineId) -> Result<(), Error> {
        let canceled = self.change(|state| state.cancel_pipeline(id, Timestamp::now()));
        canceled.then_some(()).ok_or(Error::NotFound {
            what: "pipeline",
            id: id.0,
        })
    }
}
