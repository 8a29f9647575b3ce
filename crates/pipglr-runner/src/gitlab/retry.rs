//! Which answers are worth another try, and how long to wait before it.
//!
//! Compat: gitlab-runner network/retry_requester.go.

use reqwest::header::HeaderMap;
use std::time::Duration;

/// Tries of one call, the first included.
pub(super) const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether a status says "later" rather than "no".
pub(crate) fn is_retriable(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504) || status >= 512
}

/// The pause before try number `attempt + 1`: what the server asks for, else full jitter below a doubling bound.
pub(super) fn pause(headers: &HeaderMap, attempt: u32, random: f64) -> Duration {
    let asked = headers
        .get("retry-after")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.trim().parse::<u64>().ok());
    if let Some(seconds) = asked {
        return Duration::from_secs(seconds);
    }
    let bound = (FIRST_PAUSE * 2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
    FIRST_PAUSE + (bound.saturating_sub(FIRST_PAUSE)).mul_f64(random)
}

/// A number in `0.0..1.0`; spreads retries of many runners, nothing depends on its quality.
pub(crate) fn jitter() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(high >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{is_retriable, pause};
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::time::Duration;

    #[test]
    fn only_transient_statuses_are_retried() {
        let retried: Vec<u16> = (200..600).filter(|&s| is_retriable(s)).take(8).collect();
        assert_eq!(retried, [408, 429, 500, 502, 503, 504, 512, 513]);
    }

    #[test]
    fn the_server_may_set_the_pause() {
        let mut headers = HeaderMap::new();
        assert_eq!(pause(&headers, 3, 0.0), Duration::from_millis(100));
        assert_eq!(pause(&headers, 3, 1.0), Duration::from_millis(800));
        assert_eq!(pause(&headers, 30, 1.0), Duration::from_secs(60));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        assert_eq!(pause(&headers, 0, 0.5), Duration::from_secs(7));
    }
}
