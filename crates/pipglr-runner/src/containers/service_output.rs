//! What services write: followed into the job's log, or its end for a warning.

use super::Engine;
use super::services::Service;
use crate::trace::{RESET, Source, Trace};
use pipglr_podman::LogOptions;
use std::convert::Infallible;

/// Starts a line of a service.
///
/// Compat: gitlab-runner helpers/ansi_colors.go.
const GREY: &str = "\x1b[0;90m";
/// Most bytes and lines of a service that are shown when it is not ready.
const MOST_BYTES: usize = 64 * 1024;
const MOST_LINES: u64 = 2000;
/// A line that does not end is cut.
const LONGEST_LINE: usize = 16 * 1024;

/// Writes all output of services to the job's log as it comes. Has no end of its own.
pub async fn show(engine: &Engine, services: &[Service], trace: &Trace) -> Infallible {
    let following = services.iter().map(|service| follow(engine, service, trace));
    futures_util::future::join_all(following).await;
    std::future::pending().await
}

/// Compat: gitlab-runner executors/docker/services.go `captureContainerLogs`, helpers/service.
async fn follow(engine: &Engine, service: &Service, trace: &Trace) {
    let options = LogOptions {
        follow: true,
        timestamps: true,
        ..LogOptions::default()
    };
    let mut line = Vec::new();
    let result = async {
        let mut output = engine.client.logs(&service.id, &options).await?;
        while let Some(frame) = output.next().await {
            line.extend_from_slice(&frame?.data);
            if line.ends_with(b"\n") || line.len() > LONGEST_LINE {
                write_line(&mut line, service, trace);
            }
        }
        Ok::<(), pipglr_podman::Error>(())
    };
    let result = result.await;
    if !line.is_empty() {
        write_line(&mut line, service, trace);
    }
    if let Err(error) = result {
        trace.warning(&format!("the output of service {} is lost: {error}", service.label));
    }
}

fn write_line(line: &mut Vec<u8>, service: &Service, trace: &Trace) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let mut bytes = format!("{GREY}[service:{}] ", service.label).into_bytes();
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(RESET.as_bytes());
    bytes.push(b'\n');
    trace.write(Source::Services, &bytes);
    line.clear();
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
