//! Variables that change how the runner works: switches and numbers, with a word to the author where they are unreadable.
//!
//! Compat: gitlab-runner common/build_settings.go.

use super::{AcceptedJob, AllVariables};
use crate::job::variables::Variables;

/// A switch, or its default.
pub(super) fn switch(variables: &Variables, key: &str, default: bool, warnings: &mut Vec<String>) -> bool {
    match variables.switch(key) {
        None => default,
        Some(Ok(on)) => on,
        Some(Err(value)) => {
            warnings.push(format!(
                "{key}: expected bool got {value:?}, using default value: {default}"
            ));
            default
        }
    }
}

/// A whole number that is not negative.
pub(super) fn number(variables: &Variables, key: &str, default: u64, warnings: &mut Vec<String>) -> u64 {
    let Some(text) = variables.get(key).filter(|t| !t.is_empty()) else {
        return default;
    };
    text.parse().unwrap_or_else(|_| {
        warnings.push(format!(
            "{key}: expected int got {text:?}, using default value: {default}"
        ));
        default
    })
}

/// A list of words.
pub(super) fn words(variables: &Variables, key: &str) -> Vec<String> {
    let text = variables.get(key).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// A list of flags; `none` means no flags at all and is `None` here.
pub(super) fn flags(variables: &Variables, key: &str, default: &[&str]) -> Option<Vec<String>> {
    let words = words(variables, key);
    match words.as_slice() {
        [] => Some(default.iter().map(|f| (*f).to_owned()).collect()),
        [only] if only == "none" => None,
        _ => Some(words),
    }
}

/// `CI_DEBUG_TRACE` or `CI_DEBUG_SERVICES`, unless the operator forbids it.
pub(super) fn debug(job: &AcceptedJob, all: &AllVariables, key: &str, warnings: &mut Vec<String>) -> bool {
    let on = switch(&all.variables, key, false, warnings);
    if on && job.runner.debug_trace_disabled {
        warnings.push(format!("{key}: usage is disabled on this Runner"));
        return false;
    }
    on
}

/// Tries of a phase: 1 to 10.
pub(in crate::job) fn attempts(variables: &Variables, key: &str, warnings: &mut Vec<String>) -> u32 {
    let Some(text) = variables.get(key).filter(|t| !t.is_empty()) else {
        return 1;
    };
    match text.parse::<i64>() {
        Ok(n @ 1..=10) => u32::try_from(n).unwrap_or(1),
        Ok(n) => {
            let clamped = n.clamp(1, 10);
            warnings.push(format!(
                "{key}: number of attempts out of the range [1, 10], clamping to: {clamped}"
            ));
            u32::try_from(clamped).unwrap_or(1)
        }
        Err(_) => {
            warnings.push(format!("{key}: expected int got {text:?}, using default value: 1"));
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{attempts, switch};
    use crate::job::variables::{Variable, Variables};

    fn with(value: &str) -> Variables {
        Variables::new(vec![Variable::internal("V", value)], "")
    }

    #[test]
    fn switches_are_read_as_go_reads_them() {
        for (value, expected, warns) in [
            ("", true, false),
            ("1", true, false),
            ("T", true, false),
            ("True", true, false),
            ("false", false, false),
            ("F", false, false),
            ("yes", true, true),
            ("blammo", true, true),
        ] {
            let mut warnings = Vec::new();
            assert_eq!(switch(&with(value), "V", true, &mut warnings), expected, "{value}");
            let expected: Vec<String> = warns
                .then(|| format!("V: expected bool got {value:?}, using default value: true"))
                .into_iter()
                .collect();
            assert_eq!(warnings, expected, "{value}");
        }
    }

    #[test]
    fn attempts_are_clamped() {
        let out = "V: number of attempts out of the range [1, 10], clamping to: ";
        for (name, value, expected, warning) in [
            ("no attempts named", "", 1, String::new()),
            ("three attempts", "3", 3, String::new()),
            ("ten attempts", "10", 10, String::new()),
            ("too many attempts", "11", 10, format!("{out}10")),
            ("no attempts at all", "0", 1, format!("{out}1")),
            ("negative attempts", "-2", 1, format!("{out}1")),
            (
                "attempts in words",
                "two",
                1,
                "V: expected int got \"two\", using default value: 1".to_owned(),
            ),
        ] {
            let mut warnings = Vec::new();
            assert_eq!(attempts(&with(value), "V", &mut warnings), expected, "{name}");
            assert_eq!(warnings.concat(), warning, "{name}");
        }
    }
}
