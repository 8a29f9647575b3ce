//! Lines of the log in the format that is in force: it may change while the process runs.

use super::json::JsonLines;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Full, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A format of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

static JSON: AtomicBool = AtomicBool::new(false);

/// Puts a format in force.
pub(super) fn choose(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Writes lines in the format in force.
pub(super) struct Lines {
    text: tracing_subscriber::fmt::format::Format<Full, SystemTime>,
    /// The journal adds the time.
    timeless: Option<tracing_subscriber::fmt::format::Format<Full, ()>>,
}

impl Lines {
    pub(super) fn new(in_journal: bool) -> Self {
        let text = tracing_subscriber::fmt::format().with_target(false);
        Self {
            timeless: in_journal.then(|| text.clone().without_time()),
            text,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match &self.timeless {
            _ if JSON.load(Ordering::Relaxed) => JsonLines.format_event(context, writer, event),
            Some(timeless) => timeless.format_event(context, writer, event),
            None => self.text.format_event(context, writer, event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::captured::captured;
    use super::{Format, Lines, choose};

    #[test]
    fn the_format_changes_between_two_lines() {
        let text = captured(Lines::new(true), || {
            for format in [Format::Text, Format::Json, Format::Text] {
                choose(format);
                tracing::warn!(job_id = 7, "failed");
            }
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            (lines.len(), lines[0], lines[2]),
            (3, " WARN failed job_id=7", lines[0])
        );
        assert!(lines[1].starts_with('{') && lines[1].contains("\"job\":7"), "{text}");
    }
}
