//! Labels of runners: what GitLab takes as one.
//!
//! Compat: gitlab-runner common/labels.go.

use std::collections::BTreeMap;

const MOST: usize = 32;

/// What is wrong with the labels of a runner.
pub(super) fn wrong(labels: &BTreeMap<String, String>) -> Option<String> {
    if labels.len() > MOST {
        return Some(format!("a runner may have {MOST} labels, not {}", labels.len()));
    }
    labels.iter().find_map(|(name, value)| {
        if !is_name(name) {
            return Some(format!(
                "label {name:?}: a name has 3 to 65 letters, digits, `_`, `.`, `-` and begins with none of the last two"
            ));
        }
        (!is_text(value, 1..=256))
            .then(|| format!("label {name:?}: its value must have 1 to 256 letters, digits, `_`, `.`, `-`"))
    })
}

fn is_name(text: &str) -> bool {
    is_text(text, 3..=65) && !text.starts_with(['.', '-'])
}

fn is_text(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    length.contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn labels_are_what_gitlab_takes() {
        for (name, value, part) in [
            ("team", "infra", None),
            ("_a1", "x.y-z", None),
            ("ab", "infra", Some("label \"ab\": a name")),
            (".team", "infra", Some("a name")),
            ("te am", "infra", Some("a name")),
            ("team", "", Some("its value")),
            ("team", "a b", Some("its value")),
        ] {
            let wrong = wrong(&[(name.to_owned(), value.to_owned())].into());
            match part {
                None => assert_eq!(wrong, None, "{name}"),
                Some(part) => assert!(wrong.as_ref().is_some_and(|w| w.contains(part)), "{name}: {wrong:?}"),
            }
        }
        let many = (0..33).map(|n| (format!("label{n}"), "x".to_owned())).collect();
        assert_eq!(wrong(&many).unwrap(), "a runner may have 32 labels, not 33");
    }
}
