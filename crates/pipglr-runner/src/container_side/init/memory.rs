//! Whether the kernel ended processes because the container had used up its memory. A script sees exit code 137, if it
//! looks; nobody else would say why.

use super::{group, notice};

/// Processes ended so far.
pub(super) fn ended() -> u64 {
    group::events("memory.events", "oom_kill")
}

/// Says how many were ended since there were `before`.
pub(super) fn tell(before: u64) {
    let now = ended();
    if now > before {
        notice::error(&words(now - before, &group::limit("memory.max")));
    }
}

fn words(ended: u64, limit: &str) -> String {
    let processes = if ended == 1 { "a process" } else { "processes" };
    let limit = match group::number(limit) {
        Some(bytes) => format!("; it may use {} MiB", bytes >> 20),
        // What is around it was used up.
        None => String::new(),
    };
    format!("the container ran out of memory, and the kernel ended {processes} of this step{limit}")
}

#[cfg(test)]
mod tests {
    use super::words;

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
