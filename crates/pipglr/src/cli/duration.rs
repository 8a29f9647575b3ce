//! Times on the command line: `90`, `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// Parses a time; a bare number is seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: write 90s, 10m or 1h30m");
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        digits.clear();
        let seconds = number.checked_mul(unit).ok_or_else(wrong)?;
        total = total.checked_add(seconds).ok_or_else(wrong)?;
    }
    if !digits.is_empty() {
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        total = total.checked_add(number).ok_or_else(wrong)?;
    }
    if total == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("1h5", Some(3605)),
            ("", None),
            ("0", None),
            ("m", None),
            ("5d", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse(text).ok().map(|d| d.as_secs()), seconds, "{text}");
        }
    }
}
