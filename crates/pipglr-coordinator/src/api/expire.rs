//! Durations as people write them in `expire_in`.

use std::time::Duration;

/// Reads `1 week`, `3 mins 4 sec`, `2h20min`, `42` (seconds). `None` for `never`, nothing, or what is no duration.
pub(super) fn parse_expire_in(text: &str) -> Option<Duration> {
    let text = text.to_lowercase();
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..number_end].parse().ok()?;
        rest = rest[number_end..].trim_start();
        let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number * unit_seconds(&rest[..unit_end])?;
        rest = rest[unit_end..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest).trim_start();
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero())
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "dy" | "day" | "days" => 86_400.0,
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800.0,
        "mo" | "mos" | "month" | "months" => 2_592_000.0,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_expire_in;

    #[test]
    fn expiry_is_read_as_people_write_it() {
        for (text, seconds) in [
            ("42", Some(42)),
            ("1 week", Some(604_800)),
            ("3 mins 4 sec", Some(184)),
            ("2h20min", Some(8400)),
            ("1 day and 1 hour", Some(90_000)),
            ("6 mos 1 day", Some(15_638_400)),
            ("1.5 Hours", Some(5400)),
            ("never", None),
            ("", None),
            ("0", None),
            ("1 fortnight", None),
        ] {
            assert_eq!(parse_expire_in(text).map(|d| d.as_secs()), seconds, "{text}");
        }
    }
}
