//! A string that cannot be printed by accident.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A token or password. `Debug` shows `[REDACTED]`, there is no `Display`; [`Secret::expose`] is the only way out.
///
/// It serializes as the plain string, because the wire needs it: never log a serialized request.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the wire or a masking rule.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first nine characters after the token's prefix: safe to show, enough to tell tokens apart.
    ///
    /// Compat: gitlab-runner helpers/shorten_token.go.
    #[must_use]
    pub fn short(&self) -> String {
        strip_token_prefix(&self.0).chars().take(9).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

fn strip_token_prefix(token: &str) -> &str {
    if let Some(rest) = token.strip_prefix("glrt-") {
        return strip_runner_type(rest);
    }
    for prefix in ["glrtr-", "glcbt-"] {
        if let Some(rest) = token.strip_prefix(prefix) {
            return rest;
        }
    }
    if let Some(rest) = token.strip_prefix("GR")
        && rest.len() >= 7
        && rest.as_bytes()[..7].iter().all(u8::is_ascii_hexdigit)
    {
        return &rest[7..];
    }
    strip_runner_type(token)
}

/// Strips `t1_`, `t2_`, `t3_`: the runner's type inside newer tokens.
fn strip_runner_type(token: &str) -> &str {
    ["t1_", "t2_", "t3_"]
        .iter()
        .find_map(|p| token.strip_prefix(p))
        .unwrap_or(token)
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn short_token_drops_the_prefix_and_keeps_nine_characters() {
        for (token, short) in [
            ("glrt-abcdefghijkl", "abcdefghi"),
            ("glrt-t1_abcdefghijkl", "abcdefghi"),
            ("t3_abcdefghijkl", "abcdefghi"),
            ("GR1348941abcdefghijkl", "abcdefghi"),
            ("GRnothexxabcdefgh", "GRnothexx"),
            ("glrtr-abc", "abc"),
            ("glcbt-64_abcdefghij", "64_abcdef"),
            ("0123456789", "012345678"),
            ("short", "short"),
            ("t1_abcdefghijkl", "abcdefghi"),
            ("t2_abcdefghijkl", "abcdefghi"),
            ("t4_abcdefghijkl", "t4_abcdef"),
            ("glrt-t4_abcdefghijkl", "t4_abcdef"),
            // Only runners' own tokens say what kind they are.
            ("glrtr-t1_abcdefghijkl", "t1_abcdef"),
            ("glcbt-t2_abcdefghijkl", "t2_abcdef"),
            ("GR134894-abcdefghijkl", "GR134894-"),
            ("", ""),
        ] {
            assert_eq!(Secret::new(token).short(), short, "{token}");
        }
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[REDACTED]");
    }
}
