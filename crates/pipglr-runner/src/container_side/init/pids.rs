//! Whether processes could not be made because the container has as many as it may. A script sees "Cannot fork" or the like,
//! if anything; nobody else would say why.

use super::notice;
use std::fs;

/// The container's own control group, as it sees it. With version 1 there is no such file, and nothing is known.
const EVENTS: &str = "/sys/fs/cgroup/pids.events";
const LIMIT: &str = "/sys/fs/cgroup/pids.max";

/// Processes and threads that were refused so far.
pub(super) fn refused() -> u64 {
    fs::read_to_string(EVENTS).map_or(0, |text| count(&text))
}

/// Says that there were some, if there are more than `before`.
pub(super) fn tell(before: u64) {
    if refused() > before {
        let limit = fs::read_to_string(LIMIT).unwrap_or_default();
        notice::error(&words(&limit));
    }
}

/// `max` of the file.
fn count(events: &str) -> u64 {
    let found = events.lines().find_map(|line| line.strip_prefix("max "));
    found.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn words(limit: &str) -> String {
    let limit = match limit.trim().parse::<u64>() {
        Ok(most) => format!("it may have {most} (`pids_limit` of [runners.podman])"),
        // `max`: what is around it has as many as it may.
        Err(_) => "those around it have all there may be".to_owned(),
    };
    format!("this step could not make all the processes and threads it wanted: {limit}")
}

#[cfg(test)]
mod tests {
    use super::{count, words};

    #[test]
    fn processes_that_were_refused_are_counted() {
        for (events, refused) in [
            ("max 3\n", 3),
            ("max 0\n", 0),
            ("", 0),
            ("max many\n", 0),
            ("other 1\nmax 2\n", 2),
        ] {
            assert_eq!(count(events), refused, "{events:?}");
        }
    }

    #[test]
    fn the_limit_is_told_if_there_is_one() {
        for (limit, expected) in [
            ("32\n", "it may have 32 (`pids_limit` of [runners.podman])"),
            ("max\n", "those around it have all there may be"),
            ("", "those around it have all there may be"),
        ] {
            let beginning = "this step could not make all the processes and threads it wanted: ";
            assert_eq!(words(limit), format!("{beginning}{expected}"));
        }
    }
}
