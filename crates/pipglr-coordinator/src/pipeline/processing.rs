//! Which waiting jobs may go on. Runs after every change, until nothing changes any more.

use super::job::{JobRun, Scheduling};
use super::status::{JobState, Mode, StatusSet};
use jiff::Timestamp;
use pipglr_ci::model::When;

/// Moves jobs out of `created` whose predecessors are completed.
///
/// Compat: GitLab app/services/ci/pipeline_processing/atomic_processing_service.rb.
pub(super) fn process(jobs: &mut [JobRun], now: Timestamp) {
    let stages = by_stage(jobs);
    while pass(jobs, &stages, now) {}
}

/// Indices of the jobs of each stage, without attempts that were repeated.
fn by_stage(jobs: &[JobRun]) -> Vec<Vec<usize>> {
    let count = jobs.iter().map(|j| j.stage_index + 1).max().unwrap_or(0);
    let mut stages = vec![Vec::new(); count];
    for (index, job) in jobs.iter().enumerate().filter(|(_, job)| !job.retried) {
        stages[job.stage_index].push(index);
    }
    stages
}

fn pass(jobs: &mut [JobRun], stages: &[Vec<usize>], now: Timestamp) -> bool {
    let mut changed = false;
    let mut earlier = StatusSet::default();
    for stage in stages {
        for &index in stage {
            if jobs[index].state != JobState::Created {
                continue;
            }
            let previous = match &jobs[index].scheduling {
                Scheduling::Stage => earlier.composite(Mode::Stage),
                Scheduling::Dag(needs) => set_of(jobs, needs).composite(Mode::Dag),
            };
            if previous.is_finished() {
                advance(&mut jobs[index], previous, now);
                changed = true;
            }
        }
        for &index in stage {
            earlier.insert(jobs[index].state, jobs[index].allow_failure);
        }
    }
    changed
}

fn set_of(jobs: &[JobRun], indices: &[usize]) -> StatusSet {
    let mut set = StatusSet::default();
    for &index in indices {
        set.insert(jobs[index].state, jobs[index].allow_failure);
    }
    set
}

fn advance(job: &mut JobRun, previous: JobState, now: Timestamp) {
    let stage_mode = matches!(job.scheduling, Scheduling::Stage);
    let runs = match job.definition.when {
        When::OnSuccess | When::Manual | When::Delayed => {
            previous == JobState::Success || (stage_mode && previous == JobState::Skipped)
        }
        When::OnFailure => previous == JobState::Failed,
        When::Always => matches!(previous, JobState::Success | JobState::Failed | JobState::Skipped),
        When::Never => false,
    };
    match job.definition.when {
        _ if !runs => job.skip(now),
        When::Manual if !job.auto_play => job.state = JobState::Manual,
        When::Delayed => job.schedule(now),
        _ => job.enqueue(now),
    }
}
