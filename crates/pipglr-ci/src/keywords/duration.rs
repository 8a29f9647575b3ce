//! Durations in words, as GitLab's ChronicDuration reads them: `1h 30m`, `90 minutes`, `3600`, `1:30:00`.

use std::time::Duration;

/// Whole seconds, if there are any: fractions are dropped.
pub(super) fn whole(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.floor())
        .ok()
        .filter(|duration| !duration.is_zero())
}

/// Parses a positive duration into seconds; `None` for anything that is not one.
///
/// Compat: gitlab-chronic-duration: a number without a unit counts seconds, a unit at the start without a number
/// counts once, `and`, `with`, `plus` and commas are ignored, and any other word is an error.
pub(crate) fn parse_seconds(text: &str) -> Option<f64> {
    let lowered = numbers_to_figures(&text.to_lowercase());
    let words = colon_form(&lowered).unwrap_or_else(|| split(&lowered));
    let mut tokens = Vec::new();
    for word in &words {
        match word {
            Word::Number(value) => tokens.push(Token::Number(*value)),
            Word::Text(text) => match text.trim_matches(',') {
                "" | "and" | "with" | "plus" => {}
                name => tokens.push(Token::Unit(unit_seconds(name)?)),
            },
        }
    }
    if let Some(Token::Unit(_)) = tokens.first() {
        tokens.insert(0, Token::Number(1.0));
    }
    let mut total = 0.0;
    for (place, token) in tokens.iter().enumerate() {
        total += match (token, tokens.get(place + 1)) {
            (Token::Number(value), None) => *value,
            (Token::Number(value), Some(Token::Unit(seconds))) => value * seconds,
            // Compat: a number that another number follows counts nothing.
            (Token::Number(_), Some(Token::Number(_))) | (Token::Unit(_), _) => 0.0,
        };
    }
    (total > 0.0 && total.is_finite()).then_some(total)
}

enum Word {
    Number(f64),
    Text(String),
}

enum Token {
    Number(f64),
    Unit(f64),
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
const MONTH: f64 = 30.0 * DAY;
const YEAR: f64 = 31_557_600.0;

fn unit_seconds(name: &str) -> Option<f64> {
    Some(match name {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "dy" | "day" | "days" => DAY,
        "w" | "wk" | "wks" | "week" | "weeks" => 7.0 * DAY,
        "mo" | "mos" | "month" | "months" => MONTH,
        "y" | "yr" | "yrs" | "year" | "years" => YEAR,
        _ => return None,
    })
}

/// Splits at blanks and around numbers, so that `1h30m` is four words.
fn split(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let number = number_length(rest);
        if number > 0 {
            // `.5` and `1.5` are both understood by Rust's parser.
            words.extend(rest[..number].parse().ok().map(Word::Number));
            rest = &rest[number..];
        } else if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else {
            let end = rest
                .char_indices()
                .find(|(at, c)| c.is_whitespace() || number_length(&rest[*at..]) > 0)
                .map_or(rest.len(), |(at, _)| at);
            words.push(Word::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    words
}

/// Length of a leading `[0-9]*\.?[0-9]+`.
fn number_length(text: &str) -> usize {
    let figures = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = figures(text);
    match text[whole..].strip_prefix('.').map(figures) {
        Some(fraction) if fraction > 0 => whole + 1 + fraction,
        _ => whole,
    }
}

/// `H:M:S` and `M:S`, with days, months and years in front of them.
fn colon_form(text: &str) -> Option<Vec<Word>> {
    const UNITS: [&str; 6] = ["seconds", "minutes", "hours", "days", "months", "years"];
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let parts: Vec<&str> = compact.split(':').collect();
    let numbers: Option<Vec<f64>> = parts
        .iter()
        .map(|part| {
            if number_length(part) == part.len() {
                part.parse().ok()
            } else {
                None
            }
        })
        .collect();
    let numbers = numbers?;
    if numbers.len() < 2 || numbers.len() > UNITS.len() {
        return None;
    }
    let units = UNITS[..numbers.len()].iter().rev();
    Some(
        numbers
            .into_iter()
            .zip(units)
            .flat_map(|(value, unit)| [Word::Number(value), Word::Text((*unit).to_owned())])
            .collect(),
    )
}

/// Turns English number words into figures: `twenty one` is 21, `two hundred` is 200.
fn numbers_to_figures(text: &str) -> String {
    let mut figures: Vec<String> = Vec::new();
    let mut pending: Option<u64> = None;
    for word in text.split_whitespace().flat_map(|word| split_compound(word)) {
        let value = number_word(word);
        pending = match (pending, value) {
            (Some(sum), Some(scale @ (100 | 1000))) => Some(sum.max(1).saturating_mul(scale)),
            (Some(sum), Some(value)) => Some(sum.saturating_add(value)),
            (None, Some(value)) => Some(value),
            (sum, None) => {
                figures.extend(sum.map(|sum| sum.to_string()));
                figures.push(word.to_owned());
                None
            }
        };
    }
    figures.extend(pending.map(|sum| sum.to_string()));
    figures.join(" ")
}

/// `twenty-one` is two number words; any other word with a hyphen stays whole.
fn split_compound(word: &str) -> Vec<&str> {
    match word.split_once('-') {
        Some((tens, ones)) if number_word(tens).is_some() && number_word(ones).is_some() => {
            vec![tens, ones]
        }
        _ => vec![word],
    }
}

fn number_word(word: &str) -> Option<u64> {
    const UP_TO_NINETEEN: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = [
        "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let place = |list: &[&str]| {
        list.iter()
            .position(|name| *name == word)
            .and_then(|place| u64::try_from(place).ok())
    };
    match word {
        "hundred" => Some(100),
        "thousand" => Some(1000),
        _ => place(&UP_TO_NINETEEN).or_else(|| place(&TENS).map(|tens| (tens + 2) * 10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_chronic_duration_reads_them() {
        for (text, seconds) in [
            ("3600", 3600),
            ("1h 30m", 5400),
            ("1h30m", 5400),
            ("90 minutes", 5400),
            ("1 hour and 30 minutes", 5400),
            ("1 hour, 30 minutes", 5400),
            ("1.5 hours", 5400),
            (".5h", 1800),
            ("3 mins 4 sec", 184),
            ("2h20min", 8400),
            ("6 mos 1 day", 15_638_400),
            ("47 yrs 6 mos and 4d", 1_499_104_800),
            ("3 weeks and 2 days", 1_987_200),
            ("1:30", 90),
            ("1:02:03", 3723),
            ("day", 86_400),
            ("minute 30sec", 90),
            ("twenty minutes", 1200),
            ("twenty-five minutes", 1500),
            ("two hundred seconds", 200),
            ("1 DAY", 86_400),
            ("1 month", 2_592_000),
            ("1 year", 31_557_600),
            ("5 30 minutes", 1800),
        ] {
            assert_eq!(
                parse_seconds(text).and_then(whole),
                Some(Duration::from_secs(seconds)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "0",
            "0 minutes",
            "soon",
            "1 fortnight",
            "-5 minutes",
            "1h;",
            "ten-ish minutes",
            "1 hour from now",
            "٣ minutes",
        ] {
            assert_eq!(parse_seconds(text).and_then(whole), None, "{text:?}");
        }
    }
}
