//! What an unquoted scalar means, by Psych's rules: YAML 1.1 with quirks of its own.

/// The value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resolved<'t> {
    Null,
    Bool(bool),
    /// Decimal digits with an optional minus; unbounded, as Ruby's integers are.
    Integer(String),
    Float(f64),
    String(&'t str),
    /// A class that GitLab refuses to load: `Date` or `Time`.
    Unloadable(&'static str),
}

impl Resolved<'_> {
    /// The text Ruby's `to_s` gives, which is what a variable's value becomes.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Resolved::Null | Resolved::Unloadable(_) => String::new(),
            Resolved::Bool(value) => value.to_string(),
            Resolved::Integer(digits) => digits.clone(),
            Resolved::Float(value) => float_text(*value),
            Resolved::String(text) => (*text).to_owned(),
        }
    }
}

/// Resolves a plain scalar.
///
/// Compat: `Psych::ScalarScanner#tokenize` of Psych 4.0.4, in its order of attempts.
pub(crate) fn resolve(text: &str) -> Resolved<'_> {
    if text.is_empty() {
        return Resolved::Null;
    }
    if text.contains('\n') || looks_like_word(text) {
        return resolve_word(text);
    }
    if is_timestamp(text) {
        return Resolved::Unloadable("Time");
    }
    if is_date(text) {
        return Resolved::Unloadable("Date");
    }
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => return Resolved::Float(f64::INFINITY),
        "-.inf" => return Resolved::Float(f64::NEG_INFINITY),
        ".nan" => return Resolved::Float(f64::NAN),
        _ => {}
    }
    if let Some(symbol) = text.strip_prefix(':').filter(|rest| !rest.is_empty()) {
        return Resolved::String(symbol.trim_matches(['"', '\'']));
    }
    sexagesimal(text)
        .or_else(|| float(text))
        .or_else(|| integer(text))
        .unwrap_or(Resolved::String(text))
}

/// Whether the text starts like a word, so that it can only be a string, a boolean or null.
fn looks_like_word(text: &str) -> bool {
    let wordy = |c: char| c.is_alphabetic() || c.is_whitespace() || "_!@#$%^&*(){}<>|/\\~;=".contains(c);
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    wordy(first) || (!first.is_ascii_digit() && !".:-".contains(first) && characters.next().is_some_and(wordy))
}

fn resolve_word(text: &str) -> Resolved<'_> {
    match text.to_ascii_lowercase().as_str() {
        "~" | "null" => Resolved::Null,
        "yes" | "true" | "on" => Resolved::Bool(true),
        "no" | "false" | "off" => Resolved::Bool(false),
        _ => Resolved::String(text),
    }
}

/// `2024-1-31`: four digits and two groups of one or two, within a calendar's bounds.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let within = |part: &str, low: u32, high: u32| {
        (1..=2).contains(&part.len()) && digits(part) && part.parse().is_ok_and(|value| (low..=high).contains(&value))
    };
    year.len() == 4 && digits(year) && within(month, 1, 12) && within(day, 1, 31)
}

/// `2024-01-31 10:20:30`, with `T` or blanks between, and an optional fraction and zone.
fn is_timestamp(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let Some(split) = text.find(['T', 't', ' ', '\t']) else {
        return false;
    };
    let (date, time) = (&text[..split], &text[split + 1..]);
    let date: Vec<&str> = date.split('-').collect();
    let [year, month, day] = date.as_slice() else {
        return false;
    };
    let short = |part: &str| (1..=2).contains(&part.len()) && digits(part);
    if !(year.len() == 4 && digits(year) && short(month) && short(day)) {
        return false;
    }
    let time = time.trim_start();
    let clock_end = time
        .find(|c: char| !c.is_ascii_digit() && c != ':')
        .unwrap_or(time.len());
    let clock: Vec<&str> = time[..clock_end].split(':').collect();
    let [hour, minute, second] = clock.as_slice() else {
        return false;
    };
    let two = |part: &str| part.len() == 2 && digits(part);
    short(hour) && two(minute) && two(second) && is_fraction_and_zone(&time[clock_end..])
}

fn is_fraction_and_zone(text: &str) -> bool {
    let text = text
        .strip_prefix('.')
        .map_or(text, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = text.trim_start();
    if zone.is_empty() || zone == "Z" {
        return zone.len() == text.len() || zone == "Z";
    }
    let Some(offset) = zone.strip_prefix(['+', '-']) else {
        return false;
    };
    let figures = offset.replacen(':', "", 1);
    (1..=4).contains(&figures.len()) && digits(&figures)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1:30` and `12:30:45`. Compat: Psych counts the first of two parts as hours, so `1:30` is 5400.
fn sexagesimal(text: &str) -> Option<Resolved<'_>> {
    let (negative, unsigned) = sign(text);
    let parts: Vec<&str> = unsigned.split(':').collect();
    let (head, tail) = parts.split_first()?;
    let head_fits =
        head.starts_with(|c: char| c.is_ascii_digit()) && head.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !(1..=2).contains(&tail.len()) || !head_fits {
        return None;
    }
    let (last, fraction) = tail
        .last()?
        .split_once('.')
        .map_or((*tail.last()?, None), |(a, b)| (a, Some(b)));
    let below_sixty =
        |part: &str| (1..=2).contains(&part.len()) && digits(part) && part.parse::<u32>().is_ok_and(|value| value < 60);
    if !tail[..tail.len() - 1].iter().all(|part| below_sixty(part)) || !below_sixty(last) {
        return None;
    }
    // Ruby multiplies the signed head and adds the unsigned rest.
    let head: i128 = head.replace('_', "").parse().ok()?;
    let signed = if negative { -head } else { head };
    let minutes: i128 = tail.first()?.split('.').next()?.parse().ok()?;
    let seconds: i128 = if tail.len() == 2 { last.parse().ok()? } else { 0 };
    let total = signed
        .checked_mul(3600)?
        .checked_add(minutes * 60)?
        .checked_add(seconds)?;
    match fraction {
        None => Some(Resolved::Integer(total.to_string())),
        Some(fraction) if fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') => {
            let part: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
            Some(Resolved::Float(
                total as f64 + if tail.len() == 2 { part } else { part * 60.0 },
            ))
        }
        Some(_) => None,
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Needs a point, and a sign in the exponent: `1e3` and `1.5e3` are strings.
fn float(text: &str) -> Option<Resolved<'_>> {
    let (negative, unsigned) = sign(text);
    let (whole, rest) = unsigned.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let whole_fits = whole.is_empty()
        || whole.starts_with(|c: char| c.is_ascii_digit())
            && whole.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b',');
    let exponent_fits = exponent.is_none_or(|exponent| exponent.strip_prefix(['+', '-']).is_some_and(digits));
    let fraction_fits = fraction.is_empty() || digits(fraction);
    if !whole_fits || !exponent_fits || !fraction_fits || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    let value: f64 = format!("0{whole}.{fraction}0e{}", exponent.unwrap_or("0"))
        .parse()
        .ok()?;
    Some(Resolved::Float(if negative { -value } else { value }))
}

/// Binary `0b`, octal `0`, hexadecimal `0x` or decimal, with `_` and `,` between digits.
fn integer(text: &str) -> Option<Resolved<'_>> {
    let (negative, unsigned) = sign(text);
    let body: String = unsigned.chars().filter(|c| *c != '_' && *c != ',').collect();
    let value = if let Some(figures) = unsigned.strip_prefix("0b") {
        radix(figures, 2)?
    } else if let Some(figures) = unsigned.strip_prefix("0x") {
        radix(figures, 16)?
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        radix(unsigned, 8)?
    } else {
        decimal(unsigned).then_some(body)?
    };
    Some(Resolved::Integer(if negative && value != "0" {
        format!("-{value}")
    } else {
        value
    }))
}

fn radix(figures: &str, base: u32) -> Option<String> {
    let figures: String = figures.chars().filter(|c| *c != '_' && *c != ',').collect();
    // `from_str_radix` would also take a sign.
    if !figures.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    u128::from_str_radix(&figures, base).ok().map(|value| value.to_string())
}

/// Starts and ends with a digit, and has no two separators in a row.
fn decimal(text: &str) -> bool {
    let bytes = text.as_bytes();
    let separator = |byte: u8| byte == b'_' || byte == b',';
    bytes.first().is_some_and(u8::is_ascii_digit)
        && bytes.last().is_some_and(u8::is_ascii_digit)
        && bytes.iter().all(|byte| byte.is_ascii_digit() || separator(*byte))
        && !bytes.windows(2).any(|pair| separator(pair[0]) && separator(pair[1]))
}

/// Compat: Ruby's `Float#to_s`, which turns to exponents below 1e-4 and from 1e16 on.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, figures) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |figures| ('-', figures));
    format!("{mantissa}{point}e{sign}{figures:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Resolved<'_>) {
        let resolved = resolve(text);
        // NaN is not equal to itself; its text is.
        assert_eq!(resolved.to_text(), expected.to_text(), "text of {text:?}");
        assert_eq!(
            std::mem::discriminant(&resolved),
            std::mem::discriminant(expected),
            "type of {text:?}"
        );
    }

    fn integer(digits: &str) -> Resolved<'_> {
        Resolved::Integer(digits.to_owned())
    }

    #[test]
    fn words_are_booleans_null_or_strings() {
        for text in ["yes", "Yes", "YES", "on", "TRUE", "true"] {
            check(text, &Resolved::Bool(true));
        }
        for text in ["no", "off", "NO", "False"] {
            check(text, &Resolved::Bool(false));
        }
        for text in ["~", "null", "Null", ""] {
            check(text, &Resolved::Null);
        }
        for text in [
            "y", "n", "0o12", "08", "09", "1e3", "1e+3", "1.5e3", "1.2.3", "0.10.0", ".", "-", "+", "1:60", "echo",
        ] {
            check(text, &Resolved::String(text));
        }
        check(":sym", &Resolved::String("sym"));
    }

    #[test]
    fn integers_have_bases_separators_and_sexagesimals() {
        for (text, digits) in [
            ("012", "10"),
            ("0123", "83"),
            ("0x1F", "31"),
            ("0b11", "3"),
            ("1_000", "1000"),
            ("1,000", "1000"),
            ("+1", "1"),
            ("-0", "0"),
            ("-17", "-17"),
            ("0", "0"),
            ("1:30", "5400"),
            ("12:30:45", "45045"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            check(text, &integer(digits));
        }
    }

    #[test]
    fn floats_print_as_ruby_prints_them() {
        for (text, printed) in [
            ("1.10", "1.1"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("1.5e+3", "1500.0"),
            ("-2.50", "-2.5"),
            (".inf", "Infinity"),
            ("-.inf", "-Infinity"),
            (".nan", "NaN"),
            ("1.0e+20", "1.0e+20"),
            ("1.5e-7", "1.5e-07"),
            ("1,000.5", "1000.5"),
        ] {
            let resolved = resolve(text);
            assert!(matches!(resolved, Resolved::Float(_)), "{text}: {resolved:?}");
            assert_eq!(resolved.to_text(), printed);
        }
    }

    #[test]
    fn dates_and_times_cannot_be_loaded() {
        for text in ["2024-01-01", "2024-1-1"] {
            check(text, &Resolved::Unloadable("Date"));
        }
        for text in [
            "2024-01-01 10:00:00",
            "2024-01-01T10:00:00Z",
            "2024-01-01 10:00:00.5 +02:00",
        ] {
            check(text, &Resolved::Unloadable("Time"));
        }
        for text in ["2024-13-01", "2024-01", "2024-01-01 10:00", "2024-01-01x"] {
            check(text, &Resolved::String(text));
        }
    }
}
