//! The container's own control group, as it sees it. With version 1 its files are not there, and nothing is known.

use std::fs;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";

/// How often something has happened so far: `name` in a file of events.
pub(super) fn events(file: &str, name: &str) -> u64 {
    fs::read_to_string(Path::new(ROOT).join(file)).map_or(0, |text| count(&text, name))
}

/// A limit as it is written.
pub(super) fn limit(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_default()
}

/// A limit's number; none is `max`.
pub(super) fn number(limit: &str) -> Option<u64> {
    limit.trim().parse().ok()
}

fn count(events: &str, name: &str) -> u64 {
    let mut lines = events.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(known, _)| *known == name);
    found.and_then(|(_, times)| number(times)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn what_happened_is_counted_by_its_name() {
        let memory = "low 0\nhigh 0\nmax 41\noom 2\noom_kill 3\noom_group_kill 0\n";
        for (events, name, times) in [
            (memory, "oom_kill", 3),
            ("", "oom_kill", 0),
            ("oom_kill much\n", "oom_kill", 0),
            ("max 3\n", "max", 3),
            ("max 0\n", "max", 0),
            ("", "max", 0),
            ("max many\n", "max", 0),
            ("other 1\nmax 2\n", "max", 2),
        ] {
            assert_eq!(count(events, name), times, "{name} of {events:?}");
        }
    }
}
