//! Who waited for what, drawn: a row for each attempt of a job, bars for what it did, lines for what it waited for.

use super::log::{Log, Phases};
use super::run::{Job, Run};
use super::words;
use jiff::Timestamp;
use pipglr_coordinator::JobState;
use std::collections::{BTreeMap, HashMap};

/// Pixels.
pub(super) const ROW_HEIGHT: usize = 32;
/// With more rows only the line to the job that was waited for last is drawn.
const ROWS_WITH_ALL_NEEDS: usize = 200;
/// Marks on the axis, at most.
const TICKS: f64 = 8.0;

#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// In the order in which they started.
    pub(super) rows: Vec<Row>,
    pub(super) lines: Vec<Line>,
    pub(super) ticks: Vec<Tick>,
    /// Pixels.
    pub(super) height: usize,
}

#[derive(Debug)]
pub(super) struct Row {
    /// Place in [`Run::jobs`].
    pub(super) job: usize,
    /// Names; the one that ended last is first.
    pub(super) waited_for: String,
    pub(super) phases: [Span; 5],
}

/// A part of a job's life; without length if it did not come to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    /// Per cent of the width.
    pub(super) x: String,
    pub(super) width: String,
    /// In words; empty if it did not come to it.
    pub(super) took: String,
}

/// A horizontal or vertical line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Whether the wait ended with this job.
    pub(super) is_last: bool,
    /// Per cent of the width.
    pub(super) x1: String,
    pub(super) x2: String,
    /// Pixels.
    pub(super) y1: usize,
    pub(super) y2: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) x: String,
    pub(super) label: String,
}

/// Draws `run`; `logs` are those of its jobs.
pub(super) fn draw(run: &Run, logs: &[Log]) -> Timeline {
    let scale = Scale::of(run);
    let mut order: Vec<usize> = (0..run.jobs.len()).collect();
    order.sort_by_key(|&index| {
        let times = run.jobs[index].times;
        times.started_at.or(times.queued_at).unwrap_or(Timestamp::MAX)
    });
    let places: HashMap<u64, usize> = order
        .iter()
        .enumerate()
        .map(|(row, &i)| (run.jobs[i].id, row))
        .collect();
    let rows = order.iter().map(|&index| Row {
        job: index,
        waited_for: waited_for(run, &run.jobs[index]),
        phases: phases(&run.jobs[index], logs.get(index).map(|log| log.phases), &scale),
    });
    Timeline {
        rows: rows.collect(),
        lines: lines(run, &order, &places, &scale),
        ticks: scale.ticks(),
        height: order.len() * ROW_HEIGHT,
    }
}

fn waited_for(run: &Run, job: &Job) -> String {
    let named = |id: &u64| run.jobs.iter().find(|j| j.id == *id).map(|j| j.name.as_str());
    let mut names: Vec<&str> = job.released_by.iter().filter_map(named).collect();
    for name in job.needs.iter().flatten().filter_map(named) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn phases(job: &Job, phases: Option<Phases>, scale: &Scale) -> [Span; 5] {
    let times = job.times;
    let phases = phases.unwrap_or_default();
    let within = |at: Timestamp| Some(at.clamp(times.started_at?, times.finished_at.unwrap_or(scale.end)));
    let ended = times.finished_at.or(times.started_at.map(|_| scale.end));
    let script = phases.script_began.and_then(within);
    let after = phases.script_ended.and_then(within).filter(|_| script.is_some());
    // A job that was skipped or canceled while it waited has an end and no start.
    let queue_ended = times.started_at.or(times.finished_at);
    let work = match job.state {
        JobState::Failed if job.allow_failure || job.is_retried => "warn",
        JobState::Failed => "bad",
        JobState::Canceled => "off",
        _ => "good",
    };
    let (prepared_from, script_from) = match script {
        Some(script) => (times.started_at, Some(script)),
        None if job.state == JobState::Success || job.exit_code.is_some() => (None, times.started_at),
        // The script did not begin.
        None => (times.started_at, None),
    };
    [
        scale.span("wait", "waited for jobs", Some(times.created_at), times.queued_at),
        scale.span("queue", "waited for a runner", times.queued_at, queue_ended),
        scale.span(
            if script.is_some() { "prep" } else { work },
            "prepared",
            prepared_from,
            script.or(ended),
        ),
        scale.span(work, "ran", script_from, after.or(ended)),
        scale.span("after", "finished up", after, ended),
    ]
}

/// From the end of a job down to the last row that waited for it, and from there to each that did.
fn lines(run: &Run, order: &[usize], places: &HashMap<u64, usize>, scale: &Scale) -> Vec<Line> {
    let middle = |row: usize| row * ROW_HEIGHT + ROW_HEIGHT / 2;
    let draws_all = order.len() <= ROWS_WITH_ALL_NEEDS;
    let mut branches = Vec::new();
    // Row, and whether the wait ended there → the last row that waited for it.
    let mut trunks: BTreeMap<(bool, usize), usize> = BTreeMap::new();
    for (row, &index) in order.iter().enumerate() {
        let job = &run.jobs[index];
        let Some(queued) = job.times.queued_at else { continue };
        let needs = job
            .needs
            .iter()
            .flatten()
            .filter(|id| draws_all && Some(**id) != job.released_by);
        for id in needs.chain(&job.released_by) {
            let Some(&from) = places.get(id) else { continue };
            let Some(ended) = run.jobs[order[from]].times.finished_at else {
                continue;
            };
            if from >= row {
                continue;
            }
            let is_last = Some(*id) == job.released_by;
            let reach = trunks.entry((is_last, from)).or_default();
            *reach = row.max(*reach);
            branches.push(Line {
                is_last,
                x1: scale.x(ended),
                x2: scale.x(queued),
                y1: middle(row),
                y2: middle(row),
            });
        }
    }
    let mut lines: Vec<Line> = trunks
        .into_iter()
        .filter_map(|((is_last, from), to)| {
            let x = scale.x(run.jobs[order[from]].times.finished_at?);
            Some(Line {
                is_last,
                x1: x.clone(),
                x2: x,
                y1: middle(from),
                y2: middle(to),
            })
        })
        .chain(branches)
        .collect();
    // What matters more is drawn over the rest.
    lines.sort_by_key(|line| line.is_last);
    lines
}

/// From times to places.
struct Scale {
    start: Timestamp,
    end: Timestamp,
    seconds: f64,
}

impl Scale {
    fn of(run: &Run) -> Self {
        let start = run
            .jobs
            .iter()
            .map(|j| j.times.created_at)
            .chain([run.created_at])
            .min();
        let start = start.unwrap_or(run.created_at);
        let times = run
            .jobs
            .iter()
            .flat_map(|j| [j.times.queued_at, j.times.started_at, j.times.finished_at]);
        let end = times.chain([run.finished_at]).flatten().max().unwrap_or(start);
        Self {
            start,
            end,
            // A pipeline without any time has a width nevertheless.
            seconds: words::seconds(start, end).max(0.001),
        }
    }

    fn part(&self, at: Timestamp) -> f64 {
        100.0 * words::seconds(self.start, at) / self.seconds
    }

    fn x(&self, at: Timestamp) -> String {
        percent(self.part(at))
    }

    fn span(&self, class: &'static str, word: &'static str, from: Option<Timestamp>, to: Option<Timestamp>) -> Span {
        let (x, width, took) = match (from, to) {
            (Some(from), Some(to)) if from <= to => (
                self.x(from),
                percent(self.part(to) - self.part(from)),
                words::between(from, to),
            ),
            _ => Default::default(),
        };
        Span {
            class,
            word,
            x,
            width,
            took,
        }
    }

    /// Marks at round times.
    fn ticks(&self) -> Vec<Tick> {
        let steps = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
        ];
        let step = steps
            .into_iter()
            .find(|step| self.seconds / step <= TICKS)
            .unwrap_or(self.seconds / TICKS);
        let times = std::iter::successors(Some(0.0), |at| Some(at + step));
        // The last label would stick out.
        let shown = times.take_while(|at| *at <= self.seconds * 0.96);
        let label = |at: f64| match at {
            0.0 => "0".to_owned(),
            _ if step < 1.0 => format!("{at:.1} s"),
            _ if at < 60.0 => format!("{at:.0} s"),
            _ => words::duration(at),
        };
        shown
            .map(|at| Tick {
                x: percent(100.0 * at / self.seconds),
                label: label(at),
            })
            .collect()
    }
}

fn percent(part: f64) -> String {
    format!("{:.2}%", part.clamp(0.0, 100.0))
}
