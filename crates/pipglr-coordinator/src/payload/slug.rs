//! Names made fit for host names and paths.

const LIMIT: usize = 63;

/// Lower case, everything but letters and digits replaced by `-`, 63 bytes, no `-` at the ends.
///
/// Compat: GitLab lib/gitlab/utils.rb `slugify`: cut first, then trimmed.
pub(super) fn slugify(name: &str) -> String {
    let replaced: String = name
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .take(LIMIT)
        .collect();
    replaced.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::slugify;

    #[test]
    fn slugs_are_gitlabs() {
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(10));
        let cut = "a".repeat(62);
        for (name, slug) in [
            ("feature/ABC_123.x", "feature-abc-123-x"),
            ("a-b--c/D_é!", "a-b--c-d"),
            ("-x-", "x"),
            (long.as_str(), cut.as_str()),
            ("", ""),
        ] {
            assert_eq!(slugify(name), slug, "{name}");
        }
    }
}
