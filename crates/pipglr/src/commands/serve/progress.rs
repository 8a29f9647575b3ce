//! A line for each change of a pipeline's jobs.

use crate::error::CliError;
use crate::output;
use pipglr_coordinator::{Coordinator, Event, JobRecord, JobState, PipelineId, PipelineRecord};
use std::time::Instant;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Follows pipeline `id` until no job can run any more.
pub(super) async fn follow(
    coordinator: &Coordinator,
    id: PipelineId,
    mut events: Receiver<Event>,
) -> Result<PipelineRecord, CliError> {
    let began = Instant::now();
    let finished = coordinator.wait(id);
    tokio::pin!(finished);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(Event::JobChanged { job, state, .. }) => {
                    if let Some(record) = coordinator.job(job) {
                        show(&record, state, began)?;
                    }
                }
                // A slow terminal misses lines, not results.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(finished.await?),
            },
            record = &mut finished => return Ok(record?),
        }
    }
}

fn show(job: &JobRecord, state: JobState, began: Instant) -> Result<(), CliError> {
    let what = match state {
        JobState::Created => return Ok(()),
        JobState::Failed => {
            let reason = job.failure_reason.as_ref().map(ToString::to_string).unwrap_or_default();
            let code = job
                .exit_code
                .filter(|c| *c != 0)
                .map(|c| format!(", exit code {c}"))
                .unwrap_or_default();
            let allowed = if job.allow_failure { ", allowed" } else { "" };
            format!("failed ({reason}{code}{allowed})")
        }
        other => other.to_string(),
    };
    output::line(format_args!(
        "{:>7.1}s  {:<8} {:<20} {what}",
        began.elapsed().as_secs_f64(),
        job.stage,
        job.name
    ))
}
