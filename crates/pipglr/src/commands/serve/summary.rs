//! What is shown when a pipeline has ended: each job's log, then a table.

use crate::error::CliError;
use crate::job_log::readable;
use crate::output;
use pipglr_coordinator::{JobRecord, JobState, PipelineRecord};

/// Prints the outcome; with `logs` each job's log before it.
pub(super) fn print(pipeline: &PipelineRecord, logs: bool) -> Result<(), CliError> {
    if logs {
        for job in pipeline.jobs.iter().filter(|j| j.trace_size > 0) {
            output::line(format_args!("\n--- log of {} ---", job.name))?;
            print_log(job)?;
        }
    }
    output::line(format_args!(
        "\n{:<20} {:<8} {:<22} {:>9}",
        "job", "stage", "state", "seconds"
    ))?;
    for job in &pipeline.jobs {
        let seconds = match (job.times.started_at, job.times.finished_at) {
            (Some(from), Some(to)) => format!("{:.1}", to.duration_since(from).as_secs_f64()),
            _ => "-".to_owned(),
        };
        output::line(format_args!(
            "{:<20} {:<8} {:<22} {seconds:>9}",
            job.name,
            job.stage,
            outcome(job)
        ))?;
    }
    let warnings = if pipeline.has_warnings {
        " (with allowed failures)"
    } else {
        ""
    };
    output::line(format_args!("pipeline: {}{warnings}", pipeline.state))
}

fn outcome(job: &JobRecord) -> String {
    match job.state {
        JobState::Failed => {
            let code = job
                .exit_code
                .filter(|c| *c != 0)
                .map(|c| format!(" ({c})"))
                .unwrap_or_default();
            let allowed = if job.allow_failure { ", allowed" } else { "" };
            format!("failed{code}{allowed}")
        }
        state => state.to_string(),
    }
}

/// The log as a terminal shows it: without section markers and line headers.
fn print_log(job: &JobRecord) -> Result<(), CliError> {
    match std::fs::read(&job.trace_path) {
        Ok(bytes) => output::raw(&readable(&bytes)),
        Err(error) => {
            output::aside(format_args!("{}: {error}", job.trace_path.display()));
            Ok(())
        }
    }
}
