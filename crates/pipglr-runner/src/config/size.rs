//! Sizes as docker writes them: `512m`, `1.5g`, `1048576`, with `b` or `ib` at the end if one likes.
//!
//! Compat: docker's units package.

/// Bytes; `None` for what is no size.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let exponent = match lower[digits.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    // Whole part and fraction apart: sizes are counted in bytes, not in floating point.
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unit = 1024_u64.pow(exponent);
    let fraction = match fraction {
        "" => 0,
        _ if fraction.len() > 6 => return None,
        _ => {
            let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
            fraction.parse::<u32>().map(u64::from).ok()? * unit / scale
        }
    };
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(fraction)
}
