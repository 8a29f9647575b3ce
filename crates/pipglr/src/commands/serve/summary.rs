//! What is shown when a pipeline has ended: each job's log, then a table.

use crate::error::CliError;
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
        Ok(bytes) => output::raw(&readable(&String::from_utf8_lossy(&bytes))),
        Err(error) => {
            output::aside(format_args!("{}: {error}", job.trace_path.display()));
            Ok(())
        }
    }
}

/// Drops the 32-byte line headers, section markers and clear-line sequences of a trace.
fn readable(trace: &str) -> String {
    let mut text = String::with_capacity(trace.len());
    let mut marker_before = false;
    for line in trace.split_inclusive('\n') {
        let (body, continues) = without_header(line);
        let body = without_sections(body).replace("\x1b[0K", "");
        // A continued line belongs to the one before it, unless that one was only a marker.
        if continues && !marker_before && text.ends_with('\n') {
            text.pop();
        }
        marker_before = body.trim_end_matches('\n').is_empty() && line.contains("section_");
        if !marker_before {
            text.push_str(&body);
        }
    }
    text
}

/// `2026-08-22T10:15:30.123456Z 01O ` and whether it says "continued".
fn without_header(line: &str) -> (&str, bool) {
    let header = line.as_bytes();
    let is_header = header.len() >= 32
        && header[26] == b'Z'
        && header[27] == b' '
        && matches!(header[30], b'O' | b'E')
        && header[10] == b'T';
    if is_header {
        (&line[32..], header[31] == b'+')
    } else {
        (line, false)
    }
}

fn without_sections(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = ["section_start:", "section_end:"]
        .iter()
        .filter_map(|m| rest.find(m))
        .min()
    {
        out.push_str(&rest[..at]);
        match rest[at..].find('\r') {
            Some(end) => rest = &rest[at + end + 1..],
            None => {
                rest = &rest[at..];
                break;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn traces_read_like_a_terminal() {
        let trace = "2026-08-22T10:15:30.123456Z 00O before\n\
                     2026-08-22T10:15:30.123456Z 00O section_start:1:step_script\r\x1b[0K\n\
                     2026-08-22T10:15:30.123456Z 00O+\x1b[0KTitle\n\
                     2026-08-22T10:15:30.123456Z 01O hello\n\
                     2026-08-22T10:15:30.123456Z 00O section_end:1:step_script\r\x1b[0K\n\
                     no header\n";
        assert_eq!(readable(trace), "before\nTitle\nhello\nno header\n");
    }
}
