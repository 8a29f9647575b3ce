//! Durations as config.toml writes them: `"1h30m"` or a number of nanoseconds.

use serde::de::{self, Visitor};
use std::fmt;
use std::time::Duration;

/// Reads an optional duration for serde.
pub(super) fn optional<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

/// Writes one so that [`optional`] reads the same.
#[expect(clippy::ref_option, reason = "serde's serialize_with passes a reference")]
pub(super) fn nanoseconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        None => serializer.serialize_unit(),
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"15m\" or a number of nanoseconds")
    }

    fn visit_i64<E: de::Error>(self, nanoseconds: i64) -> Result<Option<Duration>, E> {
        Ok(Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))))
    }

    fn visit_u64<E: de::Error>(self, nanoseconds: u64) -> Result<Option<Duration>, E> {
        Ok(Some(Duration::from_nanos(nanoseconds)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<Duration>, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<Duration>, E> {
        of_config(text)
            .map(Some)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A duration of config.toml: as [`parse`], and a negative one is none.
pub(super) fn of_config(text: &str) -> Option<Duration> {
    match text.trim().strip_prefix('-') {
        Some(positive) => parse(positive).map(|_| Duration::ZERO),
        None => parse(text),
    }
}

/// Parses Go's duration syntax; negative ones are `None`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let seconds = match &rest[..unit_len] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * seconds;
        rest = &rest[unit_len..];
        any = true;
    }
    any.then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn go_durations_are_read() {
        for (text, expected) in [
            ("15m0s", Some(900_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("1.5s", Some(1500)),
            ("0", Some(0)),
            ("5", None),
            ("-5s", None),
            ("5 minutes", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
