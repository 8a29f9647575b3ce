//! `pipglr status`.

use super::{Outcome, host};
use crate::cli::StatusArgs;
use crate::error::CliError;
use crate::output;
use pipglr_host::running::Running;
use pipglr_host::running::status::{Status, Survey};
use std::fmt::Write as _;
use std::time::Duration;

/// Exit codes, those of `systemctl status`.
const UNHEALTHY: u8 = 1;
const MISSING: u8 = 3;

/// Pause between two looks of `--watch`.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn run(args: &StatusArgs) -> Outcome {
    let running = Running::new(&host::account(&args.account)?, &args.account.container);
    loop {
        let code = show_once(args, &running)?;
        if !args.watch {
            return Ok(code);
        }
        std::thread::sleep(PAUSE);
    }
}

fn show_once(args: &StatusArgs, running: &Running) -> Outcome {
    let status = running.status().map_err(host::explained)?;
    if args.json {
        output::line(serde_json::to_string(&status)?)?;
    } else {
        // To the top left, and nothing below.
        let clear = if args.watch && output::Style::of_stdout().colours {
            "\x1b[H\x1b[2J"
        } else {
            ""
        };
        output::raw(&format!("{clear}{}", text(status.as_ref(), &args.account.container)))?;
    }
    Ok(match status {
        None => MISSING,
        Some(Status { healthy: true, .. }) => 0,
        Some(_) => UNHEALTHY,
    })
}

fn text(status: Option<&Status>, name: &str) -> String {
    let Some(status) = status else {
        return format!("there is no container {name}; pipglr up sets one up\n");
    };
    let mut lines = String::new();
    let mut row = |what: &str, value: String| {
        let _ = writeln!(lines, "{what:<10} {value}");
    };
    let container = &status.container;
    row(
        "container",
        format!(
            "{}, {} since {}, image {}",
            container.name, container.state, container.since, container.image
        ),
    );
    row(
        "health",
        status
            .problem
            .clone()
            .unwrap_or_else(|| "runner and engine answer".to_owned()),
    );
    for note in &status.notes {
        row("note", note.clone());
    }
    row(
        "engine",
        status.engine.clone().unwrap_or_else(|| "not known".to_owned()),
    );
    match &status.survey {
        Some(survey) => survey_rows(survey, &mut row),
        None => row("runners", "not known".to_owned()),
    }
    for volume in &status.volumes {
        row(
            "volume",
            format!(
                "{:<15} {}",
                volume.name,
                volume.bytes.map_or_else(|| "size not known".to_owned(), size)
            ),
        );
    }
    for error in &status.last_errors {
        row("error", error.clone());
    }
    lines
}

fn survey_rows(survey: &Survey, row: &mut impl FnMut(&str, String)) {
    row(
        "manager",
        format!(
            "pipglr {}, system ID {}",
            survey.version,
            survey.system_id.as_deref().unwrap_or("not known yet")
        ),
    );
    for runner in &survey.runners {
        row(
            "runner",
            format!("{} at {}, token {}…", runner.name, runner.url, runner.token),
        );
    }
    row("jobs", format!("{} of {}", survey.jobs.len(), survey.concurrent));
    for job in &survey.jobs {
        row(
            "job",
            format!(
                "{} {} of {}, {} for {} s",
                job.id, job.name, job.project, job.phase, job.age_seconds
            ),
        );
    }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// Rows of a table below its heading, as wide as they have to be.
pub(super) fn table(rows: &[Vec<String>]) -> Result<(), CliError> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output::line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{size, text};
    use pipglr_host::running::status::{Container, Job, Runner, Status, Survey, Volume};

    #[test]
    fn what_a_person_sees() {
        let status = Status {
            container: Container {
                name: "pipglr".into(),
                image: "image".into(),
                state: "running".into(),
                since: "noon".into(),
            },
            healthy: true,
            problem: None,
            notes: vec!["GitLab at https://g.example, runner r: no answer since noon (connection refused)".into()],
            engine: Some("podman version 5.4.2".into()),
            survey: Some(Survey {
                version: "1.0.0".into(),
                system_id: Some("r_abc".into()),
                concurrent: 4,
                runners: vec![Runner {
                    name: "r".into(),
                    url: "https://g.example".into(),
                    token: "abcdefghi".into(),
                }],
                jobs: vec![Job {
                    id: 7,
                    name: "build".into(),
                    project: "g/p".into(),
                    runner: "r".into(),
                    phase: "scripts".into(),
                    age_seconds: 9,
                }],
            }),
            volumes: vec![Volume {
                name: "pipglr-cache".into(),
                bytes: Some(2_345_678_901),
            }],
            last_errors: vec!["ERROR e".into()],
        };
        let expected = "\
container  pipglr, running since noon, image image
health     runner and engine answer
note       GitLab at https://g.example, runner r: no answer since noon (connection refused)
engine     podman version 5.4.2
manager    pipglr 1.0.0, system ID r_abc
runner     r at https://g.example, token abcdefghi…
jobs       1 of 4
job        7 build of g/p, scripts for 9 s
volume     pipglr-cache    2.3 GB
error      ERROR e
";
        assert_eq!(text(Some(&status), "pipglr"), expected);
        assert_eq!(text(None, "x"), "there is no container x; pipglr up sets one up\n");
    }

    #[test]
    fn sizes() {
        assert_eq!([0, 1, 999_000, 5_000_000].map(size), ["0 kB", "1 kB", "999 kB", "5 MB"]);
    }
}
