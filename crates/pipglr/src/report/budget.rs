//! How much of the page each log gets.

use super::log::{self, Log};
use super::run::Run;
use anyhow::Context as _;

/// HTML of all logs together, at most, in bytes.
const ALL: usize = 8 << 20;
/// HTML of the log of a job that failed, at most.
const FAILED: usize = 1 << 20;
/// HTML of another job's log, at most.
const OTHER: usize = 256 << 10;

/// Reads the log of each job: failures get their share first, and what short logs leave goes to long ones.
pub(super) fn read_logs(run: &Run) -> anyhow::Result<Vec<Log>> {
    let mut order: Vec<usize> = (0..run.jobs.len()).collect();
    order.sort_by_key(|&index| (!run.jobs[index].is_failure(), run.jobs[index].log_size));
    let failures = run.jobs.iter().filter(|job| job.is_failure()).count();
    let mut logs = vec![Log::default(); run.jobs.len()];
    let mut left = ALL;
    for (done, index) in order.into_iter().enumerate() {
        let job = &run.jobs[index];
        let (most, sharers) = if done < failures {
            (FAILED, failures - done)
        } else {
            (OTHER, run.jobs.len() - done)
        };
        let budget = most.min(left / sharers);
        logs[index] = log::read(&job.log, budget).with_context(|| format!("read {}", job.log.display()))?;
        left = left.saturating_sub(logs[index].html.len());
    }
    Ok(logs)
}
