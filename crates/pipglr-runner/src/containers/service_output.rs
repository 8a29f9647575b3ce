//! What services write: followed into the job's log, or its end for a warning.

use super::Engine;
use super::outage::within_limit;
use super::services::Service;
use crate::trace::{RESET, Source, Trace};
use pipglr_podman::LogOptions;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

/// Starts a line of a service.
///
/// Compat: gitlab-runner helpers/ansi_colors.go.
const GREY: &str = "\x1b[0;90m";
/// Most bytes and lines of a service that are shown when it is not ready.
const MOST_BYTES: usize = 64 * 1024;
const MOST_LINES: u64 = 2000;
/// A line that does not end is cut.
const LONGEST_LINE: usize = 16 * 1024;

/// Services whose output goes to the job's log.
#[derive(Debug)]
pub struct Shown<'s> {
    engine: &'s Engine,
    trace: &'s Trace,
    /// With how many bytes of each are in the log already, as podman gives them.
    services: Vec<(Service, AtomicU64)>,
}

impl<'s> Shown<'s> {
    /// Nothing of them is in the log yet.
    #[must_use]
    pub fn new(engine: &'s Engine, services: Vec<Service>, trace: &'s Trace) -> Self {
        let services = services.into_iter().map(|service| (service, AtomicU64::new(0)));
        Self {
            engine,
            trace,
            services: services.collect(),
        }
    }

    /// Writes all output to the log as it comes. Has no end of its own.
    ///
    /// Compat: gitlab-runner executors/docker/services.go `captureContainerLogs`, helpers/service.
    pub async fn follow(&self) -> Infallible {
        let following = self.services.iter().map(|(service, written)| async move {
            if let Err(error) = self.write(service, written, true).await {
                // The rest shows what is missing.
                tracing::warn!(service = service.label, %error, "the output of a service is not followed");
            }
        });
        futures_util::future::join_all(following).await;
        std::future::pending().await
    }

    /// Writes what is not in the log yet: podman tells of new output a moment late, and the job's end does not wait.
    pub async fn rest(&self) {
        let writing = self.services.iter().map(|(service, written)| async move {
            if let Err(error) = within_limit(self.write(service, written, false)).await {
                let label = &service.label;
                self.trace
                    .warning(&format!("the output of service {label} is lost: {error}"));
            }
        });
        futures_util::future::join_all(writing).await;
    }

    async fn write(&self, service: &Service, written: &AtomicU64, follow: bool) -> Result<(), pipglr_podman::Error> {
        let options = LogOptions {
            follow,
            timestamps: true,
            ..LogOptions::default()
        };
        let mut output = self.engine.client.logs(&service.id, &options).await?;
        let mut skip = usize::try_from(written.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let mut line = Vec::new();
        while let Some(frame) = output.next().await {
            let data = frame?.data;
            let known = skip.min(data.len());
            skip -= known;
            line.extend_from_slice(&data[known..]);
            if line.ends_with(b"\n") || line.len() > LONGEST_LINE {
                self.write_line(&mut line, service, written);
            }
        }
        if !line.is_empty() {
            self.write_line(&mut line, service, written);
        }
        Ok(())
    }

    fn write_line(&self, line: &mut Vec<u8>, service: &Service, written: &AtomicU64) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let mut bytes = format!("{GREY}[service:{}] ", service.label).into_bytes();
        bytes.extend_from_slice(text);
        bytes.extend_from_slice(RESET.as_bytes());
        bytes.push(b'\n');
        self.trace.write(Source::Services, &bytes);
        written.fetch_add(line.len() as u64, Ordering::Relaxed);
        line.clear();
    }
}

/// The last lines a service wrote, with times.
///
/// # Errors
/// podman cannot tell.
pub async fn last_lines(engine: &Engine, service: &Service) -> Result<Vec<u8>, pipglr_podman::Error> {
    let options = LogOptions {
        timestamps: true,
        tail: Some(MOST_LINES),
        ..LogOptions::default()
    };
    let mut output = engine.client.logs(&service.id, &options).await?;
    let mut bytes = Vec::new();
    while let Some(frame) = output.next().await {
        bytes.extend_from_slice(&frame?.data);
        if bytes.len() > 2 * MOST_BYTES {
            keep_end(&mut bytes);
        }
    }
    keep_end(&mut bytes);
    Ok(bytes)
}

/// Drops whole lines from the front until the rest is short enough.
fn keep_end(bytes: &mut Vec<u8>) {
    if bytes.len() <= MOST_BYTES {
        return;
    }
    let cut = bytes.len() - MOST_BYTES;
    let end_of_line = bytes[cut..].iter().position(|byte| *byte == b'\n');
    bytes.drain(..end_of_line.map_or(cut, |at| cut + at + 1));
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, keep_end};

    #[test]
    fn the_end_is_kept_in_whole_lines() {
        let mut short = b"a\nb\n".to_vec();
        keep_end(&mut short);
        assert_eq!(short, b"a\nb\n");
        let mut long = [b"first\n".to_vec(), vec![b'x'; MOST_BYTES - 5], b"\nlast\n".to_vec()].concat();
        keep_end(&mut long);
        assert_eq!(long, b"last\n");
        let mut endless = vec![b'x'; MOST_BYTES + 9];
        keep_end(&mut endless);
        assert_eq!(endless.len(), MOST_BYTES);
    }
}
