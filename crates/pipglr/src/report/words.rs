//! Figures and reasons in words.

use jiff::Timestamp;
use pipglr_protocol::update::FailureReason;

/// `10:15:30.123`, in UTC.
pub(super) fn clock(time: Timestamp) -> String {
    format!("{time:.3}").get(11..23).unwrap_or_default().to_owned()
}

/// `2026-08-22 10:15:30 UTC`.
pub(super) fn moment(time: Timestamp) -> String {
    let text = format!("{time:.0}").replace('T', " ");
    text.trim_end_matches('Z').to_owned() + " UTC"
}

/// Seconds from one moment to another; none if they are in the wrong order.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// The time from one moment to another.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    duration(seconds(from, to))
}

/// `0.3 s`, `12.0 s`, `3 min 05 s`, `2 h 03 min`.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a run's seconds, not negative"
    )]
    let whole = seconds.round() as u64;
    match whole {
        ..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// `512 B`, `1.2 kB`, `50.0 MB`.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    for unit in ["kB", "MB", "GB"] {
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1000;
    }
    format!("{}.{} TB", tenths / 10, tenths % 10)
}

/// Why a job failed, for a reader who knows no word of the API.
pub(super) fn reason(reason: &FailureReason) -> String {
    match reason {
        FailureReason::ScriptFailure => "a command of the script failed".to_owned(),
        FailureReason::RunnerSystemFailure => "the runner could not run it".to_owned(),
        FailureReason::JobExecutionTimeout => "it took longer than its timeout".to_owned(),
        FailureReason::ImagePullFailure => "its image could not be pulled".to_owned(),
        FailureReason::RunnerExternalDependencyFailure => "something the runner depends on failed".to_owned(),
        FailureReason::RunnerConfigurationError => "the runner's configuration does not allow it".to_owned(),
        FailureReason::RunnerInterrupted => "the runner was stopped".to_owned(),
        FailureReason::JobCanceled => "it was canceled".to_owned(),
        FailureReason::UnknownFailure => "for a reason nobody named".to_owned(),
        FailureReason::Named(word) => word.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::{clock, duration, moment, size};

    #[test]
    fn figures_read_well() {
        let time = "2026-08-22T10:15:30.123456Z".parse().unwrap();
        assert_eq!(clock(time), "10:15:30.123");
        assert_eq!(moment(time), "2026-08-22 10:15:30 UTC");
        for (seconds, text) in [
            (0.04, "0.0 s"),
            (12.34, "12.3 s"),
            (59.4, "59.4 s"),
            (59.96, "1 min 00 s"),
            (185.0, "3 min 05 s"),
            (7380.0, "2 h 03 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (52_428_800, "52.4 MB"),
            (5_000_000_000_000, "5.0 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
