//! Names made fit for host names and paths.

use sha2::{Digest as _, Sha256};

/// Bytes of an environment's slug.
const ENVIRONMENT_LIMIT: usize = 24;

/// `CI_ENVIRONMENT_SLUG`: fit for a host name, begins with a letter, and differs for names that are cut or changed.
///
/// Compat: GitLab lib/gitlab/slug/environment.rb.
pub(crate) fn environment_slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut slug = String::new();
    for c in lower.chars() {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() {
            c
        } else {
            '-'
        };
        if c != '-' || !slug.ends_with('-') {
            slug.push(c);
        }
    }
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug = format!("env-{slug}").replace("--", "-");
    }
    if slug.len() > ENVIRONMENT_LIMIT || slug != name {
        slug.truncate(17);
        if !slug.ends_with('-') {
            slug.push('-');
        }
        return slug + &suffix(name);
    }
    slug.strip_suffix('-').map_or(slug.clone(), str::to_owned)
}

/// The last six digits of the name's SHA-256 to the base of 36.
fn suffix(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let mut digits = Vec::new();
    let mut number = digest;
    for _ in 0..6 {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 36).unwrap_or(u8::MAX);
            rest = value % 36;
        }
        digits.push(char::from_digit(rest, 36).unwrap_or('0'));
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::environment_slug;

    #[test]
    fn environment_slugs_are_gitlabs() {
        for (name, slug) in [
            ("production", "production"),
            ("review/feature-1", "review-feature-1-1q251u"),
            ("1st", "env-1st-sru2wu"),
            ("staging-", "staging"),
            ("Stage Domain", "stage-domain-ip33nk"),
            ("stage-domain-foobar-long-string", "stage-domain-foob-yafktx"),
        ] {
            assert_eq!(environment_slug(name), slug, "{name}");
        }
    }
}
