//! The text format that Prometheus reads, and the list of running jobs.

use super::families::{FAMILIES, Type};
use super::{ERRORS, Labels, Metrics, PANICS, Tables, View, WARNINGS, process, runner_labels};
use crate::disk::Disk;
use crate::manager::slots::Want;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

type Values = BTreeMap<&'static str, Vec<(Labels, f64)>>;

impl Metrics {
    /// Everything, as text.
    #[must_use]
    pub fn render(&self) -> String {
        self.show_runners();
        let values = self.values();
        let tables = self.tables();
        let mut text = String::new();
        for (name, kind, help) in FAMILIES {
            let mut lines = String::new();
            for (labels, value) in values.get(name).into_iter().flatten() {
                line(&mut lines, name, labels, &[], *value);
            }
            if kind == Type::Histogram {
                histograms(&tables, name, &mut lines);
            } else {
                for ((_, labels), count) in tables.counters.iter().filter(|((n, _), _)| *n == name) {
                    line(&mut lines, name, labels, &[], number(*count));
                }
            }
            if !lines.is_empty() {
                let word = kind.word();
                text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {word}\n{lines}"));
            }
        }
        text
    }

    /// Running jobs, one a line.
    ///
    /// Compat: gitlab-runner commands/builds_helper.go.
    #[must_use]
    pub fn render_jobs(&self) -> String {
        let mut text = String::new();
        for job in self.tables().jobs.values() {
            let (stage, executor_stage) = stages(job.progress.current().as_deref());
            let duration = crate::job::go_duration(std::time::Duration::from_secs(job.began.elapsed().as_secs()));
            let url = &job.url;
            let written = writeln!(
                text,
                "url={url} state=running stage={stage} executor_stage={executor_stage} duration={duration}"
            );
            written.expect("a text takes everything");
        }
        text
    }

    /// What is read off now.
    fn values(&self) -> Values {
        let mut values = Values::new();
        let mut set = |name, labels: Labels, value: f64| values.entry(name).or_default().push((labels, value));
        for (name, value) in process::gauges() {
            set(name, Vec::new(), value);
        }
        let read = |counter: &AtomicU64| number(counter.load(Ordering::Relaxed));
        // What is fatal ends the process before anybody could ask.
        let fatal = AtomicU64::new(0);
        for (level, counter) in [
            ("panic", &PANICS),
            ("fatal", &fatal),
            ("error", &ERRORS),
            ("warning", &WARNINGS),
        ] {
            let labels = vec![("level", level.to_owned())];
            set("gitlab_runner_errors_total", labels, read(counter));
        }
        let file = &self.reloads;
        for (name, counter) in [
            ("gitlab_runner_configuration_loaded_total", &file.loaded),
            ("gitlab_runner_configuration_loading_error_total", &file.failed),
            ("gitlab_runner_configuration_saved_total", &file.saved),
            ("gitlab_runner_configuration_saving_error_total", &file.not_saved),
        ] {
            set(name, Vec::new(), read(counter));
        }
        set("gitlab_runner_version_info", version_labels(), 1.0);
        let tables = self.tables();
        for ((name, labels), value) in &tables.gauges {
            set(name, labels.clone(), *value);
        }
        let mut jobs: BTreeMap<Labels, f64> = BTreeMap::new();
        for job in tables.jobs.values() {
            let (stage, executor_stage) = stages(job.progress.current().as_deref());
            *jobs
                .entry(job_labels(&job.runner, "running", &stage, executor_stage))
                .or_default() += 1.0;
        }
        if let Some(view) = &tables.view {
            for (labels, name, value) in of_manager(view) {
                set(name, labels, value);
            }
            for runner in &view.configs.borrow().runners {
                let labels = runner_labels(runner, &view.system_id);
                jobs.entry(job_labels(&labels, "idle", "idle", "idle")).or_default();
            }
        }
        drop(tables);
        for (labels, count) in jobs {
            set("gitlab_runner_jobs", labels, count);
        }
        values
    }
}

fn of_manager(view: &View) -> Vec<(Labels, &'static str, f64)> {
    let config = view.configs.borrow();
    let state = view.shutdown.process_state();
    let mut all = vec![
        (
            vec![("state", state.to_owned())],
            "gitlab_runner_process_state_info",
            1.0,
        ),
        (Vec::new(), "gitlab_runner_concurrent", f64::from(config.concurrent)),
        (
            Vec::new(),
            "gitlab_runner_worker_slots_number",
            f64::from(config.concurrent),
        ),
    ];
    if let Some(disk) = &view.disk {
        all.extend(of_disk(disk));
    }
    let counted = view.slots.operations();
    for (operation, count) in [("started", counted.started), ("stopped", counted.stopped)] {
        let labels = vec![("operation", operation.to_owned())];
        all.push((labels, "gitlab_runner_worker_slot_operations_total", number(count)));
    }
    for runner in config.runners.iter().filter(|r| !r.token.is_empty()) {
        let labels = runner_labels(runner, &view.system_id);
        all.push((labels.clone(), "gitlab_runner_limit", f64::from(runner.limit)));
        let short = vec![labels[0].clone(), labels[2].clone()];
        let want = Want::of(runner);
        let usage = view.slots.usage(&want);
        let requests = f64::from(u32::try_from(usage.requests).unwrap_or(u32::MAX));
        for (name, value) in [
            ("gitlab_runner_request_concurrency", requests),
            (
                "gitlab_runner_request_concurrency_exceeded_total",
                number(usage.refused),
            ),
            ("gitlab_runner_request_concurrency_hard_limit", f64::from(want.requests)),
            (
                "gitlab_runner_request_concurrency_adaptive_limit",
                f64::from(usage.allowed_requests),
            ),
            (
                "gitlab_runner_request_concurrency_used_limit",
                f64::from(usage.allowed_requests),
            ),
        ] {
            all.push((short.clone(), name, value));
        }
    }
    all
}

fn of_disk(disk: &Disk) -> Vec<(Labels, &'static str, f64)> {
    let mut all = Vec::new();
    for (name, space) in [
        ("storage", disk.storage()),
        ("cache", disk.cache()),
        ("state", disk.state()),
    ] {
        let Ok(space) = space else { continue };
        let labels = vec![("disk", name.to_owned())];
        all.push((labels.clone(), "pipglr_disk_size_bytes", number(space.total)));
        all.push((labels, "pipglr_disk_free_bytes", number(space.free)));
    }
    let has_room = disk.room().is_enough();
    all.push((Vec::new(), "pipglr_disk_has_room", f64::from(u8::from(has_room))));
    let pieces = number(disk.ballast_pieces());
    all.push((Vec::new(), "pipglr_disk_ballast_pieces", pieces));
    let removed = disk.removed();
    for (kind, counter) in [
        ("image", &removed.images),
        ("volume", &removed.volumes),
        ("cache", &removed.caches),
        ("container", &removed.containers),
    ] {
        let count = number(counter.load(Ordering::Relaxed));
        all.push((vec![("kind", kind.to_owned())], "pipglr_disk_removed_total", count));
    }
    all
}

fn job_labels(runner: &Labels, state: &str, stage: &str, executor_stage: &str) -> Labels {
    let own = [("state", state), ("stage", stage), ("executor_stage", executor_stage)];
    runner
        .iter()
        .cloned()
        .chain(own.map(|(name, value)| (name, value.to_owned())))
        .collect()
}

/// Stage and executor stage of a job in this phase.
fn stages(phase: Option<&str>) -> (String, &'static str) {
    match phase {
        None => ("prepare_executor".to_owned(), "created"),
        Some("prepare_executor") => ("prepare_executor".to_owned(), "docker_prepare"),
        Some(phase) if phase.starts_with("cleanup") => (phase.to_owned(), "docker_cleanup"),
        Some(phase) => (phase.to_owned(), "docker_run"),
    }
}

fn version_labels() -> Labels {
    [
        ("name", crate::NAME),
        ("version", crate::VERSION),
        ("revision", crate::REVISION),
        ("branch", crate::BRANCH),
        ("go_version", "none"),
        ("built_at", crate::BUILT),
        ("os", "linux"),
        ("architecture", crate::go_architecture()),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn histograms(tables: &Tables, name: &str, lines: &mut String) {
    for ((_, labels), histogram) in tables.histograms.iter().filter(|((n, _), _)| *n == name) {
        let bounds = histogram
            .bounds
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(histogram.counts.iter().chain([&histogram.count])) {
            line(
                lines,
                &format!("{name}_bucket"),
                labels,
                &[("le", &bound)],
                number(*count),
            );
        }
        line(lines, &format!("{name}_sum"), labels, &[], histogram.sum);
        line(lines, &format!("{name}_count"), labels, &[], number(histogram.count));
    }
}

/// Counters stay far below the numbers that no longer fit exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn number(count: u64) -> f64 {
    count as f64
}

fn line(text: &mut String, name: &str, labels: &Labels, more: &[(&str, &str)], value: f64) {
    let own = labels.iter().map(|(name, value)| (*name, value.as_str()));
    let each: Vec<String> = own
        .chain(more.iter().copied())
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    let labels = if each.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", each.join(","))
    };
    text.push_str(&format!("{name}{labels} {value}\n"));
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
