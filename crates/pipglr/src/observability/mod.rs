//! Logs for the operator: to stderr, one line each. Job output never passes here.

#[cfg(test)]
mod captured;
mod format;
mod json;

use format::{Format, Lines};
use std::sync::OnceLock;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How logs are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogOptions {
    /// `debug`, `info`, `warn`, `error`, as gitlab-runner names them (`warning`, `fatal`, `panic` are understood).
    pub(crate) level: Option<String>,
    /// `runner`, `text` or `json`.
    pub(crate) format: Option<String>,
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Sets up logging for the process. `PIPGLR_LOG` (a tracing filter) wins over the level.
pub(crate) fn init(options: &LogOptions) {
    let (filter, handle) = reload::Layer::new(filter(options.level.as_deref()));
    // Under systemd the journal adds the time, and nobody reads colours.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colours =
        !in_journal && std::env::var_os("NO_COLOR").is_none() && rustix::termios::isatty(rustix::stdio::stderr());
    set_format(options.format.as_deref());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .event_format(Lines::new(in_journal));
    // Only a second call fails, and then logging is set up already.
    if tracing_subscriber::registry()
        .with(filter)
        .with(Count)
        .with(layer)
        .try_init()
        .is_ok()
    {
        FILTER.get_or_init(|| handle);
    }
}

/// Changes the format of lines while the process runs.
pub(crate) fn set_format(format: Option<&str>) {
    format::choose(match format {
        Some("json") => Format::Json,
        _ => Format::Text,
    });
}

/// Changes the level while the process runs.
pub(crate) fn set_level(level: Option<&str>) {
    let changed = FILTER.get().map(|handle| handle.reload(filter(level)));
    if let Some(Err(error)) = changed {
        tracing::warn!(%error, "the log level stays as it is");
    }
}

fn filter(level: Option<&str>) -> EnvFilter {
    let level = match level.unwrap_or("info").to_lowercase().as_str() {
        "panic" | "fatal" | "error" => "error",
        "warning" | "warn" => "warn",
        "debug" => "debug",
        "trace" => "trace",
        _ => "info",
    };
    let default = format!("{level},hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn");
    std::env::var("PIPGLR_LOG")
        .ok()
        .and_then(|f| EnvFilter::try_new(f).ok())
        .unwrap_or_else(|| EnvFilter::new(default))
}

/// Counts errors and warnings for the metrics.
struct Count;

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level == Level::ERROR || level == Level::WARN {
            pipglr_runner::metrics::count_log_line(level == Level::ERROR);
        }
    }
}
