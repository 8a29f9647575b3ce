//! The clock, by what a server's answer is dated.

use super::Finding;
use super::remedy::Remedy;

/// Seconds after which it is worth a word, and after which signatures and tokens are refused.
const NOTABLE: u64 = 60;
const REFUSED: u64 = 300;

/// How many seconds `now` is ahead of the `Date` of an answer's head.
pub(super) fn difference(head: &str, now: i64) -> Option<i64> {
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim())
    });
    Some(now - seconds(date?)?)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let [_, day, month, year, time, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<i64> = time.split(':').filter_map(|field| field.parse().ok()).collect();
    let [hours, minutes, seconds] = clock[..] else {
        return None;
    };
    // March is the first month, so that a leap day is the last of its year.
    let (month, year) = if month < 2 {
        (month + 10, year - 1)
    } else {
        (month - 2, year)
    };
    let days_of_months = (153 * i64::try_from(month).ok()? + 2) / 5;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_of_months + day - 1;
    Some((days - 719_468) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

pub(super) fn judge_clock(ahead: Option<i64>) -> Finding {
    const CHECK: &str = "clock";
    let Some(ahead) = ahead else {
        return Finding::unknown(CHECK, "GitLab's answer has no date to compare with");
    };
    let away = ahead.unsigned_abs();
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    let text = format!("this clock is {away} s {side} GitLab's");
    let remedy = Remedy::root(["timedatectl set-ntp true"]);
    if away >= REFUSED {
        Finding::failure(CHECK, format!("{text}: certificates and tokens are refused"), remedy)
    } else if away >= NOTABLE {
        Finding::warning(CHECK, text, remedy)
    } else {
        Finding::ok(CHECK, text)
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn dates_of_answers() {
        for (date, now, ahead) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777, Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 5, Some(5)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199, Some(0)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_199, Some(-1)),
            ("yesterday", 0, None),
        ] {
            assert_eq!(
                difference(&format!("HTTP/1.1 200 OK\r\ndate: {date}\r\n"), now),
                ahead,
                "{date}"
            );
        }
    }
}
