//! `$[[ matrix.KEY ]]`: the value of the instance that says it.
//!
//! Compat: `Gitlab::Ci::Config::Interpolation::MatrixInterpolator`.

use crate::keywords::parallel::Row;
use crate::model::Variable;
use std::borrow::Cow;

/// Puts the values in. Keys that are not there are told to `missing` and stay.
pub(super) fn resolve<'t>(text: &'t str, matrix: &[Variable], missing: &mut dyn FnMut(&str)) -> Cow<'t, str> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(found) = next(rest) {
        match matrix.iter().find(|variable| variable.key == found.key) {
            Some(variable) => {
                resolved += &rest[..found.start];
                resolved += &variable.value;
            }
            None => {
                missing(found.key);
                resolved += &rest[..found.end];
            }
        }
        rest = &rest[found.end..];
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(resolved + rest)
}

/// The same for the values of a selector.
pub(super) fn row(row: &Row, matrix: &[Variable], missing: &mut dyn FnMut(&str)) -> Row {
    let mut resolve_all = |values: &Vec<String>| -> Vec<String> {
        values
            .iter()
            .map(|value| resolve(value, matrix, missing).into_owned())
            .collect()
    };
    Row {
        values: row
            .values
            .iter()
            .map(|(key, values)| (key.clone(), resolve_all(values)))
            .collect(),
    }
}

struct Found<'t> {
    start: usize,
    end: usize,
    key: &'t str,
}

/// The first `$[[ matrix.KEY ]]` in a text.
fn next(text: &str) -> Option<Found<'_>> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("$[[")?;
        let inside = text[start + 3..].trim_start();
        if let Some(rest) = inside.strip_prefix("matrix.") {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .unwrap_or(rest.len());
            let after = rest[length..].trim_start();
            if let (Some(after), true) = (after.strip_prefix("]]"), length > 0) {
                return Some(Found {
                    start,
                    end: text.len() - after.len(),
                    key: &rest[..length],
                });
            }
        }
        from = start + 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_place_of_their_expression() {
        let matrix = [("OS", "linux"), ("A-1", "x")].map(|(key, value)| Variable {
            key: key.to_owned(),
            value: value.to_owned(),
            expand: true,
        });
        for (text, expected, unknown) in [
            ("$[[ matrix.OS ]]", "linux", &[][..]),
            ("$[[matrix.OS]]-$[[ matrix.A-1 ]]!", "linux-x!", &[]),
            (
                "$[[ inputs.OS ]] $[[ matrix. ]]",
                "$[[ inputs.OS ]] $[[ matrix. ]]",
                &[],
            ),
            (
                "a $[[ matrix.NO ]] $[[ matrix.OS ]]",
                "a $[[ matrix.NO ]] linux",
                &["NO"],
            ),
            ("$[[ $[[ matrix.OS ]] ]]", "$[[ linux ]]", &[]),
            ("$OS é", "$OS é", &[]),
        ] {
            let mut missing = Vec::new();
            let resolved = resolve(text, &matrix, &mut |key| missing.push(key.to_owned())).into_owned();
            assert_eq!(
                (resolved.as_str(), missing.as_slice()),
                (expected, &*unknown.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }
}
