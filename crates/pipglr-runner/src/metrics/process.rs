//! What the kernel knows of this process.

use std::fs;

/// The kernel counts time for programs in hundredths of a second.
const TICKS: f64 = 100.0;

/// Names and values; what cannot be read is left out.
pub(super) fn gauges() -> Vec<(&'static str, f64)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let kib = |name: &str| field(&status, name).map(|kib| kib * 1024.0);
    // The name of the program, in parentheses, may hold anything; numbers follow it.
    let numbers: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let tick = |at: usize| numbers.get(at).and_then(|n| n.parse::<f64>().ok()).map(|n| n / TICKS);
    let values = [
        (
            "process_cpu_seconds_total",
            tick(11).zip(tick(12)).map(|(user, system)| user + system),
        ),
        (
            "process_open_fds",
            fs::read_dir("/proc/self/fd").ok().map(|fds| count(fds.count())),
        ),
        ("process_max_fds", field(&limits, "Max open files")),
        ("process_resident_memory_bytes", kib("VmRSS:")),
        ("process_virtual_memory_bytes", kib("VmSize:")),
        (
            "process_start_time_seconds",
            tick(19).zip(field(&boot, "btime")).map(|(after, boot)| after + boot),
        ),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The first number behind `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}
