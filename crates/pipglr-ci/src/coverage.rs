//! The coverage a job's log tells, by its `coverage` expression.

use crate::rules::expression::compile;
use regex::Regex;

/// What finds the coverage in a log.
#[derive(Debug, Clone)]
pub struct Coverage {
    pattern: Regex,
    number: Regex,
}

impl Coverage {
    /// `pattern` as in [`crate::model::Job::coverage`].
    ///
    /// # Errors
    /// It is no regular expression; such a job is not made.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Ok(Self {
            pattern: compile(pattern, "")?,
            number: compile(r"\d+(?:\.\d+)?", "")?,
        })
    }

    /// The number in the last match of a line without escape sequences, as it is written there. Of a log the last line
    /// that has one counts.
    ///
    /// Compat: GitLab lib/gitlab/ci/trace/stream.rb `extract_coverage`: of several groups the last one.
    #[must_use]
    pub fn find<'l>(&self, line: &'l str) -> Option<&'l str> {
        let captures = self.pattern.captures_iter(line).last()?;
        let matched = captures.get(captures.len() - 1)?;
        self.number.find(matched.as_str()).map(|number| number.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Coverage;

    #[test]
    fn numbers_are_found_as_gitlab_finds_them() {
        for (pattern, line, found) in [
            (r"TOTAL.*?(\d+%)$", "TOTAL  120  12  90%", Some("90")),
            (r"Coverage: \d+\.\d+", "Coverage: 12.5, Coverage: 87.25", Some("87.25")),
            (r"(\d+) of (\d+)", "7 of 9", Some("9")),
            (r"covered", "all covered", None),
            (r"Coverage: \d+", "nothing", None),
        ] {
            assert_eq!(Coverage::new(pattern).unwrap().find(line), found, "{pattern} in {line}");
        }
    }
}
