//! `allowed_images` and `allowed_services`: which images a job may name.
//!
//! Compat: gitlab-runner common/allowed_images.go. There `!pattern` excludes nothing, although its documents say so;
//! here it does.

use super::image::full_reference;
use crate::job::JobError;
use pipglr_archive::glob::Pattern;

/// Refuses `name` unless the list at `key` of config.toml is empty, or one of its patterns matches and none with a `!`.
///
/// Patterns are compared with the name as it is written. One with a `!` is also compared with the other ways to write
/// the same image, so that it cannot be evaded by writing `docker.io/library/` in front.
pub(super) fn check(key: &str, name: &str, patterns: &[String]) -> Result<(), JobError> {
    if patterns.is_empty() || matches(key, name, patterns)? {
        return Ok(());
    }
    Err(refusal(key, name, patterns))
}

/// Whether one of the patterns at `key` of config.toml matches and none with a `!`.
pub(super) fn matches(key: &str, name: &str, patterns: &[String]) -> Result<bool, JobError> {
    let mut allowed = false;
    for text in patterns {
        let (excludes, glob) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let pattern = Pattern::parse(glob)
            .map_err(|e| JobError::Configuration(format!("{key} of config.toml has a bad pattern {text:?}: {e}")))?;
        if excludes && spellings(name).iter().any(|spelling| pattern.matches(spelling)) {
            return Ok(false);
        }
        allowed |= !excludes && pattern.matches(name);
    }
    Ok(allowed)
}

fn refusal(key: &str, name: &str, patterns: &[String]) -> JobError {
    JobError::Configuration(format!(
        "disallowed image: the {name:?} image is not present on list of {} ({}); the operator of this runner can add it \
         to {key}",
        key.replace('_', " "),
        patterns.join(", ")
    ))
}

/// The ways to write one image: with and without Docker Hub's name, with and without the tag.
fn spellings(name: &str) -> Vec<String> {
    let reference = full_reference(name);
    let mut all = vec![name.to_owned(), reference.clone()];
    for hub in ["docker.io/", "docker.io/library/"] {
        all.extend(reference.strip_prefix(hub).map(str::to_owned));
    }
    let untagged: Vec<String> = all.iter().map(|spelling| without_tag(spelling).to_owned()).collect();
    all.extend(untagged);
    all
}

/// `host:5000/a/b:tag@sha256:…` → `host:5000/a/b`.
pub(super) fn without_tag(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or_default();
    let last = reference.rfind('/').map_or(0, |at| at + 1);
    match reference[last..].find(':') {
        Some(colon) => &reference[..last + colon],
        None => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, without_tag};

    #[test]
    fn images_are_compared_with_the_patterns() {
        // (name of the case, patterns, image, allowed)
        let cases: &[(&str, &[&str], &str, bool)] = &[
            ("no list", &[], "anything:1", true),
            ("the same text", &["ruby:3.3"], "ruby:3.3", true),
            ("another tag", &["ruby:3.3"], "ruby:3.4", false),
            ("any tag", &["ruby:*"], "ruby:3.4", true),
            ("no tag is not any tag", &["ruby:*"], "ruby", false),
            (
                "a star stays in its part",
                &["reg.example/*"],
                "reg.example/a/b:1",
                false,
            ),
            ("two stars do not", &["reg.example/**"], "reg.example/a/b:1", true),
            (
                "two stars among letters",
                &["reg.example/a**"],
                "reg.example/ab/c",
                false,
            ),
            ("everything", &["**"], "reg.example/a/b:1", true),
            ("alternatives", &["{ruby,python}:3*"], "python:3.12", true),
            ("a class", &["ruby:3.[34]"], "ruby:3.3", true),
            ("a question mark", &["ruby:?"], "ruby:3", true),
            ("case matters", &["Ruby:*"], "ruby:3", false),
            (
                "written as it is compared",
                &["docker.io/library/ruby:*"],
                "ruby:3",
                false,
            ),
            ("the second pattern", &["go:*", "ruby:*"], "ruby:3", true),
            ("excluded", &["**", "!*/kali*"], "kalilinux/kali-rolling", false),
            ("not excluded", &["**", "!*/kali*"], "debian:13", true),
            ("excluded first", &["!ruby:3", "**"], "ruby:3", false),
            ("excluded only", &["!ruby:3"], "ruby:4", false),
            (
                "excluded in full",
                &["**", "!ruby:*"],
                "docker.io/library/ruby:3",
                false,
            ),
            (
                "excluded in short",
                &["**", "!docker.io/library/ruby:*"],
                "ruby:3",
                false,
            ),
            (
                "excluded without its tag",
                &["**", "!ruby"],
                "library/ruby:3@sha256:abc",
                false,
            ),
            (
                "excluded by a tag that is implied",
                &["**", "!ruby:latest"],
                "ruby",
                false,
            ),
        ];
        for (name, patterns, image, allowed) in cases {
            let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
            assert_eq!(check("allowed_images", image, &patterns).is_ok(), *allowed, "{name}");
        }
    }

    /// How stars, slashes and tags go together.
    #[test]
    fn stars_and_slashes_are_doublestars() {
        let (plain, tagged) = ("group/app", "group/app:1");
        let (deep, deep_tagged) = ("reg.test/group/sub/app", "reg.test/group/sub/app:1");
        let (flat, flat_tagged) = ("reg.test/group/app", "reg.test/group/app:1");
        for (image, pattern, allowed) in [
            ("app", "app", true),
            ("app", "other", false),
            ("app", "*", true),
            ("app", "**/*", true),
            ("app:1", "*", true),
            ("app:1", "**/*", true),
            ("app:latest", "*", true),
            ("app:latest", "**/*", true),
            (plain, "*", false),
            (plain, "**/*", true),
            (plain, "**/*:*", false),
            (plain, "*/*", true),
            (plain, "*/*:*", false),
            (tagged, "*", false),
            (tagged, "**/*", true),
            (tagged, "**/*:*", true),
            (tagged, "*/*", true),
            (tagged, "*/*:*", true),
            (deep, "*", false),
            (deep, "reg.test/**/*", true),
            (deep, "reg.test/*/*", false),
            (deep, "reg.test/*/*/*", true),
            (deep_tagged, "*", false),
            (deep_tagged, "reg.test/**/*:*", true),
            (deep_tagged, "reg.test/*/*/*:*", true),
            (deep_tagged, "reg.test/*/*:*", false),
            (flat, "*", false),
            (flat, "reg.test/**/*", true),
            (flat, "reg.test/*/*", true),
            (flat_tagged, "*", false),
            (flat_tagged, "reg.test/**/*:*", true),
            (flat_tagged, "reg.test/*/*:*", true),
            ("reg.test/app", "*", false),
            ("reg.test/app:1", "*", false),
        ] {
            let found = check("allowed_images", image, &[pattern.to_owned()]).is_ok();
            assert_eq!(found, allowed, "{image} by {pattern}");
        }
    }

    #[test]
    fn refusals_name_image_list_and_key() {
        let of = |key, pattern: &str| check(key, "evil:1", &[pattern.to_owned()]).unwrap_err().to_string();
        assert_eq!(
            of("allowed_images", "ruby:*"),
            "disallowed image: the \"evil:1\" image is not present on list of allowed images (ruby:*); the operator of \
             this runner can add it to allowed_images"
        );
        assert!(of("allowed_services", "ruby:*").contains("allowed services (ruby:*)"));
        assert!(of("allowed_images", "[").starts_with("allowed_images of config.toml has a bad pattern \"[\": "));
    }

    #[test]
    fn tags_and_digests_are_cut() {
        for (reference, cut) in [
            ("a", "a"),
            ("a:1", "a"),
            ("h:5000/a", "h:5000/a"),
            ("h:5000/a/b:1", "h:5000/a/b"),
            ("h/a:1@sha256:ab", "h/a"),
            ("h/a@sha256:ab", "h/a"),
        ] {
            assert_eq!(without_tag(reference), cut);
        }
    }
}
