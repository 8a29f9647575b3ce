//! Whether the kernel ended processes because the container had used up its memory. A script sees exit code 137, if it
//! looks; nobody else would say why.

use super::notice;
use std::fs;

/// The container's own control group, as it sees it. With version 1 there is no such file, and nothing is known.
const EVENTS: &str = "/sys/fs/cgroup/memory.events";
const LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// Processes ended so far.
pub(super) fn ended() -> u64 {
    fs::read_to_string(EVENTS).map_or(0, |text| count(&text))
}

/// Says how many were ended since there were `before`.
pub(super) fn tell(before: u64) {
    let now = ended();
    if now > before {
        let limit = fs::read_to_string(LIMIT).unwrap_or_default();
        notice::error(&words(now - before, &limit));
    }
}

/// `oom_kill` of the file.
fn count(events: &str) -> u64 {
    let found = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    found.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn words(ended: u64, limit: &str) -> String {
    let processes = if ended == 1 { "a process" } else { "processes" };
    let limit = match limit.trim().parse::<u64>() {
        Ok(bytes) => format!("; it may use {} MiB", bytes >> 20),
        // `max`: what is around it was used up.
        Err(_) => String::new(),
    };
    format!("the container ran out of memory, and the kernel ended {processes} of this step{limit}")
}

#[cfg(test)]
mod tests {
    use super::{count, words};

    #[test]
    fn processes_that_were_ended_are_counted() {
        let events = "low 0\nhigh 0\nmax 41\noom 2\noom_kill 3\noom_group_kill 0\n";
        assert_eq!(count(events), 3);
        assert_eq!(count(""), 0);
        assert_eq!(count("oom_kill much\n"), 0);
    }

    #[test]
    fn the_limit_is_told_if_there_is_one() {
        for (ended, limit, expected) in [
            (
                1,
                "134217728\n",
                "the kernel ended a process of this step; it may use 128 MiB",
            ),
            (2, "max\n", "the kernel ended processes of this step"),
            (2, "", "the kernel ended processes of this step"),
        ] {
            assert_eq!(
                words(ended, limit),
                format!("the container ran out of memory, and {expected}")
            );
        }
    }
}
