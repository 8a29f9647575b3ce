//! What a job may be called, and under which name it is shown with others.

use crate::diagnostics::Problems;
use crate::rules::expression::compile;
use crate::yaml::Entry;
use regex::Regex;
use std::sync::LazyLock;

/// Words that GitLab's documentation forbids as names of jobs, beside the keywords of the top level.
const RESERVED: [&str; 4] = ["nil", "true", "false", "pages:deploy"];

/// Compat: `Gitlab::Ci::Config::Entry::Processable`, the length of `ci_builds.name`.
const MAX_JOB_NAME: usize = 255;

pub(super) fn check(problems: &mut Problems, entry: &Entry) {
    let name = &entry.key;
    if !entry.key_is_string {
        let message = format!("jobs:{name} name should be a string");
        problems.error_with_hint(
            entry.key_span,
            message,
            format!("quote it to make it a string: \"{name}\""),
        );
    } else if name.trim().is_empty() {
        problems.error(entry.key_span, "job name can't be blank");
    } else if RESERVED.contains(&name.as_str()) {
        problems.error_with_hint(
            entry.key_span,
            format!("`{name}` is reserved and cannot be the name of a job"),
            "rename the job",
        );
    } else if name.chars().count() > MAX_JOB_NAME {
        let message = format!("jobs:{name} name is too long (maximum is {MAX_JOB_NAME} characters)");
        problems.error(entry.key_span, message);
    }
}

/// The name without what numbers it, if that is something else.
///
/// Compat: `CommitStatus#group_name`.
pub(crate) fn group(name: &str) -> Option<String> {
    static NUMBER: LazyLock<Option<Regex>> =
        LazyLock::new(|| compile(r"(?:[\x08\s:]+(?:\[.*\]|\d+[\s:/\\]+\d+)){1,3}\s*$", "").ok());
    let at = NUMBER.as_ref()?.find(name)?.start();
    let group = name[..at].trim();
    (!group.is_empty()).then(|| group.to_owned())
}

#[cfg(test)]
mod tests {
    use super::group;

    #[test]
    fn numbers_at_the_end_are_no_part_of_the_group() {
        for (name, expected) in [
            ("test 1/3", Some("test")),
            ("test: [a, b]", Some("test")),
            ("test 1:3", Some("test")),
            ("test: 2/3", Some("test")),
            ("test 3 3", Some("test")),
            ("test 1 / 2: [x]", Some("test")),
            ("test", None),
            ("test 1", None),
            ("test1/3", None),
            ("[a] b", None),
        ] {
            assert_eq!(group(name).as_deref(), expected, "{name}");
        }
    }
}
