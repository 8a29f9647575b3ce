//! Values of the model as people read them.

use pipglr_coordinator::ci::model::When;
use std::time::Duration;

/// GitLab's word.
pub(super) fn word(when: When) -> &'static str {
    match when {
        When::OnSuccess => "on_success",
        When::OnFailure => "on_failure",
        When::Always => "always",
        When::Manual => "manual",
        When::Delayed => "delayed",
        When::Never => "never",
    }
}

/// `1h 30m`, without what is zero.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [
        (seconds / 86400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// At most so many characters of one line.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let text = text.replace('\n', "\\n");
    if text.chars().count() <= limit {
        return text;
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{duration, shortened};
    use std::time::Duration;

    #[test]
    fn values_are_read_by_people() {
        for (seconds, text) in [(0, "0s"), (90, "1m 30s"), (5400, "1h 30m"), (172_800, "2d")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(shortened("a\nbcd", 4), "a\\n…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
