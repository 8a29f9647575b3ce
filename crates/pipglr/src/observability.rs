//! Logs for the operator: to stderr, one line each. Job output never passes here.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// How logs are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogOptions {
    /// `debug`, `info`, `warn`, `error`, as gitlab-runner names them (`warning`, `fatal`, `panic` are understood).
    pub(crate) level: Option<String>,
    /// `runner`, `text` or `json`.
    pub(crate) format: Option<String>,
}

/// Sets up logging for the process. `PIPGLR_LOG` (a tracing filter) wins over the level.
pub(crate) fn init(options: &LogOptions) {
    let level = match options.level.as_deref().unwrap_or("info").to_lowercase().as_str() {
        "panic" | "fatal" | "error" => "error",
        "warning" | "warn" => "warn",
        "debug" => "debug",
        "trace" => "trace",
        _ => "info",
    };
    let default = format!("{level},hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn");
    let filter = std::env::var("PIPGLR_LOG")
        .ok()
        .and_then(|f| EnvFilter::try_new(f).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // Under systemd the journal adds the time, and nobody reads colours.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colours =
        !in_journal && std::env::var_os("NO_COLOR").is_none() && rustix::termios::isatty(rustix::stdio::stderr());
    let result = match options.format.as_deref() {
        Some("json") => builder.json().with_timer(SystemTime).try_init(),
        _ if in_journal => builder.with_ansi(false).without_time().try_init(),
        _ => builder.with_ansi(colours).with_timer(SystemTime).try_init(),
    };
    // Only a second call fails, and then logging is set up already.
    drop(result);
}
