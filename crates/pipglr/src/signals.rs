//! Signals of the process.

use pipglr_runner::manager::{Shutdown, ShutdownLevel};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Passes SIGQUIT, SIGTERM and SIGINT on as stop requests, and SIGHUP to `reload`, for as long as the process lives.
///
/// # Errors
/// Signals cannot be listened to.
pub(crate) fn watch(shutdown: Shutdown, reload: Arc<Notify>) -> std::io::Result<()> {
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let (name, level) = tokio::select! {
                _ = quit.recv() => ("SIGQUIT", ShutdownLevel::Graceful),
                _ = terminate.recv() => ("SIGTERM", ShutdownLevel::Forceful),
                _ = interrupt.recv() => ("SIGINT", ShutdownLevel::Forceful),
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    reload.notify_one();
                    continue;
                }
            };
            tracing::info!(signal = name, "stop requested");
            shutdown.request(level);
        }
    });
    Ok(())
}
