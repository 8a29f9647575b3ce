//! Which answers are worth another try, and how long to wait before it.
//!
//! Compat: gitlab-runner network/retry_requester.go.

use jiff::Timestamp;
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
pub(super) fn pause(headers: &HeaderMap, attempt: u32, random: f64, now: Timestamp) -> Duration {
    if let Some(asked) = asked(headers, now) {
        return asked;
    }
    let bound = (FIRST_PAUSE * 2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
    FIRST_PAUSE + (bound.saturating_sub(FIRST_PAUSE)).mul_f64(random)
}

/// The pause the server asks for, if it does.
pub(super) fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let reset = text("ratelimit-resettime").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    // A time that has passed is no wish.
    let until = reset.and_then(|time| Duration::try_from(time.timestamp().duration_since(now)).ok());
    if let Some(until) = until.filter(|wait| !wait.is_zero()) {
        return Some(until);
    }
    text("retry-after")
        .and_then(|v| v.parse().ok())
        .map(Duration::from_secs)
}

/// A number in `0.0..1.0`; spreads retries of many runners, nothing depends on its quality.
pub(crate) fn jitter() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(high >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{is_retriable, pause};
    use jiff::Timestamp;
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::time::Duration;

    #[test]
    fn only_transient_statuses_are_retried() {
        let retried: Vec<u16> = (200..600).filter(|&s| is_retriable(s)).take(8).collect();
        assert_eq!(retried, [408, 429, 500, 502, 503, 504, 512, 513]);
    }

    #[test]
    fn the_server_may_set_the_pause() {
        let now: Timestamp = "2026-08-22T10:00:00Z".parse().unwrap();
        let (future, past) = ("Sat, 22 Aug 2026 10:00:30 GMT", "Sat, 22 Aug 2026 09:59:59 GMT");
        for (name, headers, attempt, random, expected) in [
            ("shortest", &[][..], 3, 0.0, 100),
            ("longest of its try", &[], 3, 1.0, 800),
            ("longest of all", &[], 30, 1.0, 60_000),
            ("Retry-After in seconds", &[("retry-after", "7")], 1, 0.5, 7_000),
            (
                "Retry-After without a bound",
                &[("retry-after", "7200")],
                1,
                0.5,
                7_200_000,
            ),
            ("Retry-After as a date", &[("retry-after", future)], 1, 0.0, 100),
            (
                "RateLimit-ResetTime",
                &[("ratelimit-resettime", future)],
                1,
                0.0,
                30_000,
            ),
            (
                "RateLimit-ResetTime before Retry-After",
                &[("retry-after", "7"), ("ratelimit-resettime", future)],
                1,
                0.0,
                30_000,
            ),
            (
                "RateLimit-ResetTime that has passed",
                &[("retry-after", "7"), ("ratelimit-resettime", past)],
                1,
                0.0,
                7_000,
            ),
            (
                "RateLimit-ResetTime in seconds",
                &[("ratelimit-resettime", "30")],
                1,
                0.0,
                100,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (key, value) in headers {
                map.insert(*key, HeaderValue::from_static(value));
            }
            assert_eq!(
                pause(&map, attempt, random, now),
                Duration::from_millis(expected),
                "{name}"
            );
        }
    }
}
