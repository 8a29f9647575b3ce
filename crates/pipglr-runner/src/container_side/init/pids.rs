//! Whether processes could not be made because the container has as many as it may. A script sees "Cannot fork" or the like,
//! if anything; nobody else would say why.

use super::{group, notice};

/// Processes and threads that were refused so far.
pub(super) fn refused() -> u64 {
    group::events("pids.events", "max")
}

/// Says that there were some, if there are more than `before`.
pub(super) fn tell(before: u64) {
    if refused() > before {
        notice::error(&words(&group::limit("pids.max")));
    }
}

fn words(limit: &str) -> String {
    let limit = match group::number(limit) {
        Some(most) => format!("it may have {most} (`pids_limit` of [runners.podman])"),
        // What is around it has as many as it may.
        None => "those around it have all there may be".to_owned(),
    };
    format!("this step could not make all the processes and threads it wanted: {limit}")
}

#[cfg(test)]
mod tests {
    use super::words;

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
